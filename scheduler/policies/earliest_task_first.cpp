#include "earliest_task_first.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <queue>
#include <set>
#include <stdexcept>
#include <tuple>
#include <utility>

#include "list_scheduling.h"
#include "residents.h"
#include "skua/scheduler/memory_plan.h"
#include "skua/scheduler/simulator.h"

namespace skua {
namespace {

// A task that is ready, and when a device could start it.
struct Pair {
  double start = 0;
  double rank = 0;
  TaskId task;
  DeviceId device;

  // Whether this one is placed after `other`.
  bool operator<(const Pair& other) const {
    return std::tuple(other.start, -other.rank, other.task, other.device) < std::tuple(start, -rank, task, device);
  }
};

// Places the ready task and device that can start first, again and again.
class EarliestTaskFirst {
 public:
  EarliestTaskFirst(const CostTable& costs, const std::vector<double>& rooms, const std::vector<TaskId>& favourites)
      : costs_(costs),
        graph_(costs.graph()),
        favourites_(favourites),
        ranks_(upward_ranks(costs)),
        plan_(blank_plan(costs)),
        arrivals_(costs, plan_),
        residents_(costs, rooms),
        free_(costs.cluster().device_count(), 0),
        expected_(costs.cluster().device_count()),
        delayed_(costs.cluster().device_count()),
        latest_(graph_.task_count() * free_.size()),
        waits_(graph_.task_count()),
        placed_(graph_.task_count(), false) {}

  Plan run() {
    for (std::size_t i = 0; i < waits_.size(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      waits_[i] = graph_.predecessors(id).size();
      if (waits_[i] == 0) add(id);
    }
    while (!pairs_.empty()) {
      Pair pair = pairs_.top();
      pairs_.pop();
      if (placed_[pair.task.index()] || pair.start != latest(pair) || !arrivals_.allows(pair.task, pair.device))
        continue;
      const double start = start_of(pair.task, pair.device);
      if (start > pair.start) {
        pair.start = start;
        push(pair);
        if (expected_[pair.device.index()].valid()) delayed_[pair.device.index()].insert(pair.task);
      } else if (residents_.needed_bytes(pair.task, pair.device) > residents_.free_bytes(pair.device)) {
        without_room_.push_back(pair);
      } else {
        place(pair.task, pair.device, start);
      }
    }
    if (!without_room_.empty()) refuse(without_room_.front());
    const auto left = std::find(placed_.begin(), placed_.end(), false);
    if (left != placed_.end()) refuse_without_device(costs_, TaskId(left - placed_.begin()));
    return std::move(plan_);
  }

 private:
  // A device that waits for a favourite takes another task only once its inputs could be anywhere.
  [[nodiscard]] double start_of(TaskId task, DeviceId device) const {
    double start = std::max(free_[device.index()], arrivals_.ready_seconds(task, device));
    const TaskId expected = expected_[device.index()];
    if (!expected.valid() || expected == task) return start;
    for (std::size_t d = 0; d < free_.size(); ++d) {
      start = std::max(start, arrivals_.ready_seconds(task, DeviceId(static_cast<std::int64_t>(d))));
    }
    return start;
  }

  void add(TaskId task) {
    for (std::size_t d = 0; d < free_.size(); ++d) add(task, DeviceId(static_cast<std::int64_t>(d)));
  }
  void add(TaskId task, DeviceId device) {
    if (!arrivals_.allows(task, device)) return;
    const double start = std::max(free_[device.index()], arrivals_.ready_seconds(task, device));
    push({start, ranks_[task.index()], task, device});
  }
  void push(const Pair& pair) {
    latest(pair) = pair.start;
    pairs_.push(pair);
  }
  double& latest(const Pair& pair) { return latest_[pair.task.index() * free_.size() + pair.device.index()]; }

  void place(TaskId task, DeviceId device, double start) {
    placed_[task.index()] = true;
    free_[device.index()] = start + costs_.seconds(task, device);
    arrivals_.place(task, device, free_[device.index()]);
    residents_.place(task, device);
    plan_.placements[task.index()] = {device, -start};
    for (TaskId next : graph_.successors(task)) {
      if (--waits_[next.index()] == 0) add(next);
    }
    for (const Pair& again : without_room_) push(again);
    without_room_.clear();
    if (favourites_.empty()) return;
    for (std::size_t d = 0; d < free_.size(); ++d) {
      if (expected_[d] != task && d != device.index()) continue;
      expected_[d] = {};
      for (const TaskId other : std::exchange(delayed_[d], {})) {  // can start sooner now
        if (!placed_[other.index()]) add(other, DeviceId(static_cast<std::int64_t>(d)));
      }
    }
    expected_[device.index()] = favourites_[task.index()];
  }

  [[noreturn]] void refuse(const Pair& pair) const {
    throw std::invalid_argument(
        fmt::format("[policy] expected {:.0f} bytes in the memory of {} for {}, got {:.0f} beside what is there",
                    residents_.needed_bytes(pair.task, pair.device), costs_.cluster().device(pair.device).name,
                    graph_.name(pair.task), std::max(0.0, residents_.free_bytes(pair.device))));
  }

  const CostTable& costs_;
  const TaskGraph& graph_;
  const std::vector<TaskId>& favourites_;
  std::vector<double> ranks_;
  Plan plan_;
  Arrivals arrivals_;
  Residents residents_;
  std::vector<double> free_;      // from when on, by device
  std::vector<TaskId> expected_;  // by device: the favourite of what it ran last, not placed yet; invalid: none
  std::vector<std::set<TaskId>> delayed_;  // by device: perhaps by what it expects
  std::vector<double> latest_;             // by task and device: start of the pair that counts, of those that wait
  std::vector<std::size_t> waits_;
  std::vector<bool> placed_;
  std::priority_queue<Pair> pairs_;  // their starts may have grown since
  std::vector<Pair> without_room_;
};

// What the step needs of each memory, if all of them were large enough.
std::vector<double> needed_bytes(const Plan& plan, const CostTable& costs) {
  const Cluster& cluster = costs.cluster();
  std::vector<MemorySpec> memories = cluster.memories();
  for (MemorySpec& memory : memories) memory.capacity_bytes = 1e18;
  const Cluster roomy(cluster.name(), cluster.devices(), memories, cluster.links());
  Schedule schedule(costs.graph(), roomy, plan);
  const MemoryPlan needs(schedule, simulate(schedule, costs), plain_sizes(schedule), false);
  std::vector<double> bytes;
  for (std::size_t m = 0; m < memories.size(); ++m) {
    bytes.push_back(static_cast<double>(needs.arena_bytes(MemoryId(static_cast<std::int64_t>(m)))));
  }
  return bytes;
}

}  // namespace

Plan earliest_task_first(const CostTable& costs, const std::vector<TaskId>& favourites) {
  const std::vector<double> rooms(costs.cluster().memory_count(), std::numeric_limits<double>::infinity());
  return EarliestTaskFirst(costs, rooms, favourites).run();
}

Plan earliest_task_first_in_memory(const CostTable& costs, const std::vector<TaskId>& favourites) {
  constexpr int kAttempts = 20;
  constexpr double kMargin = 0.9;
  std::vector<double> rooms = capacities(costs.cluster());
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    Plan plan = EarliestTaskFirst(costs, rooms, favourites).run();
    const std::vector<double> needed = needed_bytes(plan, costs);
    bool fits = true;
    for (std::size_t m = 0; m < rooms.size(); ++m) {
      const double capacity = costs.cluster().memories()[m].capacity_bytes;
      if (needed[m] <= capacity) continue;
      rooms[m] *= kMargin * capacity / needed[m];
      fits = false;
    }
    if (fits) return plan;
  }
  throw std::invalid_argument(
      fmt::format("[policy] expected memories with room for the step, got none in {} attempts", kAttempts));
}

}  // namespace skua
