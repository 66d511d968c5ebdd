// skua bench planning: how long policies take for graphs of different sizes.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>

#include "command.h"
#include "skua/graph/random.h"
#include "skua/scheduler/task_file.h"

namespace skua::cli {
namespace {

struct PlanningOptions {
  std::vector<int> sizes = {2000, 10'000, 100'000};
  std::vector<std::string> policies = {"single", "heft", "peft", "cpop", "etf", "auto"};
  int devices = 8;
  double plan_seconds = 10;
  bool json = false;
};

// Layers of 1 to 40 tasks of 1 to 10 s; each task reads what one to three tasks of the layer before have made, which
// takes up to 2 s to copy.
TimedGraph layered_graph(int tasks) {
  TimedGraph graph;
  Random random(1);
  std::size_t before = 0;  // where the layer before begins
  for (std::size_t layer = 0; std::ssize(graph.tasks) < tasks; layer = graph.tasks.size()) {
    const auto left = static_cast<std::uint64_t>(tasks) - layer;
    for (std::uint64_t i = std::min(left, 1 + random.below(40)); i > 0; --i) {
      const std::size_t task = graph.tasks.size();
      graph.tasks.push_back({fmt::format("t{}", task), {{kAnyDevice, 1 + 9 * random.uniform()}}});
      for (std::uint64_t reads = 1 + random.below(3); layer > 0 && reads > 0; --reads) {
        const std::size_t from = before + random.below(layer - before);
        graph.edges.push_back({from, {task}, 2 * random.uniform() * kTimedBytesPerSecond});
      }
    }
    before = layer;
  }
  return graph;
}

void check(const PlanningOptions& options) {
  for (const std::string& name : options.policies) (void)make_policy(name, {"-", options.plan_seconds});
}

void time_policies(const PlanningOptions& options) {
  check(options);
  const Cluster cluster = timed_cluster(options.devices);
  nlohmann::json results = nlohmann::json::array();
  std::vector<std::vector<std::string>> rows{{"tasks"}};
  rows[0].insert(rows[0].end(), options.policies.begin(), options.policies.end());
  for (const int size : options.sizes) {
    const TimedProblem problem(layered_graph(size), cluster);
    const TaskGraph tasks(problem.graph, 1);
    rows.push_back({fmt::format("{}", size)});
    for (const std::string& name : options.policies) {
      const auto start = std::chrono::steady_clock::now();
      const Plan plan = plan_with(name, tasks, cluster, problem.costs, {"", options.plan_seconds});
      const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      rows.back().push_back(fmt::format("{:.3f} s", seconds));
      results.push_back({{"tasks", size},
                         {"policy", name},
                         {"plan", plan.policy},
                         {"planning_seconds", seconds},
                         {"makespan_seconds", plan.predicted_seconds},
                         {"lower_bound", plan.lower_bound_seconds}});
      fmt::print(stderr, "{} tasks, {}: {:.3f} s\n", size, plan.policy, seconds);
    }
  }
  if (!options.json) return print_table(rows);
  print_json({{"bench", "planning"},
              {"machine", machine_description()},
              {"devices", options.devices},
              {"plan_seconds", options.plan_seconds},
              {"results", results}});
}

}  // namespace

void add_bench_planning_command(CLI::App& bench) {
  CLI::App& command = *bench.add_subcommand("planning", "Seconds that policies take for random layered graphs");
  const auto options = std::make_shared<PlanningOptions>();
  command.add_option("--sizes", options->sizes, "Counts of tasks")
      ->delimiter(',')
      ->take_all()
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--policies", options->policies, "Policies (see `skua policies`)")
      ->delimiter(',')
      ->take_all()
      ->capture_default_str();
  command.add_option("--devices", options->devices, "Equal devices")->check(at_least(1))->capture_default_str();
  command.add_option("--plan-seconds", options->plan_seconds, "Planning budget of one plan")->capture_default_str();
  add_json_option(command, options->json);
  command.callback([options] { time_policies(*options); });
}

}  // namespace skua::cli
