#include "earliest_task_first.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <queue>
#include <stdexcept>
#include <tuple>

#include "list_scheduling.h"
#include "residents.h"
#include "skua/scheduler/memory_plan.h"
#include "skua/scheduler/simulator.h"

namespace skua {
namespace {

// A task that is ready, and when a device could start it, or when its data are there.
struct Pair {
  double seconds = 0;
  double rank = 0;
  TaskId task;
  DeviceId device;

  // Whether this one is placed after `other`.
  bool operator<(const Pair& other) const {
    return std::tuple(other.seconds, -other.rank, other.task, other.device) < std::tuple(seconds, -rank, task, device);
  }
};

// The tasks that are ready, as one device could start them one after another: of those whose data are there when the
// device is free that of the highest rank, else that whose data come first. Data may come later than was known when a
// task was added, never sooner.
class Waiting {
 public:
  void add(const Pair& pair) { later_.push(pair); }
  void pop() { now_.empty() ? later_.pop() : now_.pop(); }
  // The first, with when its data are there; none: no task. `data_seconds(task)` is that time, negative where the task
  // does not wait any more.
  template <class DataSeconds>
  [[nodiscard]] Pair first(double free_seconds, DataSeconds data_seconds) {
    while (true) {
      for (; !later_.empty() && later_.top().seconds <= free_seconds; later_.pop()) now_.push(at_once(later_.top()));
      if (now_.empty() && later_.empty()) return {};
      Pair pair = now_.empty() ? later_.top() : now_.top();
      const double known = std::max(pair.seconds, free_seconds);
      pair.seconds = data_seconds(pair.task);
      if (pair.seconds >= 0 && pair.seconds <= known) return pair;
      pop();
      if (pair.seconds >= 0) later_.push(pair);
    }
  }

 private:
  static Pair at_once(Pair pair) {
    pair.seconds = 0;
    return pair;
  }
  std::priority_queue<Pair> later_;
  std::priority_queue<Pair> now_;  // in the order of ranks
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
        expected_(free_.size()),
        here_(free_.size()),
        anywhere_(free_.size()),
        waits_(graph_.task_count()),
        placed_(graph_.task_count(), false) {}

  Plan run() {
    for (std::size_t i = 0; i < waits_.size(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      waits_[i] = graph_.predecessors(id).size();
      if (waits_[i] == 0) add(id);
    }
    for (Choice choice = first(); choice.pair.task.valid(); choice = first()) {
      const Pair& pair = choice.pair;
      if (residents_.needed_bytes(pair.task, pair.device) <= residents_.free_bytes(pair.device)) {
        place(pair.task, pair.device, pair.seconds);
        continue;
      }
      if (choice.queue != nullptr) choice.queue->pop();
      without_room_.push_back(choice);
    }
    if (!without_room_.empty()) refuse(without_room_.front().pair);
    const auto left = std::find(placed_.begin(), placed_.end(), false);
    if (left != placed_.end()) refuse_without_device(costs_, TaskId(left - placed_.begin()));
    return std::move(plan_);
  }

 private:
  struct Choice {
    Pair pair;                 // by start
    Waiting* queue = nullptr;  // whose first it is; none: what a device expects
  };
  static DeviceId device_id(std::size_t d) { return DeviceId(static_cast<std::int64_t>(d)); }

  // The pair that can start first, but for those without room.
  [[nodiscard]] Choice first() {
    Choice best;
    for (std::size_t d = 0; d < free_.size(); ++d) {
      const auto consider = [&](Pair pair, Waiting* queue) {
        if (!pair.task.valid()) return;
        pair.seconds = std::max(pair.seconds, free_[d]);
        if (!best.pair.task.valid() || best.pair < pair) best = {pair, queue};
      };
      const TaskId expected = expected_[d];
      // A device that waits for a favourite takes another task only once its inputs could be anywhere.
      Waiting& queue = expected.valid() ? anywhere_[d] : here_[d];
      consider(queue.first(free_[d],
                           [&](TaskId task) {
                             if (placed_[task.index()] || !arrivals_.allows(task, device_id(d))) return -1.0;
                             return expected.valid() ? ready_anywhere(task)
                                                     : arrivals_.ready_seconds(task, device_id(d));
                           }),
               &queue);
      if (expected.valid() && waits_[expected.index()] == 0 && arrivals_.allows(expected, device_id(d)) &&
          has_room(expected, device_id(d))) {
        consider(pair_of(expected, device_id(d)), nullptr);
      }
    }
    return best;
  }

  // By when the data are there.
  [[nodiscard]] Pair pair_of(TaskId task, DeviceId device) const {
    return {arrivals_.ready_seconds(task, device), ranks_[task.index()], task, device};
  }
  [[nodiscard]] double ready_anywhere(TaskId task) const {
    double seconds = 0;
    for (std::size_t d = 0; d < free_.size(); ++d) {
      seconds = std::max(seconds, arrivals_.ready_seconds(task, device_id(d)));
    }
    return seconds;
  }
  [[nodiscard]] bool has_room(TaskId task, DeviceId device) const {
    return std::none_of(without_room_.begin(), without_room_.end(),
                        [&](const Choice& choice) { return choice.pair.task == task && choice.pair.device == device; });
  }

  void add(TaskId task) {
    const double anywhere = favourites_.empty() ? 0 : ready_anywhere(task);
    for (std::size_t d = 0; d < free_.size(); ++d) {
      if (!arrivals_.allows(task, device_id(d))) continue;
      Pair pair = pair_of(task, device_id(d));
      here_[d].add(pair);
      pair.seconds = anywhere;
      if (!favourites_.empty()) anywhere_[d].add(pair);
    }
  }

  void place(TaskId task, DeviceId device, double start) {
    placed_[task.index()] = true;
    free_[device.index()] = start + costs_.seconds(task, device);
    arrivals_.place(task, device, free_[device.index()]);
    residents_.place(task, device);
    plan_.placements[task.index()] = {device, -start};
    for (TaskId next : graph_.successors(task)) {
      if (--waits_[next.index()] == 0) add(next);
    }
    for (Choice& choice : without_room_) {
      choice.pair.seconds = 0;  // found out anew
      if (choice.queue != nullptr) choice.queue->add(choice.pair);
    }
    without_room_.clear();
    if (favourites_.empty()) return;
    for (TaskId& expected : expected_) {
      if (expected == task) expected = {};
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
  std::vector<double> free_;       // from when on, by device
  std::vector<TaskId> expected_;   // by device: the favourite of what it ran last, not placed yet; invalid: none
  std::vector<Waiting> here_;      // by device: the tasks that are ready, by when their data are there
  std::vector<Waiting> anywhere_;  // likewise, by when they could be in any memory; empty where nothing is expected
  std::vector<std::size_t> waits_;
  std::vector<bool> placed_;
  std::vector<Choice> without_room_;
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
    const Schedule schedule(costs.graph(), costs.cluster(), plan);
    if (fits_in_memory(schedule, simulate(schedule, costs), plain_sizes(schedule))) return plan;
    const std::vector<double> needed = needed_bytes(plan, costs);
    for (std::size_t m = 0; m < rooms.size(); ++m) {
      const double capacity = costs.cluster().memories()[m].capacity_bytes;
      if (needed[m] > capacity) rooms[m] *= kMargin * capacity / needed[m];
    }
  }
  throw std::invalid_argument(
      fmt::format("[policy] expected memories with room for the step, got none in {} attempts", kAttempts));
}

}  // namespace skua
