#include "skua/scheduler/simulator.h"

#include <cmath>
#include <queue>

#include "skua/graph/random.h"
#include "skua/scheduler/ready_queue.h"

namespace skua {
namespace {

class Simulation {
 public:
  Simulation(const Schedule& schedule, const CostTable& costs, const SimulationOptions& options)
      : schedule_(schedule), costs_(costs), options_(options), lanes_(schedule.lanes().size()) {
    slowdown_.assign(schedule.device_lane_count(), 1.0);
    for (const Straggler& straggler : options.stragglers) slowdown_.at(straggler.device.index()) *= straggler.factor;
    pending_.resize(schedule.task_count());
    trace_.records.resize(schedule.task_count());
  }

  StepTrace run() {
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      const StepTaskId id(static_cast<std::int64_t>(i));
      pending_[i] = schedule_.predecessor_count(id);
      if (pending_[i] == 0) make_ready(id);
    }
    start_idle_lanes();
    while (!events_.empty()) {
      now_ = events_.top().time;
      while (!events_.empty() && events_.top().time == now_) {
        const Event event = events_.top();
        events_.pop();
        finish(event);
      }
      start_idle_lanes();
    }
    if (done_ != pending_.size()) (void)schedule_.topological_order();  // throws: a cycle
    trace_.seconds = now_;
    return std::move(trace_);
  }

 private:
  struct LaneState {
    ReadyQueue ready;
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

  void make_ready(StepTaskId id) {
    const StepTask& task = schedule_.task(id);
    lanes_[task.lane.index()].ready.push({task.priority, id, estimated_seconds(schedule_, costs_, id, task.lane)});
  }

  void finish(const Event& event) {
    LaneState& lane = lanes_[event.lane.index()];
    lane.busy = false;
    lane.free_since = event.time;
    ++done_;
    for (StepTaskId successor : schedule_.successors(event.task)) {
      if (--pending_[successor.index()] == 0) make_ready(successor);
    }
  }

  void start_idle_lanes() {
    for (std::size_t i = 0; i < lanes_.size(); ++i) {
      LaneState& lane = lanes_[i];
      while (!lane.busy && !lane.ready.empty()) start(lane.ready.pop(), LaneId(static_cast<std::int64_t>(i)), nullptr);
    }
    if (options_.steal_rule == nullptr) return;
    for (std::size_t i = 0; i < schedule_.device_lane_count(); ++i) {
      if (!lanes_[i].busy) steal(LaneId(static_cast<std::int64_t>(i)));
    }
  }

  void steal(LaneId thief) {
    double best_gain = 0;
    LaneId best_victim;
    StealQuery best_query;
    for (std::size_t v = 0; v < schedule_.device_lane_count(); ++v) {
      const LaneId victim(static_cast<std::int64_t>(v));
      const LaneState& lane = lanes_[v];
      if (victim == thief || lane.ready.empty()) continue;
      const ReadyEntry& entry = lane.ready.offered();
      if (!stealable(schedule_, costs_, entry.id, thief)) continue;
      const double wait = lane.ready.offered_wait_seconds(lane.expected_finish - now_);
      const StealQuery query = make_steal_query(schedule_, costs_, entry.id, victim, thief, wait, draws_.bits());
      const double gain = options_.steal_rule->gain(query);
      if (gain > best_gain) {
        best_gain = gain;
        best_victim = victim;
        best_query = query;
      }
    }
    if (best_victim.valid()) start(lanes_[best_victim.index()].ready.pop_offered(), thief, &best_query);
  }

  void start(const ReadyEntry& entry, LaneId lane_id, const StealQuery* theft) {
    LaneState& lane = lanes_[lane_id.index()];
    TaskRecord& record = trace_.records[entry.id.index()];
    double expected = entry.estimated_seconds;
    double actual = true_seconds(entry.id, lane_id);
    if (theft != nullptr) {
      expected = theft->thief_seconds();
      actual += theft->fetch_seconds + theft->return_seconds;
    }
    record.copied_bytes = moved_bytes(schedule_, entry.id, lane_id);
    record.lane = lane_id;
    record.start_seconds = now_ + wake_seconds(lane_id);
    record.finish_seconds = record.start_seconds + actual;
    lane.busy = !schedule_.lanes()[lane_id.index()].parallel;
    lane.expected_finish = record.start_seconds + expected;
    events_.push({record.finish_seconds, entry.id, lane_id});
  }

  // A device that was idle until now begins late; copy engines do not.
  double wake_seconds(LaneId id) const {
    if (id.index() >= schedule_.device_lane_count() || lanes_[id.index()].free_since == now_) return 0;
    return costs_.wake_seconds(schedule_.lanes()[id.index()].device);
  }

  // What the task really takes: the estimate with the wrong costs, the noise and the slowness that the options ask for.
  double true_seconds(StepTaskId id, LaneId lane) const {
    double seconds = estimated_seconds(schedule_, costs_, id, lane);
    const StepTask& task = schedule_.task(id);
    if (!task.is_copy()) {
      const DeviceId device = schedule_.lanes()[lane.index()].device;
      seconds *= slowdown_[device.index()];
      if (options_.cost_error > 0) {
        const auto key = static_cast<std::uint64_t>(schedule_.graph().task(task.task).cost_key.value);
        Random error(options_.seed, (std::uint64_t{1} << 62) + key * schedule_.device_lane_count() + device.index());
        seconds *= std::exp(options_.cost_error * error.normal());
      }
    }
    if (options_.noise > 0) {
      Random noise(options_.seed, (std::uint64_t{1} << 61) + id.index());
      seconds *= std::exp(options_.noise * noise.normal());
    }
    return seconds;
  }

  const Schedule& schedule_;
  const CostTable& costs_;
  const SimulationOptions& options_;
  std::vector<LaneState> lanes_;
  std::vector<double> slowdown_;
  std::vector<int> pending_;
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  Random draws_{options_.seed, std::uint64_t{1} << 60};
  StepTrace trace_;
  double now_ = 0;
  std::size_t done_ = 0;
};

}  // namespace

StepTrace simulate(const Schedule& schedule, const CostTable& costs, const SimulationOptions& options) {
  return Simulation(schedule, costs, options).run();
}

}  // namespace skua
