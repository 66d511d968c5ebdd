#include "builtin.h"

namespace skua {
namespace {

class Single final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    Plan plan = blank_plan(costs);
    const DeviceId fastest = fastest_devices(costs).front();
    for (Placement& placement : plan.placements) placement.device = fastest;
    prioritize_depth_first(plan, graph);
    return plan;
  }
};

}  // namespace

std::unique_ptr<Policy> make_single_policy(const PolicyOptions&) {
  return std::make_unique<Single>();
}

}  // namespace skua
