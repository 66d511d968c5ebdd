// skua schedule.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>

#include "command.h"
#include "planning.h"
#include "skua/scheduler/max_load.h"
#include "skua/scheduler/report.h"

namespace skua::cli {
namespace {

struct ScheduleOptions {
  std::string file;
  std::string cluster;
  std::optional<int> devices;
  std::string policy = "auto";
  double plan_seconds = 10;
  std::string objective = "makespan";
  std::optional<Constraints> constraints;
  std::string out;
  std::string gantt;
  bool placements = false;
  bool json = false;
};

Cluster cluster_for(const ScheduleOptions& options, const TimedGraph& timed) {
  if (!options.cluster.empty() && options.devices) {
    throw std::invalid_argument("[schedule] expected --cluster or --devices, got both");
  }
  if (!options.cluster.empty()) return make_cluster(options.cluster);
  if (options.devices || !timed.cluster) return timed_cluster(options.devices.value_or(2));
  return *timed.cluster;
}

struct Stopwatch {
  using Clock = std::chrono::steady_clock;
  Clock::time_point start = Clock::now();
  [[nodiscard]] double seconds() const { return std::chrono::duration<double>(Clock::now() - start).count(); }
};

// A plan of the whole graph, and what is known of it.
struct Scheduled {
  Plan plan;
  nlohmann::json figures;
};

Scheduled least_makespan(const ScheduleOptions& options, const TimedProblem& problem, const TaskGraph& tasks,
                         const Cluster& cluster) {
  Scheduled result;
  const Stopwatch watch;
  result.plan = plan_with(options.policy, tasks, cluster, problem.costs, {"", options.plan_seconds});
  const double seconds = watch.seconds();
  const double bound = result.plan.lower_bound_seconds;
  result.figures = {{"policy", result.plan.policy},
                    {"planning_seconds", seconds},
                    {"makespan_seconds", result.plan.predicted_seconds},
                    {"lower_bound", bound},
                    {"gap_percent", gap_percent(result.plan.predicted_seconds, bound)}};
  return result;
}

Scheduled least_max_load(const TimedGraph& timed, const TimedProblem& problem, const TaskGraph& tasks,
                         const Cluster& cluster) {
  const Stopwatch watch;
  const LoadSplit split = minimize_max_load(timed, cluster);
  const double seconds = watch.seconds();
  Scheduled result;
  Plan& plan = result.plan;
  plan.policy = "max-load";
  plan.graph_fingerprint = tasks.fingerprint();
  for (const DeviceSpec& device : cluster.devices()) plan.device_names.push_back(device.name);
  for (std::size_t i = 0; i < tasks.task_count(); ++i) {
    plan.placements.push_back({split.devices[problem.positions[i]], -static_cast<double>(i)});
  }
  nlohmann::json loads = nlohmann::json::object();
  nlohmann::json bytes = nlohmann::json::object();
  for (const DeviceSpec& device : cluster.devices()) bytes[device.name] = 0.0;
  for (std::size_t t = 0; t < timed.tasks.size(); ++t) {
    nlohmann::json& there = bytes[cluster.device(split.devices[t]).name];
    there = there.get<double>() + timed.tasks[t].resident_bytes;
  }
  const std::vector<double> by_device = device_loads(timed, cluster, split.devices);
  for (std::size_t d = 0; d < by_device.size(); ++d) loads[cluster.devices()[d].name] = by_device[d];
  result.figures = {{"policy", plan.policy},
                    {"planning_seconds", seconds},
                    {"max_load", split.max_load},
                    {"lower_bound", split.pipeline_bound},
                    {"gap_percent", gap_percent(split.max_load, split.pipeline_bound)},
                    {"lower_bound_of_any_split", split.bound},
                    {"loads", loads},
                    {"peak_bytes", bytes}};
  return result;
}

std::vector<std::vector<std::string>> rows_of(const nlohmann::json& figures) {
  std::vector<std::vector<std::string>> rows = {
      {"file", fmt::format("{}: {} tasks, {} edges", figures.at("file").get<std::string>(),
                           figures.at("tasks").get<std::size_t>(), figures.at("edges").get<std::size_t>())},
      {"cluster", figures.at("cluster").get<std::string>()},
      {"policy", fmt::format("{}, planned in {:.3f} s", figures.at("policy").get<std::string>(),
                             figures.at("planning_seconds").get<double>())}};
  const bool makespan = figures.contains("makespan_seconds");
  rows.push_back({makespan ? "makespan" : "max load",
                  fmt::format("{:.6g} (simulated, in the file's unit of time)",
                              figures.at(makespan ? "makespan_seconds" : "max_load").get<double>())});
  const auto bound = [&](const char* name) { return fmt::format("{:.6g}", figures.at(name).get<double>()); };
  rows.push_back(
      {"lower bound", fmt::format("{}{}, gap {:.2f} %", bound("lower_bound"), makespan ? "" : " of pipelines",
                                  figures.at("gap_percent").get<double>())});
  if (!makespan) rows.push_back({"", bound("lower_bound_of_any_split") + " of any split"});
  return rows;
}

void schedule_file(const ScheduleOptions& options) {
  expect_writable("--out", options.out);
  expect_writable("--gantt", options.gantt);
  TimedGraph timed = load_timed_graph(options.file);
  if (options.constraints) timed.constraints = *options.constraints;
  const bool makespan = options.objective == "makespan";
  const bool busy_limits = std::any_of(timed.constraints.limits.begin(), timed.constraints.limits.end(),
                                       [](const auto& limit) { return limit.busy_seconds.has_value(); });
  if (!makespan && (timed.constraints.on_layers() || busy_limits)) {
    throw std::invalid_argument(fmt::format(
        "[{}] expected --objective makespan for constraints other than limits of memory, got max-load", options.file));
  }
  const Cluster cluster = with_limits(cluster_for(options, timed), timed.constraints);
  const TimedProblem problem(timed, cluster);
  const TaskGraph tasks(problem.graph, 1, problem.constraints);
  Scheduled result =
      makespan ? least_makespan(options, problem, tasks, cluster) : least_max_load(timed, problem, tasks, cluster);
  const CostTable costs(tasks, cluster, problem.costs);
  Schedule schedule(tasks, cluster, result.plan);
  const StepTrace trace = simulate(schedule, costs);
  result.plan.predicted_seconds = trace.seconds;
  nlohmann::json& figures = result.figures;
  if (makespan) {
    // Storage that is used again would hold tasks back: it is laid out once the step is simulated.
    const MemoryPlan memory(schedule, trace, plain_sizes(schedule), false);
    figures["peak_bytes"] = peak_bytes_json(memory, cluster);
  }
  if (!options.out.empty()) save_plan(result.plan, options.out);
  figures.update({{"file", options.file},
                  {"cluster", cluster.name()},
                  {"simulated", true},
                  {"objective", options.objective},
                  {"tasks", timed.tasks.size()},
                  {"edges", timed.edges.size()},
                  {"valid", true}});
  if (options.placements) figures["placements"] = placements_json(result.plan, tasks, cluster);
  const auto rows = rows_of(figures);
  if (!options.gantt.empty()) {
    Report page{"Skua: a schedule of " + options.file, "simulated: " + cluster.name()};
    for (const auto& row : rows) page.figures.emplace_back(row[0], row[1]);
    page.timelines.push_back({"The schedule, " + page.source, &schedule, &trace});
    write_report(page, options.gantt);
  }
  if (options.json) return print_json(figures);
  print_table(rows);
}

}  // namespace

void add_schedule_command(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("schedule", "Schedule a task graph of times and sizes; simulated");
  const auto options = std::make_shared<ScheduleOptions>();
  command.add_option("file", options->file, "JSON, .stg, .dot or .gv (docs/task-graphs.md)")->required();
  command.add_option("--devices", options->devices, "So many equal devices; else the file's cluster, or 2")
      ->check(at_least(1));
  add_constraints_option(command, options->constraints);
  command.add_option("--cluster", options->cluster, "A preset (see `skua devices`) or a cluster file");
  add_policy_options(command, options->policy, options->plan_seconds);
  command.add_option("--objective", options->objective, "What is to be least: makespan, or max-load of a pipeline")
      ->check(CLI::IsMember({"makespan", "max-load"}))
      ->capture_default_str();
  command.add_option("--out", options->out, "Write the plan; JSON where the name ends in .json");
  command.add_option("--gantt", options->gantt, "Write a Gantt chart: .svg, else HTML");
  command.add_flag("--placements", options->placements, "List every task's place in the JSON");
  add_json_option(command, options->json);
  command.callback([options] { schedule_file(*options); });
}

}  // namespace skua::cli
