#include "builtin.h"

namespace skua {
namespace {

class Single final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    return single_plan(costs, fastest_devices(costs).front());
  }
};

}  // namespace

Plan single_plan(const CostTable& costs, DeviceId device) {
  Plan plan = blank_plan(costs);
  for (Placement& placement : plan.placements) placement.device = device;
  prioritize_depth_first(plan, costs.graph());
  return plan;
}

std::unique_ptr<Policy> make_single_policy(const PolicyOptions&) {
  return std::make_unique<Single>();
}

}  // namespace skua
