// Policies (planners): pure functions from a task graph, a cluster and costs to a plan.
// A new policy is one file and one line in the registry, or a register_policy call from outside. Registration is for
// start-up, before other threads look policies up; the rest may be called from any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "skua/scheduler/plan.h"

namespace skua {

class Policy {
 public:
  virtual ~Policy() = default;
  // Returns a plan that is valid, but for policy, graph_fingerprint and device_names, which may be left empty, and
  // predicted_seconds: plan_with fills them in. lower_bound_seconds is what the policy has proved itself, or 0.
  // Deterministic. Throws std::invalid_argument where the policy cannot serve this graph or cluster.
  [[nodiscard]] virtual Plan make_plan(const TaskGraph& graph, const Cluster& cluster,
                                       const CostModel& model) const = 0;
};

struct PolicyOptions {
  std::string plan_file;  // replay: the plan to follow
  // Time budget on one thread, about: those that search or solve programs count what they look at, so that a plan does
  // not depend on the machine.
  double plan_seconds = 10;
  bool one_thread = false;  // plan_with: on the calling thread alone, for planning beside steps
};

struct PolicyInfo {
  std::string name;
  std::string description;  // one line
  std::function<std::unique_ptr<Policy>(const PolicyOptions&)> make;
};

void register_policy(PolicyInfo info);                    // throws std::invalid_argument on a known name
[[nodiscard]] const std::vector<PolicyInfo>& policies();  // in order of registration
// Throws std::invalid_argument listing the known names where `name` is none of them.
[[nodiscard]] std::unique_ptr<Policy> make_policy(const std::string& name, const PolicyOptions& options = {});

// Runs the policy, fills in name, fingerprint, device names, the simulated makespan and the best lower bound known, and
// validates the result. What the policy places where it may not run, by its device or by the graph's constraints, is
// moved; a plan file is followed or refused. Throws std::invalid_argument naming the constraint that the plan breaks
// all the same.
[[nodiscard]] Plan plan_with(const std::string& policy, const TaskGraph& graph, const Cluster& cluster,
                             const CostModel& model, const PolicyOptions& options = {});

// For one step cut into several counts of micro-batches, a task graph each: the plan of least simulated makespan, of
// equal ones that of the first graph; plans that fit in memory before those that do not. All are planned in half of the
// budget, the most promising again in a quarter, the best of them in the rest (successive halving: Jamieson, Talwalkar,
// AISTATS 2016); graphs share a budget by their tasks. Throws what plan_with throws for the first graph where
// no graph gets a plan. REQUIRES: a graph or more.
[[nodiscard]] Plan plan_best_of(const std::vector<const TaskGraph*>& graphs, const std::string& policy,
                                const Cluster& cluster, const CostModel& model, const PolicyOptions& options = {});

}  // namespace skua
