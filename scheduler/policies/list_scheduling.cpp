#include "list_scheduling.h"

#include <algorithm>
#include <queue>

namespace skua {

MeanCopy::MeanCopy(const Cluster& cluster) {
  const auto pairs = static_cast<double>(cluster.device_count() * (cluster.device_count() - 1));
  for (const DeviceSpec& a : cluster.devices()) {
    for (const DeviceSpec& b : cluster.devices()) {
      if (&a == &b) continue;
      const double latency = cluster.copy_seconds(0, a.memory, b.memory);
      latency_seconds_ += latency / pairs;
      seconds_per_byte_ += (cluster.copy_seconds(1, a.memory, b.memory) - latency) / pairs;
    }
  }
}

std::vector<double> upward_ranks(const CostTable& costs) {
  const TaskGraph& graph = costs.graph();
  const MeanCopy copy(costs.cluster());
  double step_seconds = 0;
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    step_seconds += costs.mean_seconds(TaskId(static_cast<std::int64_t>(i)));
  }
  std::vector<double> ranks(graph.task_count(), 0);
  for (std::size_t i = graph.task_count(); i-- > 0;) {
    const TaskId id(static_cast<std::int64_t>(i));
    double longest = std::max(0.0, step_seconds - graph.demand(id).deadline_seconds);
    for_each_successor(graph, id, [&](TaskId next, double bytes) {
      longest = std::max(longest, (bytes < 0 ? 0 : copy.seconds(bytes)) + ranks[next.index()]);
    });
    ranks[i] = costs.mean_seconds(id) + longest;
  }
  return ranks;
}

std::vector<double> downward_ranks(const CostTable& costs) {
  const TaskGraph& graph = costs.graph();
  const MeanCopy copy(costs.cluster());
  std::vector<double> ranks(graph.task_count(), 0);
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    const double end = ranks[i] + costs.mean_seconds(id);
    for_each_successor(graph, id, [&](TaskId next, double bytes) {
      ranks[next.index()] = std::max(ranks[next.index()], end + (bytes < 0 ? 0 : copy.seconds(bytes)));
    });
  }
  return ranks;
}

double Gaps::start(double ready, double seconds) const {
  for (auto gap = by_end_.upper_bound(ready); gap != by_end_.end(); ++gap) {
    const double start = std::max(ready, gap->second);
    if (start + seconds <= gap->first) return start;
  }
  return std::max(ready, by_end_.rbegin()->second);
}

void Gaps::take(double start, double seconds, double shortest) {
  const auto gap = by_end_.lower_bound(start + seconds);
  const auto [end, begin] = *gap;
  by_end_.erase(gap);
  if (start - begin >= shortest) by_end_.emplace(start, begin);
  if (end - (start + seconds) >= shortest) by_end_.emplace(end, start + seconds);
}

Timeline::Timeline(const CostTable& costs)
    : costs_(costs),
      plan_(blank_plan(costs)),
      arrivals_(costs, plan_),
      gaps_(costs.cluster().device_count()),
      shortest_(std::numeric_limits<double>::infinity()) {
  for (std::size_t i = 0; i < costs.graph().task_count(); ++i) {
    shortest_ = std::min(shortest_, costs.fastest_seconds(TaskId(static_cast<std::int64_t>(i))));
  }
}

Slot Timeline::slot(TaskId task, DeviceId device) const {
  const double seconds = costs_.seconds(task, device);
  const double start = gaps_[device.index()].start(arrivals_.ready_seconds(task, device), seconds);
  return {device, start, start + seconds};
}

void Timeline::place(TaskId task, const Slot& slot) {
  gaps_[slot.device.index()].take(slot.start, slot.finish - slot.start, shortest_);
  arrivals_.place(task, slot.device, slot.finish);
  plan_.placements[task.index()] = {slot.device, -slot.start};
}

Plan list_schedule(const CostTable& costs, const std::vector<double>& priorities,
                   const std::function<Slot(const Timeline& timeline, TaskId task)>& choose) {
  const TaskGraph& graph = costs.graph();
  const auto later = [&](TaskId a, TaskId b) {
    const auto key = [&](TaskId id) { return std::pair(graph.demand(id).priority, priorities[id.index()]); };
    return key(a) != key(b) ? key(a) < key(b) : a > b;
  };
  std::priority_queue<TaskId, std::vector<TaskId>, decltype(later)> ready(later);
  std::vector<std::size_t> waits(graph.task_count());
  for (std::size_t i = 0; i < waits.size(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    waits[i] = graph.predecessors(id).size();
    if (waits[i] == 0) ready.push(id);
  }
  Timeline timeline(costs);
  while (!ready.empty()) {
    const TaskId task = ready.top();
    ready.pop();
    timeline.place(task, choose(timeline, task));
    for (TaskId next : graph.successors(task)) {
      if (--waits[next.index()] == 0) ready.push(next);
    }
  }
  return timeline.plan();
}

}  // namespace skua
