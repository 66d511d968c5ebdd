// skua bench policies: every policy on every model and cluster; simulated.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <stdexcept>

#include "command.h"
#include "planning.h"
#include "skua/scheduler/report.h"

namespace skua::cli {
namespace {

struct PoliciesOptions {
  std::vector<std::string> models = tutorial_models();
  std::vector<std::string> clusters = {"cpu:2", "a100x4-pcie", "h100x8-nvlink"};
  std::vector<std::string> policies;  // none: all but replay
  std::string micro_batches = "auto";
  double plan_seconds = 1;
  std::string csv;
  std::string report;
  bool json = false;
};

void check(PoliciesOptions& options) {
  expect_writable("--csv", options.csv);
  expect_writable("--report", options.report);
  options.policies = policies_or_all(options.policies);
  for (const std::string& name : options.models) (void)models::recipe(name);
  for (const std::string& name : options.clusters) (void)make_cluster(name);
}

// One policy's plan, at its own best micro-batch count where none is given; its error where it refuses.
nlohmann::json planned(const PoliciesOptions& options, const std::string& model, const std::string& cluster,
                       const std::string& policy) {
  PlanRequest request;
  request.model = model;
  request.cluster = cluster;
  request.policy = policy;
  request.plan_seconds = options.plan_seconds;
  request.micro_batches = options.micro_batches;
  nlohmann::json row;
  try {
    const PlannedStep step(request);
    row = step.to_json(step.plan().predicted_seconds, false);
    row["devices"] = step.cluster().device_count();
  } catch (const std::invalid_argument& error) {
    row = {{"model", model}, {"cluster", cluster}, {"error", error.what()}};
  }
  row["plan"] = row.value("policy", "");  // "auto (heft)"
  row["policy"] = policy;
  return row;
}

void write_csv(const nlohmann::json& results, const std::string& path) {
  std::ofstream file(path, std::ios::trunc);
  file
      << "model,cluster,policy,plan,micro_batches,simulated_seconds,speedup,lower_bound,gap_percent,planning_seconds\n";
  for (const auto& row : results) {
    if (row.contains("error")) continue;
    file << fmt::format(
        "{},{},{},{},{},{},{},{},{},{}\n", row["model"].get<std::string>(), row["cluster"].get<std::string>(),
        row["policy"].get<std::string>(), row["plan"].get<std::string>(), row["micro_batches"].get<int>(),
        row["makespan_seconds"].get<double>(), row["speedup"].get<double>(), row["lower_bound"].get<double>(),
        row["gap_percent"].get<double>(), row["planning_seconds"].get<double>());
  }
  file.close();
  if (!file) throw std::runtime_error(fmt::format("cannot write the table {}", path));
}

// Speed-up against devices, a drawing for each model and a curve for each policy.
std::vector<ReportCurve> curves_of(const nlohmann::json& results) {
  std::vector<ReportCurve> curves;
  std::map<std::string, std::map<std::string, std::vector<std::pair<double, double>>>> points;
  for (const auto& row : results) {
    if (row.contains("error")) continue;
    points[row["model"]][row["policy"]].emplace_back(row["devices"].get<double>(), row["speedup"].get<double>());
  }
  for (auto& [model, by_policy] : points) {
    ReportCurve curve{"Speed-up of " + model + ", simulated", "devices of the cluster", "speed-up over one device", {}};
    for (auto& [policy, line] : by_policy) {
      std::sort(line.begin(), line.end());
      curve.series.emplace_back(policy, line);
    }
    curves.push_back(std::move(curve));
  }
  return curves;
}

void compare_policies(PoliciesOptions options) {
  check(options);
  nlohmann::json results = nlohmann::json::array();
  std::vector<std::vector<std::string>> rows{
      {"model", "cluster", "policy", "micro-batches", "step (simulated)", "speed-up", "gap", "planned in"}};
  for (const std::string& model : options.models) {
    for (const std::string& cluster : options.clusters) {
      const nlohmann::json single = planned(options, model, cluster, "single");
      for (const std::string& policy : options.policies) {
        nlohmann::json row = policy == "single" ? single : planned(options, model, cluster, policy);
        if (row.contains("error")) {
          rows.push_back({model, cluster, policy, "-", "refused: " + row["error"].get<std::string>()});
        } else {
          const double seconds = row["makespan_seconds"];
          row["speedup"] = single.contains("error") ? 0 : single["makespan_seconds"].get<double>() / seconds;
          rows.push_back({model, cluster, row["plan"], fmt::format("{}", row["micro_batches"].get<int>()),
                          milliseconds(seconds), fmt::format("{:.2f}", row["speedup"].get<double>()),
                          fmt::format("{:.1f} %", row["gap_percent"].get<double>()),
                          fmt::format("{:.3f} s", row["planning_seconds"].get<double>())});
        }
        results.push_back(std::move(row));
      }
      fmt::print(stderr, "{} on {}\n", model, cluster);
    }
  }
  if (!options.csv.empty()) write_csv(results, options.csv);
  if (!options.report.empty()) {
    Report page{"Skua: policies", "simulated, by the roofline of each cluster", {}, curves_of(results)};
    for (const auto& row : rows) {
      if (row.size() == rows[0].size()) {
        page.figures.emplace_back(fmt::format("{}, {}, {}", row[0], row[1], row[2]),
                                  fmt::format("{}, {}", row[4], row[5]));
      }
    }
    write_report(page, nullptr, nullptr, options.report);
  }
  if (!options.json) return print_table(rows);
  print_json({{"bench", "policies"}, {"simulated", true}, {"machine", machine_description()}, {"results", results}});
}

}  // namespace

void add_bench_policies_command(CLI::App& bench) {
  CLI::App& command = *bench.add_subcommand("policies", "Every policy on models and clusters; simulated");
  const auto options = std::make_shared<PoliciesOptions>();
  add_list_option(command, "--models", options->models, "Models, by name");
  add_list_option(command, "--clusters", options->clusters, "Presets (see `skua devices`) or cluster files");
  add_list_option(command, "--policies", options->policies, "Policies (see `skua policies`); else all but replay");
  command.add_option("--micro-batches", options->micro_batches, "A count, or auto: the best of each policy")
      ->capture_default_str();
  command.add_option("--plan-seconds", options->plan_seconds, "Planning budget of one plan")->capture_default_str();
  command.add_option("--csv", options->csv, "Write the table as CSV");
  command.add_option("--report", options->report, "Write an HTML report with speed-up curves");
  add_json_option(command, options->json);
  command.callback([options] { compare_policies(*options); });
}

}  // namespace skua::cli
