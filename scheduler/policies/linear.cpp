#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <queue>
#include <stdexcept>

#include "list_scheduling.h"
#include "placement_program.h"

namespace skua {
namespace {

using Answer = PlacementProgram::Answer;

constexpr std::size_t kMostShares = 2000;  // of units on devices
constexpr std::size_t kMostIntegerShares = 300;

// Every task on the device that has the largest share of it.
Plan largest_shares(const CostTable& costs, const Answer& answer) {
  Plan plan = blank_plan(costs);
  const std::size_t devices = costs.cluster().device_count();
  for (std::size_t i = 0; i < plan.placements.size(); ++i) {
    const auto row = answer.shares.begin() + static_cast<std::ptrdiff_t>(i * devices);
    plan.placements[i].device = DeviceId(std::max_element(row, row + static_cast<std::ptrdiff_t>(devices)) - row);
    const TaskId id(static_cast<std::int64_t>(i));
    if (costs.graph().task(id).kind != TaskKind::kReduce) continue;
    const DeviceId left = left_operand_device(costs.graph(), plan, id);
    if (costs.cluster().device(left).memory != costs.cluster().device(plan.placements[i].device).memory) {
      plan.placements[i].device = left;
    }
  }
  return plan;
}

// Tasks in the order of their starts, none before those it waits for.
void prioritize_by_starts(Plan& plan, const TaskGraph& graph, const std::vector<double>& starts) {
  const auto later = [&](TaskId a, TaskId b) {
    return starts[a.index()] != starts[b.index()] ? starts[a.index()] > starts[b.index()] : a > b;
  };
  std::priority_queue<TaskId, std::vector<TaskId>, decltype(later)> ready(later);
  std::vector<std::size_t> waits(graph.task_count());
  for (std::size_t i = 0; i < waits.size(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    waits[i] = graph.predecessors(id).size();
    if (waits[i] == 0) ready.push(id);
  }
  for (double position = 0; !ready.empty(); ++position) {
    const TaskId task = ready.top();
    ready.pop();
    plan.placements[task.index()].priority = -position;
    for (const TaskId next : graph.successors(task)) {
      if (--waits[next.index()] == 0) ready.push(next);
    }
  }
}

// What an answer says, rounded in several ways; the best of them in simulation, those that fit in memory first. Of each
// task where its largest share is, in the order of starts and of upward ranks; and by list scheduling, where a
// device's missing share of a task counts as that part of the task's time.
class Rounding {
 public:
  explicit Rounding(const CostTable& costs) : costs_(costs), ranks_(upward_ranks(costs)) {}

  void consider(const Answer& answer, bool ordered) {
    if (answer.shares.empty()) return;
    Plan plan = largest_shares(costs_, answer);
    for (std::size_t i = 0; i < ranks_.size(); ++i) plan.placements[i].priority = ranks_[i];
    keep_better(plan);
    if (!answer.starts.empty()) {
      prioritize_by_starts(plan, costs_.graph(), answer.starts);
      keep_better(plan);
      plan.strict_order = true;
      if (ordered) keep_better(plan);
    }
    const std::size_t devices = costs_.cluster().device_count();
    keep_better(list_schedule(costs_, ranks_, [&](const Timeline& timeline, TaskId task) {
      return timeline.best_slot(task, [&](DeviceId device) {
        return (1 - answer.shares[task.index() * devices + device.index()]) * costs_.mean_seconds(task);
      });
    }));
  }
  [[nodiscard]] const Plan& best() const { return best_; }

 private:
  void keep_better(const Plan& plan) {
    const double seconds = seconds_if_it_fits(plan, costs_);
    if (seconds >= seconds_ && !best_.placements.empty()) return;
    best_ = plan;
    seconds_ = seconds;
  }

  const CostTable& costs_;
  std::vector<double> ranks_;
  Plan best_;
  double seconds_ = std::numeric_limits<double>::infinity();
};

// The linear relaxation, rounded; `integers`: the program itself by branch and cut, as far as the budget goes.
class ByProgram final : public Policy {
 public:
  ByProgram(std::string name, bool integers, double budget_seconds)
      : name_(std::move(name)), integers_(integers), budget_seconds_(budget_seconds) {}

  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    const std::vector<ScoredPlan> known = plans_that_fit(costs, model);
    if (known.empty()) {
      throw std::invalid_argument(
          fmt::format("[policy {}] expected memories with room for the step, found no plan that fits", name_));
    }
    Rounding rounding(costs);
    const double horizon = known.front().seconds;
    const Answer relaxed = PlacementProgram(costs, horizon, kMostShares).relax(budget_seconds_);
    rounding.consider(relaxed, false);
    double bound = relaxed.bound_seconds;
    if (integers_) {
      const PlacementProgram program(costs, horizon, kMostIntegerShares);
      const Answer answer = program.solve(budget_seconds_);
      rounding.consider(answer, program.ordered());
      bound = std::max(bound, answer.bound_seconds);
    }
    if (rounding.best().placements.empty()) {
      throw std::invalid_argument(
          fmt::format("[policy {}] expected a program that is solved in {} s, got none: give it more time", name_,
                      budget_seconds_));
    }
    Plan plan = rounding.best();
    plan.lower_bound_seconds = bound;
    return plan;
  }

 private:
  std::string name_;
  bool integers_;
  double budget_seconds_;
};

}  // namespace

std::unique_ptr<Policy> make_linear_policy(const PolicyOptions& options) {
  return std::make_unique<ByProgram>("linear", false, options.plan_seconds);
}

std::unique_ptr<Policy> make_integer_policy(const PolicyOptions& options) {
  return std::make_unique<ByProgram>("integer", true, options.plan_seconds);
}

}  // namespace skua
