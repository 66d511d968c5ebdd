#include "lane_streams.h"

#include <set>
#include <utility>

#include "waiter.h"

namespace skua {
namespace {

// What devices with streams tell as soon as work is submitted.
class Submitted final : public Completion {
 public:
  void done(std::exception_ptr failure) noexcept override { error_ = std::move(failure); }
  void check() const {
    if (error_ != nullptr) std::rethrow_exception(error_);
  }

 private:
  std::exception_ptr error_;
};

// Of all orders that the dependencies allow, that in which what starts earlier comes first.
std::vector<StepTaskId> in_order(const Schedule& schedule, const StepTrace& predicted) {
  std::vector<int> pending;
  std::set<std::pair<double, StepTaskId>> ready;
  const auto start = [&](StepTaskId id) { return predicted.records[id.index()].start_seconds; };
  for (std::size_t i = 0; i < schedule.task_count(); ++i) {
    const StepTaskId id(static_cast<std::int64_t>(i));
    pending.push_back(schedule.predecessor_count(id));
    if (pending.back() == 0) ready.emplace(start(id), id);
  }
  std::vector<StepTaskId> order;
  while (!ready.empty()) {
    const StepTaskId id = ready.extract(ready.begin()).value().second;
    order.push_back(id);
    for (const StepTaskId next : schedule.successors(id)) {
      if (--pending[next.index()] == 0) ready.emplace(start(next), next);
    }
  }
  return order;
}

}  // namespace

std::unique_ptr<LaneStreams> LaneStreams::make(const Schedule& schedule, DeviceSet& devices) {
  std::unique_ptr<LaneStreams> streams(new LaneStreams(schedule, devices));
  return streams->streams_.front() == nullptr ? nullptr : std::move(streams);
}

LaneStreams::LaneStreams(const Schedule& schedule, DeviceSet& devices)
    : schedule_(schedule),
      devices_(devices),
      marks_(schedule.task_count()),
      moved_(schedule.task_count()),
      predecessors_(schedule.task_count()) {
  for (const Lane& lane : schedule.lanes()) {
    (void)add_stream(lane.device);
    if (streams_.back() == nullptr) return;
  }
  for (std::size_t i = 0; i < schedule.task_count(); ++i) {
    const StepTaskId id(static_cast<std::int64_t>(i));
    for (const StepTaskId next : schedule.successors(id)) predecessors_[next.index()].push_back(id);
    const DeviceId device = schedule.lanes()[schedule.task(id).lane.index()].device;
    marks_[i].planned = devices.devices[device.index()]->make_mark();
  }
}

LaneId LaneStreams::add_stream(DeviceId device) {
  streams_.push_back(devices_.devices[device.index()]->make_stream());
  devices_of_.push_back(device);
  return LaneId(static_cast<std::int64_t>(streams_.size()) - 1);
}

void LaneStreams::wait_for(StepTaskId task, LaneId stream) {
  const TaskMarks& before = marks_[task.index()];
  if (before.lane != stream) streams_[stream.index()]->wait(*before.mark);
}

Mark& LaneStreams::mark_on(TaskMarks& marks, DeviceId planned, DeviceId device) {
  if (device == planned) return *marks.planned;
  if (marks.thief != device) marks.stolen = devices_.devices[device.index()]->make_mark();
  marks.thief = device;
  return *marks.stolen;
}

Mark& LaneStreams::enter(StepTaskId task, LaneId lane) {
  for (const StepTaskId id : predecessors_[task.index()]) wait_for(id, lane);
  const auto device_of = [&](LaneId id) { return devices_of_[id.index()]; };
  TaskMarks& marks = marks_[task.index()];
  marks.mark = &mark_on(marks, device_of(schedule_.task(task).lane), device_of(lane));
  marks.lane = lane;
  return *marks.mark;
}

void LaneStreams::submit(StepTaskId task, LaneId lane, const Submit& submit, Completion& completion) {
  const LaneId moved = moved_[task.index()];
  if (!moved.valid()) return submit_on(task, lane, submit, completion);
  const std::scoped_lock lock(moving_);
  submit_on(task, moved, submit, completion);
}

void LaneStreams::submit_on(StepTaskId task, LaneId lane, const Submit& submit, Completion& completion) {
  Mark& mark = enter(task, lane);
  Stream& on = stream(lane);
  on.begin(mark);
  Submitted submitted;
  try {
    submit(task, lane, submitted);
    submitted.check();
  } catch (...) {
    try {
      Waiter waiter;
      on.end(mark, &waiter);
      waiter.wait();
    } catch (...) {  // the first error is the one to tell
    }
    throw;
  }
  on.end(mark, &completion);
}

std::unique_ptr<Recording> LaneStreams::record(const StepTrace& predicted, const std::function<void()>& begin,
                                               const Submit& submit) {
  std::vector<Stream*> streams;
  for (const auto& stream : streams_) streams.push_back(stream.get());
  return devices_.devices.front()->record(streams, [&] {
    begin();
    for (const StepTaskId task : in_order(schedule_, predicted)) submit_recorded(task, submit);
  });
}

void LaneStreams::submit_recorded(StepTaskId task, const Submit& submit) {
  const LaneId moved = moved_[task.index()];
  const LaneId lane = moved.valid() ? moved : schedule_.task(task).lane;
  Mark& mark = enter(task, lane);
  Submitted submitted;
  submit(task, lane, submitted);
  submitted.check();
  stream(lane).end(mark, nullptr);
}

}  // namespace skua
