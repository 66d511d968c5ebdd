#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "placement_program.h"
#include "rounding.h"

namespace skua {
namespace {

using Answer = PlacementProgram::Answer;

constexpr std::size_t kMostShares = 2000;  // of units on devices
constexpr std::size_t kMostIntegerShares = 300;

// The linear relaxation, rounded; with `integers` the program itself by branch and cut, as far as the budget goes.
Plan plan_by_program(const CostTable& costs, const std::vector<ScoredPlan>& known, double budget_seconds,
                     bool integers) {
  const char* const name = integers ? "integer" : "linear";
  if (known.empty()) {
    throw std::invalid_argument(
        fmt::format("[policy {}] expected a plan that fits in memory and keeps to the constraints, found none", name));
  }
  Rounding rounding(costs);
  const double horizon = known.front().seconds;
  const Answer relaxed = PlacementProgram(costs, horizon, kMostShares).relax(budget_seconds);
  rounding.consider(relaxed.shares, relaxed.starts);
  double bound = relaxed.bound_seconds;
  if (integers) {
    const PlacementProgram program(costs, horizon, kMostIntegerShares);
    const Answer answer = program.solve(budget_seconds);
    rounding.consider(answer.shares, answer.starts, program.ordered());
    bound = std::max(bound, answer.bound_seconds);
  }
  if (rounding.best().placements.empty()) {
    throw std::invalid_argument(fmt::format(
        "[policy {}] expected a program that is solved in {} s, got none: give it more time", name, budget_seconds));
  }
  Plan plan = rounding.best();
  plan.lower_bound_seconds = bound;
  return plan;
}

class ByProgram final : public Policy {
 public:
  ByProgram(bool integers, double budget_seconds) : integers_(integers), budget_seconds_(budget_seconds) {}

  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    return plan_by_program(costs, plans_that_fit(costs, model), budget_seconds_, integers_);
  }

 private:
  bool integers_;
  double budget_seconds_;
};

}  // namespace

Plan linear_plan(const CostTable& costs, const std::vector<ScoredPlan>& known, double budget_seconds) {
  return plan_by_program(costs, known, budget_seconds, false);
}

std::unique_ptr<Policy> make_linear_policy(const PolicyOptions& options) {
  return std::make_unique<ByProgram>(false, options.plan_seconds);
}

std::unique_ptr<Policy> make_integer_policy(const PolicyOptions& options) {
  return std::make_unique<ByProgram>(true, options.plan_seconds);
}

}  // namespace skua
