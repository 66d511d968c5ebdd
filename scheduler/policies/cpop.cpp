#include <algorithm>

#include "list_scheduling.h"

namespace skua {
namespace {

// By task, whether it lies on a longest way through the step by mean times: `lengths` are the longest ways through each
// task.
std::vector<bool> critical_path(const TaskGraph& graph, const std::vector<double>& lengths) {
  std::vector<bool> critical(graph.task_count(), false);
  TaskId at;
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    if (!graph.predecessors(id).empty()) continue;
    if (!at.valid() || lengths[i] > lengths[at.index()]) at = id;
  }
  while (at.valid()) {
    critical[at.index()] = true;
    TaskId longest;
    for (TaskId next : graph.successors(at)) {
      if (!longest.valid() || lengths[next.index()] > lengths[longest.index()]) longest = next;
    }
    at = longest;
  }
  return critical;
}

// "Critical path on a processor": the whole critical path goes to the device that is fastest at it. Topcuoglu, Hariri,
// Wu, IEEE TPDS 13(3), 2002, section 4.2.
class Cpop final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    std::vector<double> lengths = upward_ranks(costs);
    const std::vector<double> from_start = downward_ranks(costs);
    for (std::size_t i = 0; i < lengths.size(); ++i) lengths[i] += from_start[i];
    const std::vector<bool> critical = critical_path(graph, lengths);
    std::vector<double> seconds(cluster.device_count(), 0);  // of the critical path
    for (std::size_t i = 0; i < graph.task_count(); ++i) {
      if (!critical[i]) continue;
      for (std::size_t d = 0; d < seconds.size(); ++d) {
        seconds[d] += costs.seconds(TaskId(static_cast<std::int64_t>(i)), DeviceId(static_cast<std::int64_t>(d)));
      }
    }
    const DeviceId fastest(std::min_element(seconds.begin(), seconds.end()) - seconds.begin());
    return list_schedule(costs, lengths, [&](const Timeline& timeline, TaskId task) {
      if (critical[task.index()] && timeline.allows(task, fastest)) return timeline.slot(task, fastest);
      return timeline.earliest_finish(task);
    });
  }
};

}  // namespace

std::unique_ptr<Policy> make_cpop_policy(const PolicyOptions&) {
  return std::make_unique<Cpop>();
}

}  // namespace skua
