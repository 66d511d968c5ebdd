// A plan spelled out: the plan's tasks and the copies that its placement implies, each on a lane, with all
// dependencies. What the simulator and the executor both run. Immutable but for add_dependency.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "skua/scheduler/plan.h"

namespace skua {

using StepTaskId = Id<struct StepTaskTag>;
using LaneId = Id<struct LaneTag>;

// A lane does one thing at a time, in ready order, but for parallel ones. Lanes 0..D-1 are the devices; the others are
// copy engines, one for each direction of a link into a memory whose devices have them.
struct Lane {
  DeviceId device;  // whose work it is (a copy engine's: the first device of the destination memory)
  bool copies_only = false;
  bool parallel = false;  // does any number of things at a time: copies over a parallel link
  std::string name;       // "cpu:0", "copy host>gpu:0"
};

struct StepTask {
  TaskId task;    // invalid: a copy
  DatumId datum;  // copies: what is copied
  MemoryId from;  // copies
  MemoryId to;    // copies
  LaneId lane;    // where the plan puts it
  double priority = 0;

  [[nodiscard]] bool is_copy() const { return !task.valid(); }
};

class Schedule {
 public:
  // REQUIRES: the plan is valid for the graph and the cluster (validate). Keeps pointers to both; they must outlive it.
  // A datum lives in the memory of the device that its producer is planned on (parameters and states: the memory of
  // their update, or of their first reader where nothing updates them; inputs: the host; sums: with their left operand,
  // whose memory `validate` demands of the reduce's device). Each other memory that planned readers need it in gets one
  // copy task, on a copy engine where there is one, else on the first reader's device. A strict order becomes
  // dependencies between a device's tasks.
  Schedule(const TaskGraph& graph, const Cluster& cluster, const Plan& plan);

  [[nodiscard]] const TaskGraph& graph() const { return *graph_; }
  [[nodiscard]] const Cluster& cluster() const { return *cluster_; }
  [[nodiscard]] std::size_t task_count() const {
    return tasks_.size();
  }  // tasks of the graph keep their ids; copies follow
  [[nodiscard]] const StepTask& task(StepTaskId id) const { return tasks_[id.index()]; }
  [[nodiscard]] const std::vector<Lane>& lanes() const { return lanes_; }
  [[nodiscard]] std::size_t device_lane_count() const { return cluster_->device_count(); }
  [[nodiscard]] const std::vector<StepTaskId>& successors(StepTaskId id) const { return successors_[id.index()]; }
  [[nodiscard]] int predecessor_count(StepTaskId id) const { return predecessor_counts_[id.index()]; }
  [[nodiscard]] MemoryId home(DatumId id) const { return homes_[id.index()]; }
  [[nodiscard]] MemoryId memory_of(LaneId lane) const { return cluster_->device(lanes_[lane.index()].device).memory; }
  [[nodiscard]] std::string name(StepTaskId id) const;  // the task's, or "copy conv1.weight host>gpu:0"

  // `before` must end before `after` starts (storage that is used again). Doubles are dropped.
  void add_dependency(StepTaskId before, StepTaskId after);
  // A topological order. Throws std::invalid_argument where the dependencies have a cycle.
  [[nodiscard]] std::vector<StepTaskId> topological_order() const;

 private:
  void place_data();
  void add_copies();
  void chain_lanes();
  void add_copy(DatumId datum, MemoryId to, const std::vector<StepTaskId>& readers);
  LaneId copy_lane(MemoryId from, MemoryId to, LaneId fallback);

  const TaskGraph* graph_;
  const Cluster* cluster_;
  std::vector<StepTask> tasks_;
  std::vector<Lane> lanes_;
  std::vector<std::vector<StepTaskId>> successors_;
  std::vector<int> predecessor_counts_;
  std::vector<MemoryId> homes_;
};

// Estimated seconds of a step task on a device lane (copies: of the copy itself, wherever it runs).
[[nodiscard]] double estimated_seconds(const Schedule& schedule, const CostTable& costs, StepTaskId task, LaneId lane);

}  // namespace skua
