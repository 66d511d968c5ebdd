#include "skua/scheduler/policy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <limits>
#include <numeric>
#include <optional>
#include <stdexcept>
#include <tuple>

#include "parallel.h"
#include "policies/repair.h"
#include "skua/scheduler/simulator.h"

namespace skua {
namespace {

std::vector<PolicyInfo>& registry() {
  static std::vector<PolicyInfo> infos = builtin_policies();
  return infos;
}

// The best plan for one count of micro-batches so far.
struct CountedPlan {
  Plan plan;
  double seconds = std::numeric_limits<double>::infinity();  // where it fits in memory
  std::exception_ptr error;                                  // instead of a plan

  void improve(const std::string& policy, const TaskGraph& graph, const Cluster& cluster, const CostModel& model,
               const PolicyOptions& options) try {
    Plan next = plan_with(policy, graph, cluster, model, options);
    const double next_seconds = seconds_if_it_fits(next, CostTable(graph, cluster, model));
    if (!plan.placements.empty() && next_seconds >= seconds) return;
    plan = std::move(next);
    seconds = next_seconds;
    error = nullptr;
  } catch (const std::invalid_argument&) {
    if (plan.placements.empty()) error = std::current_exception();
  }
  [[nodiscard]] std::tuple<bool, double, double> rank() const {
    return {error != nullptr, seconds, plan.predicted_seconds};
  }
};

}  // namespace

void register_policy(PolicyInfo info) {
  for (const PolicyInfo& known : registry()) {
    if (known.name == info.name) {
      throw std::invalid_argument(fmt::format("[policy {}] expected a new name, got a known one", info.name));
    }
  }
  registry().push_back(std::move(info));
}

const std::vector<PolicyInfo>& policies() {
  return registry();
}

std::unique_ptr<Policy> make_policy(const std::string& name, const PolicyOptions& options) {
  std::vector<std::string> names;
  for (const PolicyInfo& info : registry()) {
    if (info.name == name) return info.make(options);
    names.push_back(info.name);
  }
  throw std::invalid_argument(fmt::format("[policy] expected one of {}, got '{}'", fmt::join(names, ", "), name));
}

Plan plan_with(const std::string& policy, const TaskGraph& graph, const Cluster& cluster, const CostModel& model,
               const PolicyOptions& options) {
  std::optional<OneThread> alone;
  if (options.one_thread) alone.emplace();
  Plan plan = make_policy(policy, options)->make_plan(graph, cluster, model);
  const CostTable costs(graph, cluster, model);
  Plan blank = blank_plan(costs);
  if (plan.policy.empty()) plan.policy = policy;
  if (plan.graph_fingerprint.empty()) plan.graph_fingerprint = std::move(blank.graph_fingerprint);
  if (plan.device_names.empty()) plan.device_names = std::move(blank.device_names);
  validate(plan, graph, cluster);
  repair(plan, costs);
  const StepTrace predicted = simulate(Schedule(graph, cluster, plan), costs);
  const std::string breach = breach_of(plan, costs, predicted);
  if (!breach.empty()) throw std::invalid_argument(fmt::format("[policy {}] {}", policy, breach));
  plan.predicted_seconds = predicted.seconds;
  plan.lower_bound_seconds = std::max(plan.lower_bound_seconds, lower_bound_seconds(costs));
  return plan;
}

Plan plan_best_of(const std::vector<const TaskGraph*>& graphs, const std::string& policy, const Cluster& cluster,
                  const CostModel& model, const PolicyOptions& options) {
  constexpr std::array kKept{std::numeric_limits<std::size_t>::max(), std::size_t{3}, std::size_t{1}};  // by round
  constexpr std::array kShares{0.5, 0.25, 0.25};
  std::vector<CountedPlan> best(graphs.size());
  std::vector<std::size_t> left(graphs.size());
  std::iota(left.begin(), left.end(), std::size_t{0});
  for (std::size_t round = 0; round < kKept.size(); ++round) {
    left.resize(std::min(left.size(), kKept[round]));
    double tasks = 0;
    for (const std::size_t g : left) tasks += static_cast<double>(graphs[g]->task_count());
    parallel_for(left.size(), [&](std::size_t i) {
      const TaskGraph& graph = *graphs[left[i]];
      PolicyOptions share = options;
      share.plan_seconds *= kShares[round] * static_cast<double>(graph.task_count()) / tasks;
      best[left[i]].improve(policy, graph, cluster, model, share);
    });
    std::sort(left.begin(), left.end(), [&](std::size_t a, std::size_t b) {
      return std::pair(best[a].rank(), a) < std::pair(best[b].rank(), b);
    });
  }
  CountedPlan& winner = best[left.front()];
  if (winner.error != nullptr) std::rethrow_exception(winner.error);
  return std::move(winner.plan);
}

}  // namespace skua
