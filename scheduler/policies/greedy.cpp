#include <algorithm>
#include <limits>
#include <utility>

#include "residents.h"

namespace skua {
namespace {

// List scheduling without ranks: R. L. Graham, "Bounds on multiprocessing timing anomalies", SIAM J. Appl. Math. 17(2),
// 1969. Of the devices with memory and time to spare for the task that which ends it first, of equals the one whose
// memory then has least left: the best fit.
class Greedy final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    Plan plan = blank_plan(costs);
    Arrivals arrivals(costs, plan);
    const std::vector<double> rooms = capacities(cluster);
    Residents residents(costs, rooms);
    std::vector<double> free(cluster.device_count(), 0);
    for (std::size_t i = 0; i < graph.task_count(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      std::pair best_fit(std::numeric_limits<double>::infinity(), std::numeric_limits<double>::infinity());
      DeviceId best;
      for (std::size_t d = 0; d < free.size(); ++d) {
        const DeviceId device(static_cast<std::int64_t>(d));
        if (!arrivals.allows(id, device)) continue;
        const double left = residents.free_bytes(device) - residents.needed_bytes(id, device);
        const double finish = std::max(free[d], arrivals.ready_seconds(id, device)) + costs.seconds(id, device);
        if (left < 0 || std::pair(finish, left) >= best_fit) continue;
        best_fit = {finish, left};
        best = device;
      }
      if (!best.valid()) refuse_without_device(costs, id);
      free[best.index()] = best_fit.first;
      residents.place(id, best);
      arrivals.place(id, best, best_fit.first);
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
