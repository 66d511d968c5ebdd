#include "skua/scheduler/policy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

#include "policies/repair.h"
#include "skua/scheduler/simulator.h"

namespace skua {
namespace {

std::vector<PolicyInfo>& registry() {
  static std::vector<PolicyInfo> infos = builtin_policies();
  return infos;
}

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

}  // namespace skua
