// Reads a file of a task graph and, where it is small, plans it.
#pragma once

#include <algorithm>

#include "fuzz.h"
#include "skua/scheduler/max_load.h"
#include "skua/scheduler/policy.h"

namespace skua::test {

inline constexpr double kRounding = 1e-9;  // relative

inline bool is_small(const TimedGraph& graph, const Cluster& cluster) {
  std::size_t readers = 0;
  for (const TimedEdge& edge : graph.edges) readers += edge.to.size();
  return graph.tasks.size() <= 8 && readers <= 32 && cluster.device_count() <= 6;
}

inline void plan_all_ways(const TimedGraph& graph, const Cluster& cluster) {
  attempt([&] {
    const Cluster limited = with_limits(cluster, graph.constraints);
    const TimedProblem problem(graph, limited);
    const TaskGraph tasks(problem.graph, 1, problem.constraints);
    require(tasks.task_count() == graph.tasks.size(), "a task each");
    const Plan plan = plan_with("heft", tasks, limited, problem.costs);
    require(plan.lower_bound_seconds <= plan.predicted_seconds * (1 + kRounding), "no plan below the bound");
  });
  attempt([&] {
    const LoadSplit split = minimize_max_load(graph, cluster);
    const std::vector<double> loads = device_loads(graph, cluster, split.devices);
    const double most = *std::max_element(loads.begin(), loads.end());
    require(split.max_load == most, "the load that the devices have");
    require(split.bound <= most * (1 + kRounding), "no split below the bound");
  });
}

inline int fuzz_task_graph(const std::string& file, const std::string& text) {
  const auto graph = accepted([&] { return load_timed_graph(fuzz_folder().write(file, text)); });
  if (!graph) return 0;
  const Cluster cluster = graph->cluster ? *graph->cluster : timed_cluster(2);
  if (is_small(*graph, cluster)) {
    plan_all_ways(*graph, cluster);
  } else {
    attempt([&] { (void)TimedProblem(*graph, timed_cluster(2)); });
  }
  return 0;
}

}  // namespace skua::test
