// The simulator's clock: lanes that take their ready tasks in order, and one event after another. What the simulation
// of a schedule and that of many plans, one like the other, share. One thread at a time.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <vector>

#include "skua/scheduler/ready_queue.h"

namespace skua {

// `Step` derives from it, says what its tasks are, and gives
//   ReadyEntry entry(StepTaskId) const, LaneId lane_of(StepTaskId) const, bool is_parallel(LaneId) const
//   void for_each_successor(StepTaskId, Action) const
//   void start(const ReadyEntry&, LaneId): calls begin
//   void finished(StepTaskId, LaneId)
//   void start_thefts(): what lanes that found nothing of their own start besides
// `Queue` keeps the ready tasks of a lane: ReadyQueue, or what is like it.
template <class Step, class Queue = ReadyQueue>
class EventLoop {
 protected:
  struct LaneState {
    Queue ready;
    bool busy = false;
    double free_since = -1;      // when the last task ended; idle from before the step on
    double expected_finish = 0;  // of the running task, by estimate
  };
  struct Event {
    double time;
    StepTaskId task;
    LaneId lane;
    bool operator>(const Event& other) const { return time != other.time ? time > other.time : task > other.task; }
  };

  // One lane for each device and further ones for copy engines. Keeps the costs, which must outlive it.
  EventLoop(const CostTable& costs, std::size_t lanes) : costs_(costs), lanes_(lanes) {}

  void make_ready(StepTaskId id) {
    const LaneId lane = step().lane_of(id);
    lanes_[lane.index()].ready.push(step().entry(id));
    woken_.push_back(lane);
  }

  // From what is ready and what runs until nothing is left.
  void run_events() {
    start_woken();
    while (!events_.empty()) {
      now_ = events_.front().time;
      while (!events_.empty() && events_.front().time == now_) finish(pop_event());
      start_woken();
    }
  }

  // `expected` and `actual` are seconds. Returns when the task begins.
  double begin(StepTaskId id, LaneId lane_id, double expected, double actual) {
    LaneState& lane = lanes_[lane_id.index()];
    const double start = lane.free_since == now_ ? now_ : now_ + wake_seconds(lane_id);
    lane.expected_finish = start + expected;
    go_on(id, lane_id, start + actual);
    return start;
  }

  // Nothing runs and nothing is ready.
  void stop() {
    for (LaneState& lane : lanes_) {
      lane.ready.clear();
      lane.busy = false;
    }
    events_.clear();
    woken_.clear();
  }

  // It runs, until `finish`.
  void go_on(StepTaskId id, LaneId lane, double finish) {
    lanes_[lane.index()].busy = !step().is_parallel(lane);
    events_.push_back({finish, id, lane});
    std::push_heap(events_.begin(), events_.end(), std::greater<>());
  }

  const CostTable& costs_;
  std::vector<LaneState> lanes_;
  std::vector<int> pending_;  // by task: predecessors that are not done
  double now_ = 0;
  std::size_t done_ = 0;

 private:
  // How late a lane begins that was idle; copy engines do not sleep.
  [[nodiscard]] double wake_seconds(LaneId lane) const {
    return lane.index() < costs_.cluster().device_count() ? costs_.wake_seconds(DeviceId(lane.value)) : 0;
  }
  Step& step() { return static_cast<Step&>(*this); }

  Event pop_event() {
    std::pop_heap(events_.begin(), events_.end(), std::greater<>());
    const Event event = events_.back();
    events_.pop_back();
    return event;
  }

  void finish(const Event& event) {
    lanes_[event.lane.index()].busy = false;
    lanes_[event.lane.index()].free_since = event.time;
    woken_.push_back(event.lane);
    ++done_;
    step().finished(event.task, event.lane);
    step().for_each_successor(event.task, [this](StepTaskId successor) {
      if (--pending_[successor.index()] == 0) make_ready(successor);
    });
  }

  void start_woken() {
    for (std::size_t i = 0; i < woken_.size(); ++i) {  // stop() may clear it
      const LaneId id = woken_[i];
      LaneState& lane = lanes_[id.index()];
      while (!lane.busy && !lane.ready.empty()) step().start(lane.ready.pop(), id);
    }
    woken_.clear();
    step().start_thefts();
  }

  std::vector<Event> events_;  // a heap, the earliest first
  std::vector<LaneId> woken_;  // lanes that may have something to start, some of them twice
};

}  // namespace skua
