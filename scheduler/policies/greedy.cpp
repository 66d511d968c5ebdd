#include <algorithm>
#include <limits>

#include "builtin.h"

namespace skua {
namespace {

// List scheduling without ranks: R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math. 17(2),
// 1969, with the earliest finish as the choice of device.
class Greedy final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    Plan plan = blank_plan(costs);
    Arrivals arrivals(costs, plan);
    std::vector<double> free(cluster.device_count(), 0);
    for (std::size_t i = 0; i < graph.task_count(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      double best_finish = std::numeric_limits<double>::infinity();
      DeviceId best;
      for (std::size_t d = 0; d < free.size(); ++d) {
        const DeviceId device(static_cast<std::int64_t>(d));
        if (!arrivals.allows(id, device)) continue;
        const double finish = std::max(free[d], arrivals.ready_seconds(id, device)) + costs.seconds(id, device);
        if (finish >= best_finish) continue;
        best_finish = finish;
        best = device;
      }
      if (!best.valid()) refuse_without_device(costs, id);
      free[best.index()] = best_finish;
      arrivals.place(id, best, best_finish);
      plan.placements[i] = {best, -static_cast<double>(i)};
    }
    return plan;
  }
};

}  // namespace

std::unique_ptr<Policy> make_greedy_policy(const PolicyOptions&) {
  return std::make_unique<Greedy>();
}

}  // namespace skua
