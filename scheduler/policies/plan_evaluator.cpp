#include "plan_evaluator.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "../schedule_rules.h"

namespace skua {
namespace {

constexpr double kLonger = std::numeric_limits<double>::infinity();
constexpr LaneId kUnknownLane(-1);
constexpr LaneId kReadersLane(-2);

}  // namespace

PlanEvaluator::PlanEvaluator(const CostTable& costs)
    : EventLoop(costs, costs.cluster().device_count()),
      graph_(costs.graph()),
      cluster_(costs.cluster()),
      task_count_(graph_.task_count()),
      copy_lanes_(cluster_.memory_count() * cluster_.memory_count(), kUnknownLane),
      parallel_(lanes_.size(), false),
      loads_(lanes_.size()),
      turns_(lanes_.size()),
      changed_(task_count_) {
  for (const DeviceSpec& device : cluster_.devices()) memories_.push_back(device.memory);
  for (std::size_t i = 0; i < task_count_; ++i) {
    waits_.push_back(static_cast<int>(graph_.predecessors(TaskId(static_cast<std::int64_t>(i))).size()));
  }
  for (std::size_t i = 0; i < graph_.datum_count(); ++i) {
    homes_.push_back(home_task(graph_, DatumId(static_cast<std::int64_t>(i))));
  }
}

double PlanEvaluator::seconds(const Plan& plan, double limit) {
  lay_out(plan);
  limit_ = limit * (1 + 1e-9);  // loads are sums, and rounded
  now_ = 0;
  done_ = 0;
  next_.order.clear();
  next_.runs.resize(task_count());
  simulated_ = 0;
  add_up_loads();
  if (*std::max_element(loads_.begin(), loads_.end()) > limit_) return kLonger;
  restore(has_kept_ ? first_difference() : 0);
  const std::size_t restored = next_.order.size();
  run_events();
  simulated_ = next_.order.size() - restored;
  return next_.seconds = next_.order.size() == task_count() ? now_ : kLonger;
}

void PlanEvaluator::add_up_loads() {
  std::fill(loads_.begin(), loads_.end(), 0);
  for (std::size_t i = 0; i < task_count(); ++i) {
    const StepTaskId id(static_cast<std::int64_t>(i));
    const LaneId lane = lane_of(id);
    if (!is_parallel(lane)) loads_[lane.index()] += entry(id).estimated_seconds;
  }
}

void PlanEvaluator::keep() {
  std::swap(next_, kept_);
  has_kept_ = true;
  turns_listed_ = false;
}

LaneId PlanEvaluator::lane_of(StepTaskId id) const {
  if (id.index() >= task_count_) return next_.copies[id.index() - task_count_].lane;
  return LaneId(next_.placements[id.index()].device.value);
}

ReadyEntry PlanEvaluator::entry(StepTaskId id) const {
  if (id.index() >= task_count_) {
    const Copy& copy = next_.copies[id.index() - task_count_];
    return {copy.priority, id, copy.seconds};
  }
  const Placement& placement = next_.placements[id.index()];
  return {placement.priority, id, costs_.seconds(TaskId(id.value), placement.device)};
}

template <class Action>
void PlanEvaluator::for_each_successor(StepTaskId id, Action action) const {
  if (id.index() >= task_count_) {
    const Copy& copy = next_.copies[id.index() - task_count_];
    for (const TaskId reader : graph_.consumers(copy.datum)) {
      if (next_.memories[reader.index()] == copy.to) action(StepTaskId(reader.value));
    }
    return;
  }
  const TaskId task(id.value);
  for (const TaskId successor : graph_.successors(task)) action(StepTaskId(successor.value));
  const auto outputs = graph_.outputs(task);  // one after another
  if (outputs.empty()) return;
  const std::size_t last = next_.first_copy[outputs.back().index() + 1];
  for (std::size_t c = next_.first_copy[outputs.front().index()]; c < last; ++c) action(copy_id(c));
}

void PlanEvaluator::start(const ReadyEntry& entry, LaneId lane) {
  if (now_ + loads_[lane.index()] > limit_) return stop();
  if (!is_parallel(lane)) loads_[lane.index()] -= entry.estimated_seconds;
  const double begins = begin(entry.id, lane, entry.estimated_seconds, entry.estimated_seconds);
  next_.runs[entry.id.index()] = {now_, begins + entry.estimated_seconds};
  next_.order.push_back(entry.id);
}

StepTaskId PlanEvaluator::copy_id(std::size_t copy) const {
  return StepTaskId(static_cast<std::int64_t>(task_count_ + copy));
}

MemoryId PlanEvaluator::home(DatumId datum) const {
  const TaskId owner = homes_[datum.index()];
  return owner.valid() ? next_.memories[owner.index()] : kHostMemory;
}

// As Schedule does: see there.
void PlanEvaluator::lay_out(const Plan& plan) {
  next_.placements = plan.placements;
  pending_ = waits_;
  next_.copies.clear();
  next_.first_copy.clear();
  next_.memories.clear();
  for (const Placement& placement : plan.placements) next_.memories.push_back(memories_[placement.device.index()]);
  for (std::size_t i = 0; i < graph_.datum_count(); ++i) add_copies(DatumId(static_cast<std::int64_t>(i)));
  next_.first_copy.push_back(next_.copies.size());
  for (const Copy& copy : next_.copies) pending_.push_back(graph_.datum(copy.datum).producer.valid() ? 1 : 0);
}

void PlanEvaluator::add_copies(DatumId datum) {
  std::vector<Copy>& copies = next_.copies;
  const std::size_t first = copies.size();
  next_.first_copy.push_back(first);
  const MemoryId from = home(datum);
  for (const TaskId reader : graph_.consumers(datum)) {
    const MemoryId to = next_.memories[reader.index()];
    if (to == from) continue;
    ++pending_[reader.index()];
    const Placement& placement = next_.placements[reader.index()];
    std::size_t at = copies.size();
    while (at > first && copies[at - 1].to > to) --at;
    if (at > first && copies[at - 1].to == to) {
      copies[at - 1].priority = std::max(copies[at - 1].priority, placement.priority);
      continue;
    }
    const LaneId lane = copy_lane(from, to, LaneId(placement.device.value));
    copies.insert(copies.begin() + static_cast<std::ptrdiff_t>(at),
                  {datum, to, lane, placement.priority, costs_.copy_seconds(datum, from, to)});
  }
}

LaneId PlanEvaluator::copy_lane(MemoryId from, MemoryId to, LaneId fallback) {
  LaneId& lane = copy_lanes_[from.index() * cluster_.memory_count() + to.index()];
  if (lane == kUnknownLane) {
    lane = kReadersLane;
    if (copy_device(cluster_, from, to).valid()) {
      lane = LaneId(static_cast<std::int64_t>(lanes_.size()));
      lanes_.emplace_back();
      parallel_.push_back(is_parallel_link(cluster_, from, to));
      loads_.push_back(0);
      turns_.emplace_back();
    }
  }
  return lane == kReadersLane ? fallback : lane;
}

// The first moment at which a lane can do something else than in the plan that is kept: when it starts what is no
// longer there or has changed, and when it would start, or come to, what is new to it. Until then all goes the same
// way.
double PlanEvaluator::first_difference() {
  list_turns();
  double first = kept_.seconds;
  std::fill(changed_.begin(), changed_.end(), false);
  compare_copies(first);
  for (std::size_t i = 0; i < task_count_; ++i) {
    if (next_.placements[i] != kept_.placements[i]) changed_[i] = true;
    if (changed_[i]) first = std::min(first, kept_.runs[i].start);
  }
  const auto finish = [&](TaskId task) { return task.valid() ? kept_.runs[task.index()].finish : 0.0; };
  for (const auto& [c, kept_id] : new_copies_) {
    const Copy& copy = next_.copies[c];
    first = first_turn(copy.priority, kept_id, copy.lane, finish(graph_.datum(copy.datum).producer), first);
  }
  for (std::size_t i = 0; i < task_count_; ++i) {
    if (!changed_[i]) continue;
    const StepTaskId id(static_cast<std::int64_t>(i));
    double ready = 0;
    for (const TaskId before : graph_.predecessors(TaskId(id.value))) ready = std::max(ready, finish(before));
    first = first_turn(next_.placements[i].priority, id, lane_of(id), ready, first);
  }
  return first;
}

void PlanEvaluator::list_turns() {
  if (std::exchange(turns_listed_, true)) return;
  for (auto& turns : turns_) turns.clear();
  instants_ = std::any_of(kept_.runs.begin(), kept_.runs.end(), [](const Run& run) { return run.start == run.finish; });
  for (const StepTaskId id : kept_.order) {
    const bool is_copy = id.index() >= task_count_;
    const Copy* copy = is_copy ? &kept_.copies[id.index() - task_count_] : nullptr;
    const Placement& placement = kept_.placements[is_copy ? 0 : id.index()];
    const std::size_t lane = is_copy ? copy->lane.index() : placement.device.index();
    turns_[lane].push_back({kept_.runs[id.index()], is_copy ? copy->priority : placement.priority, id});
  }
}

// Both lists are sorted alike.
void PlanEvaluator::compare_copies(double& first) {
  same_copy_.assign(kept_.copies.size(), StepTaskId());
  new_copies_.clear();
  const auto before = [](const Copy& a, const Copy& b) { return a.datum != b.datum ? a.datum < b.datum : a.to < b.to; };
  std::size_t k = 0;
  const auto lose = [&] {
    first = std::min(first, kept_.runs[task_count_ + k].start);
    mark_readers(kept_.copies[k++]);
  };
  for (std::size_t n = 0; n < next_.copies.size(); ++n) {
    const Copy& copy = next_.copies[n];
    while (k < kept_.copies.size() && before(kept_.copies[k], copy)) lose();
    if (k == kept_.copies.size() || before(copy, kept_.copies[k])) {
      new_copies_.push_back({n, copy_id(k)});
      mark_readers(copy);
    } else if (copy == kept_.copies[k]) {
      same_copy_[k++] = copy_id(n);
    } else {
      first = std::min(first, kept_.runs[task_count_ + k].start);
      new_copies_.push_back({n, copy_id(k)});
      ++k;
    }
  }
  while (k < kept_.copies.size()) lose();
}

// They wait for something else.
void PlanEvaluator::mark_readers(const Copy& copy) {
  for (const TaskId reader : graph_.consumers(copy.datum)) {
    const std::size_t i = reader.index();
    if (next_.memories[i] == copy.to || kept_.memories[i] == copy.to) changed_[i] = true;
  }
}

// When the lane would first start, or prefer, a task that is ready at `ready`, in the plan that is kept; `until` if not
// before.
double PlanEvaluator::first_turn(double priority, StepTaskId id, LaneId lane, double ready, double until) const {
  if (ready >= until || is_parallel(lane)) return std::min(ready, until);
  const std::vector<Turn>& turns = turns_[lane.index()];
  auto turn = std::partition_point(turns.begin(), turns.end(), [&](const Turn& t) { return t.run.start < ready; });
  double idle = turn == turns.begin() ? ready : std::max(ready, std::prev(turn)->run.finish);
  for (; turn != turns.end() && idle < until; ++turn) {
    // Where tasks take no time, one thing follows another at one moment, and the lane may have waited for some of it.
    if (idle < turn->run.start || (instants_ && idle == turn->run.start)) return idle;
    const bool preferred = priority != turn->priority ? priority > turn->priority : id <= turn->id;
    if (preferred) return std::min(until, turn->run.start);
    idle = turn->run.finish;
  }
  return std::min(idle, until);
}

// Takes from the plan that is kept what starts before `until`, finished or still running then.
void PlanEvaluator::restore(double until) {
  for (LaneState& lane : lanes_) lane.free_since = -1;
  for (const StepTaskId kept_id : kept_.order) {
    const Run run = kept_.runs[kept_id.index()];
    if (run.start >= until) break;
    const bool is_copy = kept_id.index() >= task_count_;
    const StepTaskId id = is_copy ? same_copy_[kept_id.index() - task_count_] : kept_id;
    next_.runs[id.index()] = run;
    next_.order.push_back(id);
    pending_[id.index()] = -1;
    const LaneId lane = lane_of(id);
    if (!is_parallel(lane)) loads_[lane.index()] -= entry(id).estimated_seconds;
    if (run.finish < until) {
      lanes_[lane.index()].free_since = run.finish;
      ++done_;
      for_each_successor(id, [this](StepTaskId successor) { --pending_[successor.index()]; });
    } else {
      go_on(id, lane, run.finish);
    }
  }
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    if (pending_[i] == 0) make_ready(StepTaskId(static_cast<std::int64_t>(i)));
  }
}

}  // namespace skua
