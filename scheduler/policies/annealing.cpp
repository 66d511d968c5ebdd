#include <cmath>

#include "local_search.h"

namespace skua {
namespace {

class Annealing final : public Policy {
 public:
  explicit Annealing(double budget_seconds) : budget_seconds_(budget_seconds) {}

  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    return annealing_plan(costs, plans_that_fit(costs, model), budget_seconds_);
  }

 private:
  double budget_seconds_;
};

}  // namespace

// Kirkpatrick, Gelatt, Vecchi, "Optimization by simulated annealing", Science 220, 1983.
Plan annealing_plan(const CostTable& costs, const std::vector<ScoredPlan>& known, double budget_seconds) {
  constexpr double kFirstHeat = 0.03;  // in makespans of the first plan
  constexpr double kLastHeat = 1e-4;
  SearchSpace space(costs, budget_seconds);
  ScoredPlan best = space.beginnings(known).front();
  ScoredPlan now = best;
  const double scale = best.seconds;
  Random random(1);
  Plan next;
  (void)space.seconds(now.plan);
  space.keep();
  while (space.spent() < 1 && !space.is_best(best.seconds)) {
    next = now.plan;
    space.move(next, random);
    const double heat = scale * kFirstHeat * std::pow(kLastHeat / kFirstHeat, space.spent());
    const double limit = now.seconds - heat * std::log(random.uniform());  // taken if e^(-(seconds - now) / heat) > u
    const double seconds = space.seconds(next, limit);
    if (seconds > limit) continue;
    std::swap(now.plan, next);
    now.seconds = seconds;
    space.keep();
    if (now.seconds < best.seconds && space.fits(now.plan)) best = now;
  }
  return best.plan;
}

std::unique_ptr<Policy> make_annealing_policy(const PolicyOptions& options) {
  return std::make_unique<Annealing>(options.plan_seconds);
}

}  // namespace skua
