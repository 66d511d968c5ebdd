// A task graph of names and times, placed by hand on CPU devices: what benchmarks of the executor run. Owned by its
// benchmark; one thread at a time.
#pragma once

#include <functional>
#include <memory>

#include "skua/scheduler/schedule.h"
#include "skua/scheduler/task_file.h"

namespace skua::cli {

class PlacedStep {
 public:
  // On devices of one thread each; a task's priority falls with its number. REQUIRES: edges lead to larger numbers, so
  // that step tasks are the graph's tasks in their order; device_of(task) is below `devices`.
  PlacedStep(const TimedGraph& timed, int devices, const std::function<int(std::size_t)>& device_of);
  PlacedStep(const PlacedStep&) = delete;  // the schedule points at its neighbours
  PlacedStep& operator=(const PlacedStep&) = delete;

  // What every task is estimated to take. REQUIRES: no executor reads the costs so far.
  void set_estimate(double seconds);

  [[nodiscard]] const Schedule& schedule() const { return schedule_; }
  [[nodiscard]] const CostTable& costs() const { return *costs_; }

 private:
  Cluster cluster_;
  TimedProblem problem_;
  TaskGraph tasks_;
  Schedule schedule_;
  std::unique_ptr<CostTable> costs_;
};

}  // namespace skua::cli
