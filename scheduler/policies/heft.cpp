#include "list_scheduling.h"

namespace skua {
namespace {

class Heft final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    return list_schedule(costs, upward_ranks(costs),
                         [](const Timeline& timeline, TaskId task) { return timeline.earliest_finish(task); });
  }
};

}  // namespace

std::unique_ptr<Policy> make_heft_policy(const PolicyOptions&) {
  return std::make_unique<Heft>();
}

}  // namespace skua
