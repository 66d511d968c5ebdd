// Simulated makespans of many plans of one step, each much like one before it, for searches. One thread at a time.
#pragma once

#include <limits>
#include <vector>

#include "../event_loop.h"

namespace skua {

// Gives what simulate(Schedule(graph, cluster, plan), costs) gives, bit for bit, but builds nothing anew that a plan
// leaves as it is: one array for each property, the same ids of copies, the same loop over events; and of the plan that
// is kept the history, up to the first moment at which the next plan can differ from it.
class PlanEvaluator : private EventLoop<PlanEvaluator> {
 public:
  explicit PlanEvaluator(const CostTable& costs);

  // The makespan where it is `limit` or less; else that, or infinity as soon as it is sure that it is longer: a
  // device's remaining load alone takes it there. REQUIRES: a valid plan, not in strict order.
  [[nodiscard]] double seconds(const Plan& plan, double limit = std::numeric_limits<double>::infinity());
  // Later plans are compared with the one that `seconds` was asked for last. REQUIRES: that gave no infinity.
  void keep();
  // Step tasks of the last plan, and how many of them were simulated again.
  [[nodiscard]] std::size_t task_count() const { return task_count_ + next_.copies.size(); }
  [[nodiscard]] std::size_t simulated_count() const { return simulated_; }

 private:
  friend class EventLoop<PlanEvaluator>;

  struct Copy {
    DatumId datum;
    MemoryId to;
    LaneId lane;
    double priority = 0;
    double seconds = 0;
    bool operator==(const Copy&) const = default;
  };
  struct Run {
    double start = 0;  // when the lane takes it, perhaps before it is awake
    double finish = 0;
  };
  // One plan, and what became of it. Step tasks have the ids that Schedule gives them.
  struct Step {
    std::vector<Placement> placements;
    std::vector<MemoryId> memories;       // by task
    std::vector<Copy> copies;             // by datum, then by memory
    std::vector<std::size_t> first_copy;  // by datum, and one more
    std::vector<Run> runs;                // by step task
    std::vector<StepTaskId> order;        // of their starts
    double seconds = 0;
  };
  // What a lane did in the plan that is kept.
  struct Turn {
    Run run;
    double priority = 0;
    StepTaskId id;
  };

  [[nodiscard]] LaneId lane_of(StepTaskId id) const;
  [[nodiscard]] bool is_parallel(LaneId lane) const { return parallel_[lane.index()]; }
  [[nodiscard]] ReadyEntry entry(StepTaskId id) const;
  template <class Action>
  void for_each_successor(StepTaskId id, Action action) const;
  void start(const ReadyEntry& entry, LaneId lane);
  void finished(StepTaskId /*id*/, LaneId /*lane*/) {}
  void start_thefts() {}

  void lay_out(const Plan& plan);
  void add_up_loads();
  void add_copies(DatumId datum);
  [[nodiscard]] LaneId copy_lane(MemoryId from, MemoryId to, LaneId fallback);
  [[nodiscard]] MemoryId home(DatumId datum) const;
  [[nodiscard]] StepTaskId copy_id(std::size_t copy) const;
  void list_turns();
  [[nodiscard]] double first_difference();
  void compare_copies(double& first);
  void mark_readers(const Copy& copy);
  [[nodiscard]] double first_turn(double priority, StepTaskId id, LaneId lane, double ready, double until) const;
  void restore(double until);

  const TaskGraph& graph_;
  const Cluster& cluster_;
  const std::size_t task_count_;
  std::vector<MemoryId> memories_;  // by device
  std::vector<int> waits_;          // by task: predecessors, copies left out
  std::vector<TaskId> homes_;       // by datum: home_task
  std::vector<LaneId> copy_lanes_;  // by memory from and to; lanes are made when they are first used
  std::vector<bool> parallel_;      // by lane
  std::vector<double> loads_;       // by lane that does one thing at a time: seconds of what it has not begun
  double limit_ = 0;
  Step next_;
  Step kept_;
  bool has_kept_ = false;
  bool turns_listed_ = false;
  bool instants_ = false;                 // whether a task of kept_ takes no time
  std::vector<std::vector<Turn>> turns_;  // of kept_, by lane
  std::vector<StepTaskId> same_copy_;     // by copy of kept_: in next_; invalid: not there, or another
  struct NewCopy {
    std::size_t copy;    // in next_
    StepTaskId kept_id;  // it would come before the copy of this id
  };
  std::vector<NewCopy> new_copies_;  // not among those of kept_, or others
  std::vector<bool> changed_;        // by task
  std::size_t simulated_ = 0;
};

}  // namespace skua
