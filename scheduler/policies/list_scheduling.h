// What list schedulers share: ranks of tasks, and placing one task after another into the devices' idle times.
#pragma once

#include <functional>
#include <limits>
#include <map>

#include "builtin.h"

namespace skua {

// Mean seconds of a copy between two different devices' memories, as a line over bytes.
class MeanCopy {
 public:
  explicit MeanCopy(const Cluster& cluster);
  [[nodiscard]] double seconds(double bytes) const { return latency_seconds_ + bytes * seconds_per_byte_; }

 private:
  double latency_seconds_ = 0;
  double seconds_per_byte_ = 0;
};

// Calls action(next, bytes) for every task that waits for `task`, with the bytes that it reads of it; several times
// where it reads several data, and once with -1 where it only waits.
template <class Action>
void for_each_successor(const TaskGraph& graph, TaskId task, Action action) {
  for (TaskId next : graph.successors(task)) action(next, -1.0);
  for (DatumId output : graph.outputs(task)) {
    for (TaskId next : graph.consumers(output)) action(next, graph.datum(output).bytes);
  }
}

// By mean times and mean copies, the longest way from the task to the end of the step, itself included, and from the
// step's start to the task, itself left out. Upwards, a task with a deadline counts as if the rest of a step that
// one device does followed it from its deadline on, so that it and what it waits for come before all else. Topcuoglu,
// Hariri, Wu, "Performance-effective and low-complexity task scheduling for heterogeneous computing", IEEE TPDS 13(3),
// 2002, equations 5 and 7.
[[nodiscard]] std::vector<double> upward_ranks(const CostTable& costs);
[[nodiscard]] std::vector<double> downward_ranks(const CostTable& costs);

// A device's idle times so far, the last one without end.
class Gaps {
 public:
  // The earliest start of a task that is ready at `ready`, not before.
  [[nodiscard]] double start(double ready, double seconds) const;
  // Takes [start, start + seconds]. Gaps shorter than `shortest` are of no use and are forgotten.
  void take(double start, double seconds, double shortest);

 private:
  std::map<double, double> by_end_{{std::numeric_limits<double>::infinity(), 0}};  // end -> begin
};

// When a task would run on a device.
struct Slot {
  DeviceId device;
  double start = 0;
  double finish = std::numeric_limits<double>::infinity();
};

// The schedule so far.
class Timeline {
 public:
  explicit Timeline(const CostTable& costs);

  [[nodiscard]] bool allows(TaskId task, DeviceId device) const { return arrivals_.allows(task, device); }
  // The earliest one on the device, gaps included. REQUIRES: the task's predecessors are placed, the device is allowed.
  [[nodiscard]] Slot slot(TaskId task, DeviceId device) const;
  // Of the slots on the allowed devices that with the least finish + penalty(device); the smaller id among equals.
  // Throws std::invalid_argument where no device is allowed.
  template <class Penalty>
  [[nodiscard]] Slot best_slot(TaskId task, Penalty penalty) const {
    Slot best;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t d = 0; d < gaps_.size(); ++d) {
      const DeviceId device(static_cast<std::int64_t>(d));
      if (!allows(task, device)) continue;
      const Slot found = slot(task, device);
      const double value = found.finish + penalty(device);
      if (value >= least) continue;
      least = value;
      best = found;
    }
    if (!best.device.valid()) refuse_without_device(costs_, task);
    return best;
  }
  [[nodiscard]] Slot earliest_finish(TaskId task) const {
    return best_slot(task, [](DeviceId) { return 0.0; });
  }
  void place(TaskId task, const Slot& slot);
  [[nodiscard]] const Plan& plan() const { return plan_; }  // priorities are starts, negated

 private:
  const CostTable& costs_;
  Plan plan_;
  Arrivals arrivals_;
  std::vector<Gaps> gaps_;  // by device
  double shortest_;         // fastest time of any task
};

// Of the tasks whose predecessors are placed, again and again that with the highest demanded priority, of those that
// with the highest of `priorities` (the smaller id among equals), is placed where `choose` says.
[[nodiscard]] Plan list_schedule(const CostTable& costs, const std::vector<double>& priorities,
                                 const std::function<Slot(const Timeline& timeline, TaskId task)>& choose);

}  // namespace skua
