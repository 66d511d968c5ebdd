#include <algorithm>
#include <limits>

#include "local_search.h"

namespace skua {
namespace {

class Genetic final : public Policy {
 public:
  explicit Genetic(double budget_seconds) : budget_seconds_(budget_seconds) {}

  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    return genetic_plan(costs, plans_that_fit(costs, model), budget_seconds_);
  }

 private:
  double budget_seconds_;
};

}  // namespace

// Holland, "Adaptation in natural and artificial systems", 1975: a steady population that keeps its best.
Plan genetic_plan(const CostTable& costs, const std::vector<ScoredPlan>& known, double budget_seconds) {
  constexpr std::size_t kPopulation = 24;
  SearchSpace space(costs, budget_seconds);
  std::vector<ScoredPlan> population = space.beginnings(known);
  ScoredPlan best = population.front();
  Random random(1);
  const auto parent = [&]() -> const ScoredPlan& {  // the better of two
    const ScoredPlan& a = population[random.below(population.size())];
    const ScoredPlan& b = population[random.below(population.size())];
    return a.seconds <= b.seconds ? a : b;
  };
  while (space.spent() < 1 && !space.is_best(best.seconds)) {
    ScoredPlan child = parent();
    if (random.below(2) == 0) space.cross(child.plan, parent().plan, random);
    for (std::uint64_t moves = 1 + random.below(3); moves > 0; --moves) space.move(child.plan, random);
    const auto worst = std::max_element(population.begin(), population.end(),
                                        [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
    const bool full = population.size() == kPopulation;
    child.seconds = space.seconds(child.plan, full ? worst->seconds : std::numeric_limits<double>::infinity());
    if (child.seconds < best.seconds && space.fits(child.plan)) best = child;
    const auto same = [&](const ScoredPlan& other) { return other.seconds == child.seconds; };
    if (std::any_of(population.begin(), population.end(), same)) continue;  // one of a kind
    if (!full) {
      population.push_back(std::move(child));
    } else if (child.seconds < worst->seconds) {
      *worst = std::move(child);
    }
  }
  return best.plan;
}

std::unique_ptr<Policy> make_genetic_policy(const PolicyOptions& options) {
  return std::make_unique<Genetic>(options.plan_seconds);
}

}  // namespace skua
