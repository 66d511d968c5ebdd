#include "local_search.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "repair.h"

namespace skua {
namespace {

constexpr double kTasksPerSecond = 1.2e7;  // simulated on one core, about
// Other work, in tasks simulated for each task of a step: a plan laid out to be simulated, laid out in memory, made by
// another policy.
constexpr double kLayOutWork = 0.3;
constexpr double kFitsWork = 8;
constexpr double kBeginningWork = 12;

// A run of neighbours among `count`, short ones more often than long ones.
std::pair<std::size_t, std::size_t> some_range(std::size_t count, Random& random) {
  const std::size_t most = random.below(2) == 0 ? std::min<std::size_t>(count, 2) : count;
  const std::size_t length = 1 + random.below(most);
  const std::size_t begin = random.below(count - length + 1);
  return {begin, begin + length};
}

}  // namespace

SearchSpace::SearchSpace(const CostTable& costs, double budget_seconds)
    : costs_(costs),
      graph_(costs.graph()),
      evaluator_(costs),
      anchors_(graph_.graph()),
      computes_(anchors_.count() * static_cast<std::size_t>(graph_.micro_batches())),
      updates_(anchors_.count()),
      bound_(lower_bound_seconds(costs)),
      budget_(budget_seconds * kTasksPerSecond) {
  for (std::size_t i = 0; i < graph_.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    const Task& task = graph_.task(id);
    if (task.kind == TaskKind::kCompute) {
      const std::size_t row = anchors_.of(task.node) * static_cast<std::size_t>(graph_.micro_batches());
      computes_[row + static_cast<std::size_t>(task.micro_batch)].push_back(id);
    } else if (task.kind == TaskKind::kReduce) {
      continue;  // stays with its left operand
    } else if (const std::size_t anchor = anchors_.of_update(graph_, id); anchor != Anchors::kNone) {
      updates_[anchor].push_back(id);
    }
  }
}

std::vector<ScoredPlan> SearchSpace::beginnings(std::vector<ScoredPlan> plans) {
  work_ += kBeginningWork * static_cast<double>(graph_.task_count() * plans.size());
  for (ScoredPlan& scored : plans) {
    if (!scored.plan.strict_order) continue;
    scored.plan.strict_order = false;  // moves would make tasks wait in a circle
    scored.seconds = fits(scored.plan) ? seconds(scored.plan) : std::numeric_limits<double>::infinity();
  }
  plans = best_first(std::move(plans));
  if (plans.empty())
    throw std::invalid_argument(
        "[policy] expected a plan to begin with that fits in memory and keeps to the constraints, found none");
  return plans;
}

double SearchSpace::seconds(const Plan& plan, double limit) {
  const double seconds = evaluator_.seconds(plan, limit);
  work_ +=
      kLayOutWork * static_cast<double>(evaluator_.task_count()) + static_cast<double>(evaluator_.simulated_count());
  return seconds;
}

bool SearchSpace::fits(const Plan& plan) {
  work_ += kFitsWork * static_cast<double>(graph_.task_count());
  return std::isfinite(seconds_if_it_fits(plan, costs_));
}

void SearchSpace::move(Plan& plan, Random& random) const {
  switch (random.below(8)) {
    case 0:
      move_updates(plan, random);
      break;
    case 1:
      exchange_micro_batches(plan, random);
      break;
    case 2:
    case 3:
      exchange_turns(plan, random);
      break;
    default:
      move_rectangle(plan, random);
  }
  repair(plan, costs_);
}

void SearchSpace::cross(Plan& plan, const Plan& other, Random& random) const {
  const auto micro_batches = static_cast<std::size_t>(graph_.micro_batches());
  const bool layers = micro_batches == 1 || random.below(2) == 0;
  const auto [begin, end] = some_range(layers ? anchors_.count() : micro_batches, random);
  for (std::size_t row = 0; row < computes_.size(); ++row) {
    const std::size_t at = layers ? row / micro_batches : row % micro_batches;
    if (at < begin || at >= end) continue;
    for (const TaskId id : computes_[row]) plan.placements[id.index()] = other.placements[id.index()];
  }
  for (std::size_t layer = begin; layers && layer < end; ++layer) {
    for (const TaskId id : updates_[layer]) plan.placements[id.index()] = other.placements[id.index()];
  }
  repair(plan, costs_);
}

void SearchSpace::move_rectangle(Plan& plan, Random& random) const {
  const auto micro_batches = static_cast<std::size_t>(graph_.micro_batches());
  const auto [layer_begin, layer_end] = some_range(anchors_.count(), random);
  const auto [batch_begin, batch_end] = some_range(micro_batches, random);
  const DeviceId device(static_cast<std::int64_t>(random.below(costs_.cluster().device_count())));
  for (std::size_t layer = layer_begin; layer < layer_end; ++layer) {
    for (std::size_t m = batch_begin; m < batch_end; ++m) {
      for (const TaskId id : computes_[layer * micro_batches + m]) put(plan, id, device);
    }
  }
}

void SearchSpace::move_updates(Plan& plan, Random& random) const {
  const auto [begin, end] = some_range(anchors_.count(), random);
  const DeviceId device(static_cast<std::int64_t>(random.below(costs_.cluster().device_count())));
  for (std::size_t layer = begin; layer < end; ++layer) {
    for (const TaskId id : updates_[layer]) put(plan, id, device);
  }
}

void SearchSpace::exchange_micro_batches(Plan& plan, Random& random) const {
  const auto micro_batches = static_cast<std::size_t>(graph_.micro_batches());
  const std::size_t a = random.below(micro_batches);
  const std::size_t b = random.below(micro_batches);
  for (std::size_t row = 0; row < computes_.size(); row += micro_batches) {
    for (std::size_t i = 0; i < computes_[row + a].size(); ++i) {
      std::swap(plan.placements[computes_[row + a][i].index()], plan.placements[computes_[row + b][i].index()]);
    }
  }
}

void SearchSpace::exchange_turns(Plan& plan, Random& random) const {
  const std::size_t a = random.below(plan.placements.size());
  for (int attempt = 0; attempt < 8; ++attempt) {
    const std::size_t b = random.below(plan.placements.size());
    if (a == b || plan.placements[a].device != plan.placements[b].device) continue;
    return std::swap(plan.placements[a].priority, plan.placements[b].priority);
  }
}

void SearchSpace::put(Plan& plan, TaskId task, DeviceId device) const {
  if (std::isfinite(costs_.seconds(task, device))) plan.placements[task.index()].device = device;
}

}  // namespace skua
