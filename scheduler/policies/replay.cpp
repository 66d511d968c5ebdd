#include <fmt/format.h>

#include <stdexcept>

#include "repair.h"
#include "skua/scheduler/simulator.h"

namespace skua {
namespace {

class Replay final : public Policy {
 public:
  explicit Replay(std::string file) : file_(std::move(file)) {}
  // As it stands, or refused.
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    Plan plan = load_plan(file_);
    validate(plan, graph, cluster);
    const CostTable costs(graph, cluster, model);
    const std::string breach = breach_of(plan, costs, simulate(Schedule(graph, cluster, plan), costs));
    if (!breach.empty()) throw std::invalid_argument(fmt::format("[policy replay] {}", breach));
    return plan;
  }

 private:
  std::string file_;
};

}  // namespace

std::unique_ptr<Policy> make_replay_policy(const PolicyOptions& options) {
  if (options.plan_file.empty()) throw std::invalid_argument("[policy replay] expected a plan file, got none");
  return std::make_unique<Replay>(options.plan_file);
}

}  // namespace skua
