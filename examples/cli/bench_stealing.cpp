// skua bench stealing: what stealing and planning anew are worth where reality is not what the plan expects.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "ablation.h"
#include "command.h"
#include "executed_ablation.h"
#include "skua/scheduler/median.h"

namespace skua::cli {
namespace {

struct StealingOptions {
  std::vector<std::string> models = tutorial_models();
  std::vector<std::string> clusters = {"cpu:2", "h100x2-nvlink", "h100x4-nvlink", "h100x8-nvlink", "a100x4-pcie"};
  ExecutedOptions executed;  // policy and time to plan are those of both
  int micro_batches_per_device = 2;
  int simulated_steps = 40;
  int seeds = 3;
  bool json = false;
};

// "h100x4-nvlink" and the like: a preset's first devices.
Cluster cluster_of(const std::string& name) {
  for (const int count : {2, 4}) {
    const std::string prefix = fmt::format("h100x{}-", count);
    if (!name.starts_with(prefix) || name != prefix + "nvlink") continue;
    Cluster cluster = make_cluster("h100x8-nvlink");
    while (cluster.device_count() > static_cast<std::size_t>(count)) {
      cluster = without_device(cluster, DeviceId(static_cast<std::int64_t>(cluster.device_count()) - 1));
    }
    return Cluster(name, cluster.devices(), cluster.memories(), cluster.links());
  }
  return make_cluster(name);
}

struct Row {
  std::string model;
  std::string cluster;
  std::string situation;
  std::vector<double> seconds;                     // of a step, by mode
  std::vector<double> to_bound = {};               // of the last step, by mode: over the lower bound (simulated)
  std::vector<std::vector<double>> by_round = {};  // by mode (executed)
};

std::string label(const RunMode& mode) {
  return mode.name + (mode.adaptive ? "+" : "");
}

Row simulated_row(const Ablation& ablation, const Situation& situation, const StealingOptions& options) {
  Row row;
  row.situation = situation.name;
  for (const RunMode& mode : run_modes()) {
    std::vector<double> seconds;
    std::vector<double> to_bound;
    for (int seed = 0; seed < (situation.cost_error > 0 ? options.seeds : 1); ++seed) {
      const Ablation::Outcome outcome =
          ablation.run(situation, mode, options.simulated_steps, static_cast<std::uint64_t>(seed));
      seconds.push_back(outcome.mean_seconds());
      to_bound.push_back(outcome.step_seconds.back() / outcome.bound_seconds);
    }
    row.seconds.push_back(median_of(seconds));
    row.to_bound.push_back(median_of(to_bound));
  }
  return row;
}

std::vector<Row> simulate_all(const StealingOptions& options) {
  std::vector<Row> rows;
  for (const std::string& model : options.models) {
    for (const std::string& name : options.clusters) {
      Cluster cluster = cluster_of(name);
      const int count = options.micro_batches_per_device * static_cast<int>(cluster.device_count());
      const Ablation ablation(model, std::move(cluster), count, options.executed.policy, options.executed.plan_seconds);
      for (const Situation& situation : situations()) {
        rows.push_back(simulated_row(ablation, situation, options));
        rows.back().model = model;
        rows.back().cluster = name;
      }
      fmt::print(stderr, "simulated: {} on {}\n", model, name);
    }
  }
  return rows;
}

std::vector<Row> execute_all(const StealingOptions& options) {
  std::vector<Row> rows;
  ExecutedOptions executed = options.executed;
  executed.micro_batches = options.micro_batches_per_device * executed.devices;
  for (const std::string& model : options.models) {
    for (ExecutedResult& result : execute_ablation(model, executed)) {
      rows.push_back({model,
                      fmt::format("cpu:{}", executed.devices),
                      result.situation,
                      result.step_seconds,
                      {},
                      std::move(result.by_round)});
    }
  }
  return rows;
}

// Milliseconds of the first mode, the others over it.
void print_rows(const std::vector<Row>& rows, const std::vector<RunMode>& modes) {
  std::vector<std::vector<std::string>> table{{"model", "devices", "situation"}};
  for (const RunMode& mode : modes) table[0].push_back(label(mode));
  const bool has_bound = !rows.front().to_bound.empty();
  if (has_bound) table[0].push_back("cost+, last step/bound");
  for (const Row& row : rows) {
    table.push_back({row.model, row.cluster, row.situation, milliseconds(row.seconds[0])});
    for (std::size_t m = 1; m < row.seconds.size(); ++m) {
      table.back().push_back(fmt::format("{:.3f}", row.seconds[m] / row.seconds[0]));
    }
    if (has_bound) table.back().push_back(fmt::format("{:.3f}", row.to_bound.back()));
  }
  print_table(table);
}

nlohmann::json to_json(const std::vector<Row>& rows, const std::vector<RunMode>& modes, bool simulated) {
  nlohmann::json list = nlohmann::json::array();
  for (const Row& row : rows) {
    nlohmann::json object = {
        {"model", row.model}, {"devices", row.cluster}, {"situation", row.situation}, {"simulated", simulated}};
    for (std::size_t m = 0; m < modes.size(); ++m) {
      nlohmann::json& mode = object["modes"][label(modes[m])];
      mode["step_ms"] = row.seconds[m] * 1e3;
      if (simulated) mode["last_step_over_bound"] = row.to_bound[m];
      if (!simulated) mode["step_ms_by_round"] = row.by_round[m];
    }
    list.push_back(std::move(object));
  }
  return list;
}

void stealing(StealingOptions options) {
  std::erase(options.clusters, "none");
  for (const std::string& name : options.models) (void)models::recipe(name);
  for (const std::string& name : options.clusters) (void)cluster_of(name);
  std::vector<Row> executed;
  if (options.executed.rounds > 1) executed = execute_all(options);
  const std::vector<Row> simulated = simulate_all(options);
  if (options.json) {
    nlohmann::json results = to_json(executed, executed_modes(), false);
    for (auto& row : to_json(simulated, run_modes(), true)) results.push_back(row);
    return print_json({{"bench", "stealing"},
                       {"policy", options.executed.policy},
                       {"micro_batches_per_device", options.micro_batches_per_device},
                       {"machine", machine_description()},
                       {"results", std::move(results)}});
  }
  if (!executed.empty()) {
    print_machine();
    print_rows(executed, executed_modes());
  }
  if (simulated.empty()) return;
  fmt::print("\nsimulated, by the roofline of each cluster; + plans anew by what it has measured\n");
  print_rows(simulated, run_modes());
}

}  // namespace

void add_bench_stealing_command(CLI::App& bench) {
  CLI::App& command = *bench.add_subcommand("stealing", "Stealing and planning anew where the plan is wrong");
  const auto options = std::make_shared<StealingOptions>();
  add_list_option(command, "--models", options->models, "Models, by name");
  add_list_option(command, "--clusters", options->clusters,
                  "Simulated: presets, h100x2-nvlink, h100x4-nvlink, or none");
  command.add_option("--devices", options->executed.devices, "Executed: CPU devices of one thread")
      ->check(at_least(2))
      ->capture_default_str();
  add_policy_options(command, options->executed.policy, options->executed.plan_seconds);
  command.add_option("--micro-batches-per-device", options->micro_batches_per_device, "Parts of a batch, by device")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--steps", options->executed.steps, "Executed: of each turn")
      ->check(at_least(10))
      ->capture_default_str();
  command
      .add_option("--rounds", options->executed.rounds,
                  "Executed: turns of each way; the first does not count; 0: none")
      ->check(at_least(0))
      ->capture_default_str();
  command.add_option("--simulated-steps", options->simulated_steps, "Of each run")
      ->check(at_least(10))
      ->capture_default_str();
  command.add_option("--seeds", options->seeds, "Simulated runs with wrong costs, each other ones")
      ->check(at_least(1))
      ->capture_default_str();
  add_json_option(command, options->json);
  command.callback([options] { stealing(*options); });
}

}  // namespace skua::cli
