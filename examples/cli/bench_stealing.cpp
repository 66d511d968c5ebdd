// skua bench stealing: what stealing and planning anew are worth where reality is not what the plan expects.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "ablation.h"
#include "command.h"
#include "skua/scheduler/median.h"

namespace skua::cli {
namespace {

struct StealingOptions {
  std::vector<std::string> models = tutorial_models();
  std::vector<std::string> clusters = {"cpu:2", "h100x2-nvlink", "h100x4-nvlink", "h100x8-nvlink", "a100x4-pcie"};
  std::string policy = "auto";
  double plan_seconds = 0.2;
  int micro_batches_per_device = 2;
  int steps = 40;
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
  std::vector<double> seconds;  // of a step, by mode: mean over the steps, median over the seeds
  std::vector<double> last;     // likewise of the last step over its bound
  std::vector<double> steals;
};

std::vector<Row> simulate_all(const StealingOptions& options) {
  std::vector<Row> rows;
  for (const std::string& model : options.models) {
    for (const std::string& name : options.clusters) {
      Cluster cluster = cluster_of(name);
      const int count = options.micro_batches_per_device * static_cast<int>(cluster.device_count());
      const Ablation ablation(model, std::move(cluster), count, options.policy, options.plan_seconds);
      for (const Situation& situation : situations()) {
        Row row{model, name, situation.name, {}, {}, {}};
        for (const RunMode& mode : run_modes()) {
          std::vector<double> seconds;
          std::vector<double> last;
          std::vector<double> steals;
          for (int seed = 0; seed < (situation.cost_error > 0 ? options.seeds : 1); ++seed) {
            const Ablation::Outcome outcome =
                ablation.run(situation, mode, options.steps, static_cast<std::uint64_t>(seed));
            seconds.push_back(outcome.mean_seconds());
            last.push_back(outcome.step_seconds.back() / outcome.bound_seconds);
            steals.push_back(outcome.steals);
          }
          row.seconds.push_back(median_of(seconds));
          row.last.push_back(median_of(last));
          row.steals.push_back(median_of(steals));
        }
        rows.push_back(std::move(row));
      }
      fmt::print(stderr, "simulated: {} on {}\n", model, name);
    }
  }
  return rows;
}

void stealing(const StealingOptions& options) {
  const std::vector<Row> rows = simulate_all(options);
  std::vector<std::vector<std::string>> table{{"model", "cluster", "situation", "static"}};
  for (const RunMode& mode : run_modes()) {
    if (mode.name != "static" || mode.adaptive) table[0].push_back(mode.name + (mode.adaptive ? "+" : ""));
  }
  table[0].push_back("last/bound");
  for (const Row& row : rows) {
    table.push_back({row.model, row.cluster, row.situation, milliseconds(row.seconds[0])});
    for (std::size_t m = 1; m < row.seconds.size(); ++m) {
      table.back().push_back(fmt::format("{:.3f}", row.seconds[m] / row.seconds[0]));
    }
    table.back().push_back(fmt::format("{:.3f}", row.last.back()));
  }
  print_table(table);
}

}  // namespace

void add_bench_stealing_command(CLI::App& bench) {
  CLI::App& command = *bench.add_subcommand("stealing", "Stealing and planning anew where the plan is wrong");
  const auto options = std::make_shared<StealingOptions>();
  add_list_option(command, "--models", options->models, "Models, by name");
  add_list_option(command, "--clusters", options->clusters, "Clusters");
  add_policy_options(command, options->policy, options->plan_seconds);
  command.add_option("--micro-batches-per-device", options->micro_batches_per_device, "Parts of a batch, by device")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--steps", options->steps, "Of each run")->check(at_least(10))->capture_default_str();
  command.add_option("--seeds", options->seeds, "Runs with wrong costs, each other ones")
      ->check(at_least(1))
      ->capture_default_str();
  add_json_option(command, options->json);
  command.callback([options] { stealing(*options); });
}

}  // namespace skua::cli
