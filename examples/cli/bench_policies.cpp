// skua bench policies: every policy on every model and cluster; simulated.
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <memory>
#include <regex>
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

// One policy's plan, at its own best micro-batch count where none is given.
struct PolicyResult {
  nlohmann::json row;                 // "error" where the policy refuses
  std::unique_ptr<PlannedStep> step;  // none where it refuses
};

PolicyResult planned(const PoliciesOptions& options, const std::string& model, const std::string& cluster,
                     const std::string& policy) {
  PlanRequest request;
  request.model = model;
  request.cluster = cluster;
  request.policy = policy;
  request.plan_seconds = options.plan_seconds;
  request.micro_batches = options.micro_batches;
  PolicyResult result;
  try {
    result.step = std::make_unique<PlannedStep>(request);
    result.row = result.step->to_json(result.step->plan().predicted_seconds, false);
    result.row["devices"] = result.step->cluster().device_count();
  } catch (const std::invalid_argument& error) {
    result.row = {{"model", model}, {"cluster", cluster}, {"error", error.what()}};
  }
  result.row["plan"] = result.row.value("policy", "");  // "auto (heft)"
  result.row["policy"] = policy;
  return result;
}

// A plan's step, kept for the report.
struct Drawn {
  std::string title;
  std::unique_ptr<PlannedStep> step;
  StepTrace trace;
};

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

// The cluster's kind, its counts of devices left out: "h100-nvlink" for h100x8-nvlink, "cpu" for cpu:2.
std::string family_of(const std::string& cluster) {
  return std::regex_replace(cluster, std::regex("x[0-9]+|:[0-9]+"), "");
}

// Speed-up against devices, from one device on: a drawing for each model and kind of cluster, a curve for each policy.
std::vector<ReportCurve> curves_of(const PoliciesOptions& options, const nlohmann::json& results) {
  std::map<std::pair<std::string, std::string>, std::map<std::string, std::map<double, double>>> points;
  for (const auto& row : results) {
    if (row.contains("error")) continue;
    auto& line = points[{row["model"], family_of(row["cluster"])}][row["policy"]];
    line.emplace(1, 1);
    line[row["devices"].get<double>()] = row["speedup"];
  }
  std::vector<ReportCurve> curves;
  for (const auto& [key, by_policy] : points) {
    ReportCurve curve{fmt::format("Speed-up of {} on {}, simulated", key.first, key.second),
                      "devices of the cluster",
                      "speed-up over one device",
                      {}};
    for (const std::string& policy : options.policies) {  // the same colours in all drawings
      std::vector<std::pair<double, double>> line;
      if (const auto found = by_policy.find(policy); found != by_policy.end()) {
        line.assign(found->second.begin(), found->second.end());
      }
      curve.series.emplace_back(policy, line);
    }
    curves.push_back(std::move(curve));
  }
  return curves;
}

void write_page(const PoliciesOptions& options, const nlohmann::json& results, const std::vector<Drawn>& best,
                const std::vector<std::vector<std::string>>& rows) {
  Report page{.title = "Skua: policies",
              .source = "simulated, by the roofline of each cluster",
              .curves = curves_of(options, results),
              .table = rows};
  for (const Drawn& drawn : best) page.timelines.push_back({drawn.title, &drawn.step->schedule(), &drawn.trace});
  write_report(page, options.report);
}

// All policies for one model on one cluster: results and rows of the table. The best plan, where there is one, is
// drawn.
void compare_on(const PoliciesOptions& options, const std::string& model, const std::string& cluster,
                nlohmann::json& results, std::vector<std::vector<std::string>>& rows, std::vector<Drawn>& drawn) {
  PolicyResult single = planned(options, model, cluster, "single");
  const double single_seconds = single.row.value("makespan_seconds", 0.0);
  PolicyResult best;
  for (const std::string& policy : options.policies) {
    const bool known = policy == "single" && single.step != nullptr;
    PolicyResult result = known ? std::move(single) : planned(options, model, cluster, policy);
    nlohmann::json& row = result.row;
    if (row.contains("error")) {
      rows.push_back({model, cluster, policy, "-", "refused: " + row["error"].get<std::string>()});
      results.push_back(row);
      continue;
    }
    const double seconds = row["makespan_seconds"];
    row["speedup"] = single_seconds / seconds;
    rows.push_back({model, cluster, row["plan"], fmt::format("{}", row["micro_batches"].get<int>()),
                    milliseconds(seconds), fmt::format("{:.2f}", row["speedup"].get<double>()),
                    fmt::format("{:.1f} %", row["gap_percent"].get<double>()),
                    fmt::format("{:.3f} s", row["planning_seconds"].get<double>())});
    results.push_back(row);
    if (best.step == nullptr || seconds < best.row["makespan_seconds"].get<double>() * (1 - 1e-9))
      best = std::move(result);
  }
  fmt::print(stderr, "{} on {}\n", model, cluster);
  if (best.step == nullptr || options.report.empty()) return;
  const StepTrace trace = simulate(best.step->schedule(), best.step->costs());
  drawn.push_back(
      {fmt::format("{} on {}: {}, {} micro-batches, {}", model, cluster, best.row["plan"].get<std::string>(),
                   best.row["micro_batches"].get<int>(), milliseconds(trace.seconds)),
       std::move(best.step), trace});
}

void compare_policies(PoliciesOptions options) {
  check(options);
  nlohmann::json results = nlohmann::json::array();
  std::vector<Drawn> drawn;
  std::vector<std::vector<std::string>> rows{
      {"model", "cluster", "policy", "micro-batches", "step (simulated)", "speed-up", "gap", "planned in"}};
  for (const std::string& model : options.models) {
    for (const std::string& cluster : options.clusters) compare_on(options, model, cluster, results, rows, drawn);
  }
  if (!options.csv.empty()) write_csv(results, options.csv);
  if (!options.report.empty()) write_page(options, results, drawn, rows);
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
  command.add_option("--report", options->report,
                     "Write an HTML report: speed-up curves, the timelines of the best plans");
  add_json_option(command, options->json);
  command.callback([options] { compare_policies(*options); });
}

}  // namespace skua::cli
