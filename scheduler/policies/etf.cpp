#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <queue>
#include <stdexcept>
#include <tuple>

#include "list_scheduling.h"
#include "skua/scheduler/memory_plan.h"
#include "skua/scheduler/simulator.h"

namespace skua {
namespace {

// What is in which memory while tasks are placed one after another. What no task will read any more is gone, but for
// parameters, states and outputs. A sum stays in the storage of its left operand.
class Residents {
 public:
  // `rooms`: bytes by memory.
  Residents(const CostTable& costs, const std::vector<double>& rooms)
      : graph_(costs.graph()),
        cluster_(costs.cluster()),
        rooms_(rooms),
        memories_(cluster_.memory_count()),
        used_(memories_, 0),
        there_(graph_.datum_count() * memories_, false),
        readers_(graph_.datum_count(), 0) {
    for (std::size_t i = 0; i < graph_.datum_count(); ++i) {
      const DatumId id(static_cast<std::int64_t>(i));
      const Datum& datum = graph_.datum(id);
      const ValueKind kind = graph_.graph().value(datum.value).kind;
      const bool stays = datum.output || kind == ValueKind::kParameter || kind == ValueKind::kState;
      readers_[datum.storage.index()] += graph_.consumers(id).size() + (stays ? 1 : 0);
    }
  }

  [[nodiscard]] double free_bytes(DeviceId device) const {
    const MemoryId memory = cluster_.device(device).memory;
    return rooms_[memory.index()] - used_[memory.index()];
  }
  // What the task adds to the device's memory.
  [[nodiscard]] double needed_bytes(TaskId task, DeviceId device) const {
    double bytes = 0;
    for (DatumId storage : storages(task)) {
      if (!there_[slot(storage, device)]) bytes += graph_.datum(storage).bytes;
    }
    return bytes;
  }
  void place(TaskId task, DeviceId device) {
    const MemoryId memory = cluster_.device(device).memory;
    for (DatumId storage : storages(task)) {
      if (there_[slot(storage, device)]) continue;
      there_[slot(storage, device)] = true;
      used_[memory.index()] += graph_.datum(storage).bytes;
    }
    for (DatumId input : graph_.inputs(task)) read(graph_.datum(input).storage);
    for (DatumId output : graph_.outputs(task)) {
      if (readers_[graph_.datum(output).storage.index()] == 0) remove(graph_.datum(output).storage);
    }
  }

 private:
  [[nodiscard]] std::size_t slot(DatumId storage, DeviceId device) const {
    return storage.index() * memories_ + cluster_.device(device).memory.index();
  }
  // Of what the task reads and makes, each once.
  [[nodiscard]] std::vector<DatumId> storages(TaskId task) const {
    std::vector<DatumId> ids;
    for (DatumId datum : graph_.inputs(task)) ids.push_back(graph_.datum(datum).storage);
    for (DatumId datum : graph_.outputs(task)) ids.push_back(graph_.datum(datum).storage);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  }
  void read(DatumId storage) {
    if (--readers_[storage.index()] == 0) remove(storage);
  }
  void remove(DatumId storage) {
    for (std::size_t m = 0; m < memories_; ++m) {
      const std::size_t at = storage.index() * memories_ + m;
      if (there_[at]) used_[m] -= graph_.datum(storage).bytes;
      there_[at] = false;
    }
  }

  const TaskGraph& graph_;
  const Cluster& cluster_;
  const std::vector<double>& rooms_;
  std::size_t memories_;
  std::vector<double> used_;          // by memory
  std::vector<bool> there_;           // by storage and memory
  std::vector<std::size_t> readers_;  // by storage: reads to come, and one where it stays to the step's end
};

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

// Of all ready tasks and devices again and again the pair that can start first; among equals the task with the longest
// way to the end. Devices whose memory has no room for what a task reads and makes are passed over; `rooms` are bytes
// by memory. Throws std::invalid_argument where no device has.
Plan earliest_task_first(const CostTable& costs, const std::vector<double>& rooms) {
  const TaskGraph& graph = costs.graph();
  const Cluster& cluster = costs.cluster();
  const std::vector<double> ranks = upward_ranks(costs);
  Plan plan = blank_plan(costs);
  Arrivals arrivals(costs, plan);
  Residents residents(costs, rooms);
  std::vector<double> free(cluster.device_count(), 0);  // from when on, by device
  std::vector<std::size_t> waits(graph.task_count());
  std::vector<bool> placed(graph.task_count(), false);
  std::priority_queue<Pair> pairs;  // their starts may have grown since
  std::vector<Pair> without_room;
  const auto start_of = [&](TaskId task, DeviceId device) {
    return std::max(free[device.index()], arrivals.ready_seconds(task, device));
  };
  const auto add = [&](TaskId task) {
    for (std::size_t d = 0; d < free.size(); ++d) {
      const DeviceId device(static_cast<std::int64_t>(d));
      if (arrivals.allows(task, device)) pairs.push({start_of(task, device), ranks[task.index()], task, device});
    }
  };
  for (std::size_t i = 0; i < waits.size(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    waits[i] = graph.predecessors(id).size();
    if (waits[i] == 0) add(id);
  }
  while (!pairs.empty()) {
    Pair pair = pairs.top();
    pairs.pop();
    if (placed[pair.task.index()]) continue;
    const double start = start_of(pair.task, pair.device);
    if (start > pair.start) {
      pair.start = start;
      pairs.push(pair);
      continue;
    }
    if (residents.needed_bytes(pair.task, pair.device) > residents.free_bytes(pair.device)) {
      without_room.push_back(pair);
      continue;
    }
    placed[pair.task.index()] = true;
    free[pair.device.index()] = start + costs.seconds(pair.task, pair.device);
    arrivals.place(pair.task, pair.device, free[pair.device.index()]);
    residents.place(pair.task, pair.device);
    plan.placements[pair.task.index()] = {pair.device, -start};
    for (TaskId next : graph.successors(pair.task)) {
      if (--waits[next.index()] == 0) add(next);
    }
    for (const Pair& again : without_room) pairs.push(again);
    without_room.clear();
  }
  if (!without_room.empty()) {
    const Pair& pair = without_room.front();
    throw std::invalid_argument(
        fmt::format("[m_etf] expected {:.0f} bytes in the memory of {} for {}, got {:.0f} beside what is there",
                    residents.needed_bytes(pair.task, pair.device), cluster.device(pair.device).name,
                    graph.name(pair.task), std::max(0.0, residents.free_bytes(pair.device))));
  }
  return plan;
}

// Hwang, Chow, Anger, Lee, "Scheduling precedence graphs in systems with interprocessor communication times", SIAM J.
// Comput. 18(2), 1989.
class Etf final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const std::vector<double> rooms(cluster.memory_count(), std::numeric_limits<double>::infinity());
    return earliest_task_first(CostTable(graph, cluster, model), rooms);
  }
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

// ETF within memory limits: Jeon et al., "Baechi: fast device placement of machine learning graphs", SoCC 2020, m-ETF.
// What list scheduling takes for alive is an estimate; where the step needs more of a memory, the room there is taken
// to be smaller, and the tasks are placed anew.
class MEtf final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    constexpr int kAttempts = 20;
    constexpr double kMargin = 0.9;
    const CostTable costs(graph, cluster, model);
    std::vector<double> rooms;
    for (const MemorySpec& memory : cluster.memories()) rooms.push_back(memory.capacity_bytes);
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      Plan plan = earliest_task_first(costs, rooms);
      const std::vector<double> needed = needed_bytes(plan, costs);
      bool fits = true;
      for (std::size_t m = 0; m < rooms.size(); ++m) {
        const double capacity = cluster.memories()[m].capacity_bytes;
        if (needed[m] <= capacity) continue;
        rooms[m] *= kMargin * capacity / needed[m];
        fits = false;
      }
      if (fits) return plan;
    }
    throw std::invalid_argument(
        fmt::format("[m_etf] expected memories with room for the step, got none in {} attempts", kAttempts));
  }
};

}  // namespace

std::unique_ptr<Policy> make_etf_policy(const PolicyOptions&) {
  return std::make_unique<Etf>();
}

std::unique_ptr<Policy> make_m_etf_policy(const PolicyOptions&) {
  return std::make_unique<MEtf>();
}

}  // namespace skua
