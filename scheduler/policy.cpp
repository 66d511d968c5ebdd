#include "skua/scheduler/policy.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "policies/builtin.h"
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
  for (std::size_t i = 0; i < plan.placements.size(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    const DeviceId device = plan.placements[i].device;
    if (std::isfinite(costs.seconds(id, device))) continue;
    throw std::invalid_argument(fmt::format("[policy {}] expected a device that can run {}, got {}", policy,
                                            graph.name(id), cluster.device(device).name));
  }
  plan.predicted_seconds = predicted_seconds(plan, costs);
  plan.lower_bound_seconds = std::max(plan.lower_bound_seconds, lower_bound_seconds(costs));
  return plan;
}

}  // namespace skua
