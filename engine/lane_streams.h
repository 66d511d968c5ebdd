// The lanes' streams of a session on devices that work beside the host, and what keeps a step's order there: each task
// waits for the marks of what comes before it on other streams.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "skua/engine/device.h"
#include "skua/scheduler/trace.h"

namespace skua {

class LaneStreams {
 public:
  // Null where the devices have no streams. `schedule` and `devices` must outlive it.
  [[nodiscard]] static std::unique_ptr<LaneStreams> make(const Schedule& schedule, DeviceSet& devices);

  [[nodiscard]] Stream& stream(LaneId lane) { return *streams_[lane.index()]; }

  // A further stream of a device, numbered behind the lanes.
  [[nodiscard]] LaneId add_stream(DeviceId device);
  // From the first step on the task is submitted to this added stream instead of its lane's. All moved tasks are
  // submitted one at a time.
  void move(StepTaskId task, LaneId stream) { moved_[task.index()] = stream; }
  // What is submitted there from now on waits for the task, which has been submitted in this step.
  void wait_for(StepTaskId task, LaneId stream);

  // Submits to the stream what launches or copies there.
  using Submit = std::function<void(StepTaskId, LaneId, Completion&)>;
  // REQUIRES: what comes before the task has been submitted. One thread at a time for a lane; moved tasks take turns by
  // themselves. An error of `submit` is
  // thrown when the stream has ended all that it was given.
  void submit(StepTaskId task, LaneId lane, const Submit& submit, Completion& completion);

  // A whole step as planned, begun by `begin`, with the lanes' tasks in the order of `predicted`.
  [[nodiscard]] std::unique_ptr<Recording> record(const StepTrace& predicted, const std::function<void()>& begin,
                                                  const Submit& submit);

 private:
  LaneStreams(const Schedule& schedule, DeviceSet& devices);
  // A task's mark belongs to the device that it runs on; one that is stolen gets another.
  struct TaskMarks {
    std::unique_ptr<Mark> planned;
    std::unique_ptr<Mark> stolen;
    DeviceId thief;
    Mark* mark = nullptr;  // of the step under way
    LaneId lane;           // where it was recorded
  };

  Mark& mark_on(TaskMarks& marks, DeviceId planned, DeviceId device);
  // Makes the lane wait for what comes before the task, and returns the task's mark there.
  Mark& enter(StepTaskId task, LaneId lane);
  void submit_on(StepTaskId task, LaneId lane, const Submit& submit, Completion& completion);
  void submit_recorded(StepTaskId task, const Submit& submit);

  const Schedule& schedule_;
  DeviceSet& devices_;
  std::vector<std::unique_ptr<Stream>> streams_;       // by lane, then those that were added
  std::vector<DeviceId> devices_of_;                   // by stream
  std::vector<TaskMarks> marks_;                       // by step task
  std::vector<LaneId> moved_;                          // by step task: its added stream
  std::mutex moving_;                                  // held while a moved task is submitted
  std::vector<std::vector<StepTaskId>> predecessors_;  // by step task
};

}  // namespace skua
