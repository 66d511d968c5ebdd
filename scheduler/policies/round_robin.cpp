#include <cmath>

#include "builtin.h"

namespace skua {
namespace {

class RoundRobin final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    Plan plan = blank_plan(costs);
    std::size_t next = 0;
    const auto next_device = [&](TaskId id) {  // that can run it
      DeviceId device;
      for (std::size_t tried = 0; tried < cluster.device_count(); ++tried) {
        device = DeviceId(static_cast<std::int64_t>(next++ % cluster.device_count()));
        if (std::isfinite(costs.seconds(id, device))) break;
      }
      return device;
    };
    for (std::size_t i = 0; i < graph.task_count(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      plan.placements[i].device =
          graph.task(id).kind == TaskKind::kReduce ? left_operand_device(graph, plan, id) : next_device(id);
    }
    prioritize_depth_first(plan, graph);
    return plan;
  }
};

}  // namespace

std::unique_ptr<Policy> make_round_robin_policy(const PolicyOptions&) {
  return std::make_unique<RoundRobin>();
}

}  // namespace skua
