#include <algorithm>
#include <numeric>

#include "list_scheduling.h"

namespace skua {
namespace {

// By task and device, the optimistic cost table: the longest way from the task's end on that device to the step's end
// if every later task could take its best device. Equation 4 of the paper, its inner minimum split into "on the same
// device" and "on the best one, after a copy".
std::vector<double> optimistic_costs(const CostTable& costs) {
  const TaskGraph& graph = costs.graph();
  const std::size_t devices = costs.cluster().device_count();
  const MeanCopy copy(costs.cluster());
  std::vector<double> table(graph.task_count() * devices, 0);
  const auto with_run = [&](TaskId task, std::size_t d) {
    return table[task.index() * devices + d] + costs.seconds(task, DeviceId(static_cast<std::int64_t>(d)));
  };
  std::vector<double> best(graph.task_count());  // least of with_run
  for (std::size_t i = graph.task_count(); i-- > 0;) {
    const TaskId id(static_cast<std::int64_t>(i));
    for_each_successor(graph, id, [&](TaskId next, double bytes) {
      const double elsewhere = best[next.index()] + (bytes < 0 ? 0 : copy.seconds(bytes));
      for (std::size_t d = 0; d < devices; ++d) {
        double& cost = table[i * devices + d];
        cost = std::max(cost, std::min(with_run(next, d), elsewhere));
      }
    });
    best[i] = with_run(id, 0);
    for (std::size_t d = 1; d < devices; ++d) best[i] = std::min(best[i], with_run(id, d));
  }
  return table;
}

// Looks one task ahead at no more cost than HEFT. Arabnejad and Barbosa, "List scheduling algorithm for heterogeneous
// systems by an optimistic cost table", IEEE TPDS 25(3), 2014.
class Peft final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    const std::size_t devices = cluster.device_count();
    const std::vector<double> table = optimistic_costs(costs);
    std::vector<double> ranks;
    for (auto row = table.begin(); row != table.end(); row += static_cast<std::ptrdiff_t>(devices)) {
      ranks.push_back(std::accumulate(row, row + static_cast<std::ptrdiff_t>(devices), 0.0) /
                      static_cast<double>(devices));
    }
    return list_schedule(costs, ranks, [&](const Timeline& timeline, TaskId task) {
      return timeline.best_slot(task, [&](DeviceId d) { return table[task.index() * devices + d.index()]; });
    });
  }
};

}  // namespace

std::unique_ptr<Policy> make_peft_policy(const PolicyOptions&) {
  return std::make_unique<Peft>();
}

}  // namespace skua
