// What the built-in policies share, and their list.
#pragma once

#include <array>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "skua/scheduler/policy.h"

namespace skua {

[[nodiscard]] std::unique_ptr<Policy> make_single_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_round_robin_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_data_parallel_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_gpipe_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_1f1b_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_greedy_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_heft_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_cpop_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_peft_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_etf_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_m_etf_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_m_sct_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_linear_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_integer_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_convex_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_annealing_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_genetic_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_exact_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_replay_policy(const PolicyOptions& options);
[[nodiscard]] std::unique_ptr<Policy> make_auto_policy(const PolicyOptions& options);
[[nodiscard]] std::vector<PolicyInfo> builtin_policies();

// A plan of this graph on this cluster whose placements are all device 0 at priority 0. Throws
// std::invalid_argument where no device can run one of the tasks.
[[nodiscard]] Plan blank_plan(const CostTable& costs);
// Micro-batch by micro-batch, so that few activations are kept; sums and updates as soon as they can run.
void prioritize_depth_first(Plan& plan, const TaskGraph& graph);
// All devices, the one that may run most of the step's tasks first, of those the one that would do it soonest; the
// smaller id among equals.
[[nodiscard]] std::vector<DeviceId> fastest_devices(const CostTable& costs);
// On the device, or where that may not run the task, on the fastest that may: it will be moved there.
[[nodiscard]] double seconds_here_or_elsewhere(const CostTable& costs, TaskId task, DeviceId device);
// Throws std::invalid_argument: a list scheduler has found no place for the task.
[[noreturn]] void refuse_without_device(const CostTable& costs, TaskId task);
// The device that made the first operand of a sum, in whose memory the sum stays. REQUIRES: that one is placed.
[[nodiscard]] DeviceId left_operand_device(const TaskGraph& graph, const Plan& plan, TaskId reduce);
[[nodiscard]] Plan single_plan(const CostTable& costs, DeviceId device);
// Micro-batches in contiguous blocks on `devices`, sized by their speed.
[[nodiscard]] Plan data_parallel_plan(const CostTable& costs, const std::vector<DeviceId>& devices);
// Simulated makespan, nothing stolen; infinity where a memory is too small for the plan, or the plan breaks a
// constraint.
[[nodiscard]] double seconds_if_it_fits(const Plan& plan, const CostTable& costs);

struct ScoredPlan {
  Plan plan;
  double seconds = std::numeric_limits<double>::infinity();  // simulated
};
// A way to a plan, and its name.
struct Candidate {
  std::string name;
  std::function<Plan()> make;  // throws std::invalid_argument where it does not serve the graph
};
// The candidates' plans, in their order, made on several threads. A plan that does not fit in memory takes infinitely
// long, and one without placements is that of a candidate that does not serve the graph.
[[nodiscard]] std::vector<ScoredPlan> make_plans(const CostTable& costs, const std::vector<Candidate>& candidates);
// Those that fit in memory, the best first, in their order among equals.
[[nodiscard]] std::vector<ScoredPlan> best_first(std::vector<ScoredPlan> plans);
// Policies that place tasks one after another, or layers in stages: no searches, no programs to solve.
inline constexpr std::array kQuickPolicies{"heft", "peft", "cpop", "etf", "m_etf", "greedy", "gpipe", "1f1b"};
// best_first of `single`, `data_parallel` and those.
[[nodiscard]] std::vector<ScoredPlan> plans_that_fit(const CostTable& costs, const CostModel& model);

// What policies make of the plans of others: plans_that_fit, and any more, the best first.
[[nodiscard]] Plan linear_plan(const CostTable& costs, const std::vector<ScoredPlan>& known, double budget_seconds);
[[nodiscard]] Plan exact_plan(const CostTable& costs, const std::vector<ScoredPlan>& known, double budget_seconds);
[[nodiscard]] Plan annealing_plan(const CostTable& costs, const std::vector<ScoredPlan>& known, double budget_seconds);
[[nodiscard]] Plan genetic_plan(const CostTable& costs, const std::vector<ScoredPlan>& known, double budget_seconds);

// When data arrive where, for list schedulers, which place one task after another.
class Arrivals {
 public:
  Arrivals(const CostTable& costs, const Plan& plan);
  // Devices that may run the task, for a sum those of its left operand's memory, for a task of a group that of those
  // placed, and none that would be busy for too long.
  [[nodiscard]] bool allows(TaskId task, DeviceId device) const;
  // When all inputs can be in the device's memory. A datum is copied once to each memory. Parameters are taken to live
  // where they are first read.
  [[nodiscard]] double ready_seconds(TaskId task, DeviceId device) const;
  void place(TaskId task, DeviceId device, double finish_seconds);

 private:
  [[nodiscard]] double arrival_seconds(DatumId datum, MemoryId memory) const;
  double& arrival(DatumId datum, MemoryId memory) { return arrivals_[datum.index() * memories_ + memory.index()]; }

  const CostTable& costs_;
  const Plan& plan_;
  std::size_t memories_;
  std::vector<double> arrivals_;         // by datum and memory; infinity: not there
  std::vector<MemoryId> homes_;          // by datum; invalid: not known yet
  std::vector<double> finish_;           // by task
  std::vector<DeviceId> group_devices_;  // invalid: none of the group is placed
  std::vector<double> busy_seconds_;     // by device
};

}  // namespace skua
