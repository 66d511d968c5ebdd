#include <algorithm>
#include <cmath>
#include <limits>

#include "skua/scheduler/plan.h"

namespace skua {
namespace {

double critical_path_seconds(const CostTable& costs) {
  const TaskGraph& graph = costs.graph();
  std::vector<double> finish(graph.task_count());
  double longest = 0;
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    for (TaskId before : graph.predecessors(id)) finish[i] = std::max(finish[i], finish[before.index()]);
    finish[i] += costs.fastest_seconds(id);
    longest = std::max(longest, finish[i]);
  }
  return longest;
}

// Weak duality: for any speeds s that sum to 1, no schedule is shorter than the sum over tasks of min over devices d of
// s[d] * seconds(task, d), since device d is busy for at most the makespan. Exact for devices whose speeds keep one
// ratio for all tasks; otherwise a bound all the same. Source: the dual of the assignment relaxation, Lenstra, Shmoys,
// Tardos, "Approximation algorithms for scheduling unrelated parallel machines", Mathematical Programming 46, 1990.
double load_seconds(const CostTable& costs) {
  const TaskGraph& graph = costs.graph();
  const std::size_t devices = costs.cluster().device_count();
  std::vector<double> speed(devices, 0);
  for (std::size_t d = 0; d < devices; ++d) {
    double seconds = 0;
    for (std::size_t i = 0; i < graph.task_count(); ++i) {
      const double here = costs.seconds(TaskId(static_cast<std::int64_t>(i)), DeviceId(static_cast<std::int64_t>(d)));
      if (std::isfinite(here)) seconds += here;
    }
    speed[d] = seconds > 0 ? 1 / seconds : 0;
  }
  double total_speed = 0;
  for (double s : speed) total_speed += s;
  if (total_speed == 0) return 0;  // no tasks
  const auto bound = [&](const auto& weight_of) {
    double seconds = 0;
    for (std::size_t i = 0; i < graph.task_count(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      double least = std::numeric_limits<double>::infinity();
      for (std::size_t d = 0; d < devices; ++d) {
        const double here = costs.seconds(id, DeviceId(static_cast<std::int64_t>(d)));
        if (std::isfinite(here)) least = std::min(least, weight_of(d) * here);
      }
      seconds += least;
    }
    return seconds;
  };
  const double even = 1 / static_cast<double>(devices);
  return std::max(bound([&](std::size_t d) { return speed[d] / total_speed; }),
                  bound([&](std::size_t) { return even; }));
}

}  // namespace

double lower_bound_seconds(const CostTable& costs) {
  return std::max(critical_path_seconds(costs), load_seconds(costs));
}

}  // namespace skua
