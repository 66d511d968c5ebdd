#include "rounding.h"

#include <algorithm>
#include <queue>

#include "list_scheduling.h"
#include "repair.h"

namespace skua {
namespace {

// Every task on the device that has the largest share of it.
Plan largest_shares(const CostTable& costs, const std::vector<double>& shares) {
  Plan plan = blank_plan(costs);
  const std::size_t devices = costs.cluster().device_count();
  for (std::size_t i = 0; i < plan.placements.size(); ++i) {
    const auto row = shares.begin() + static_cast<std::ptrdiff_t>(i * devices);
    plan.placements[i].device = DeviceId(std::max_element(row, row + static_cast<std::ptrdiff_t>(devices)) - row);
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

}  // namespace

Rounding::Rounding(const CostTable& costs) : costs_(costs), ranks_(upward_ranks(costs)) {}

void Rounding::consider(const std::vector<double>& shares, const std::vector<double>& starts, bool in_turn) {
  if (shares.empty()) return;
  Plan plan = largest_shares(costs_, shares);
  for (std::size_t i = 0; i < ranks_.size(); ++i) plan.placements[i].priority = ranks_[i];
  keep_better(plan);
  if (!starts.empty()) {
    prioritize_by_starts(plan, costs_.graph(), starts);
    keep_better(plan);
    plan.strict_order = true;
    if (in_turn) keep_better(plan);
  }
  const std::size_t devices = costs_.cluster().device_count();
  for (const double weight : {1.0, 0.1}) {
    keep_better(list_schedule(costs_, ranks_, [&](const Timeline& timeline, TaskId task) {
      return timeline.best_slot(task, [&](DeviceId device) {
        return weight * (1 - shares[task.index() * devices + device.index()]) * costs_.mean_seconds(task);
      });
    }));
  }
}

void Rounding::keep_better(Plan plan) {
  repair(plan, costs_);
  const double seconds = seconds_if_it_fits(plan, costs_);
  if (seconds >= seconds_ && !best_.placements.empty()) return;
  best_ = std::move(plan);
  seconds_ = seconds;
}

}  // namespace skua
