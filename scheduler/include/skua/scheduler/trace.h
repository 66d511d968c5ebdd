// What ran where and when in one step, simulated or measured, and how to look at it.
#pragma once

#include <string>
#include <vector>

#include "skua/scheduler/schedule.h"

namespace skua {

struct TaskRecord {
  LaneId lane;               // where it ran; another lane than planned: it was stolen
  double start_seconds = 0;  // from the step's start
  double finish_seconds = 0;
  double copied_bytes = 0;  // moved for it: a copy's own bytes, a stolen task's inputs and outputs

  friend bool operator==(const TaskRecord&, const TaskRecord&) = default;
};

struct StepTrace {
  std::vector<TaskRecord> records;  // by StepTaskId
  double seconds = 0;               // makespan

  friend bool operator==(const StepTrace&, const StepTrace&) = default;
};

struct TraceSummary {
  int steals = 0;
  double bytes_copied = 0;
  std::vector<double> utilization;  // by device: busy share of the makespan
  std::vector<double> bubble;       // by device: idle share of the time from its first start to its last finish
  double step_bubble = 0;           // idle share of all devices' time from the first start to the last finish
};
[[nodiscard]] TraceSummary summarize(const Schedule& schedule, const StepTrace& trace);

// By memory, the most bytes that are alive at a time, in plain layout: parameters, states and outputs throughout,
// others from the start of what makes them there, a copy or a task, to the finish of what last reads them there; sums
// in place; what a stolen task works on also where it is stolen to, while it runs. Inputs in the host's memory are the
// caller's. No arena that holds this step can be smaller.
[[nodiscard]] std::vector<double> peak_live_bytes(const Schedule& schedule, const StepTrace& trace);
// What a task took of its lane. Where the lane was idle when the task became ready, the wait for it to begin is apart;
// where the lane was at work, handing over to this task is part of the run.
struct TaskTime {
  double wake_seconds = 0;
  double run_seconds = 0;
};
// By StepTaskId. A stolen task's wait is none of these.
[[nodiscard]] std::vector<TaskTime> task_times(const Schedule& schedule, const StepTrace& trace);
// Adds a step's times to the cost model, but for those of thefts with transfers and of copies.
void observe(const Schedule& schedule, const StepTrace& trace, CostModel& model);

// "compute", "reduce", "update", "copy", or "steal" for what ran elsewhere than planned.
[[nodiscard]] std::string task_category(const Schedule& schedule, StepTaskId id, const TaskRecord& record);

// Chrome trace events (JSON), which Perfetto opens: a row per lane, tasks named by layer, operator and micro-batch,
// steals and copies in categories of their own, one after the other for several steps. Throws std::runtime_error where
// the file cannot be written. `title` says where the times come from ("measured", "simulated: h100x8-nvlink").
void write_chrome_trace(const Schedule& schedule, const std::vector<StepTrace>& steps, const std::string& title,
                        const std::string& path);

}  // namespace skua
