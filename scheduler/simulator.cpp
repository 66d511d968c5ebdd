#include "skua/scheduler/simulator.h"

#include <cmath>

#include "event_loop.h"
#include "skua/graph/random.h"

namespace skua {
namespace {

class Simulation : private EventLoop<Simulation> {
 public:
  Simulation(const Schedule& schedule, const CostTable& costs, const SimulationOptions& options)
      : EventLoop(costs, schedule.lanes().size()), schedule_(schedule), options_(options) {
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
    run_events();
    if (done_ != pending_.size()) (void)schedule_.topological_order();  // throws: a cycle
    trace_.seconds = now_;
    return std::move(trace_);
  }

 private:
  friend class EventLoop<Simulation>;

  [[nodiscard]] LaneId lane_of(StepTaskId id) const { return schedule_.task(id).lane; }
  [[nodiscard]] bool is_parallel(LaneId lane) const { return schedule_.lanes()[lane.index()].parallel; }
  [[nodiscard]] ReadyEntry entry(StepTaskId id) const {
    const StepTask& task = schedule_.task(id);
    return {task.priority, id, estimated_seconds(schedule_, costs_, id, task.lane)};
  }
  template <class Action>
  void for_each_successor(StepTaskId id, Action action) const {
    for (const StepTaskId successor : schedule_.successors(id)) action(successor);
  }

  void start(const ReadyEntry& entry, LaneId lane) { start(entry, lane, nullptr); }

  void start_thefts() {
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

  void start(const ReadyEntry& entry, LaneId lane, const StealQuery* theft) {
    double expected = entry.estimated_seconds;
    double actual = true_seconds(entry.id, lane);
    if (theft != nullptr) {
      expected = theft->thief_seconds();
      actual += theft->fetch_seconds + theft->return_seconds;
    }
    const double start = begin(entry.id, lane, expected, actual);
    trace_.records[entry.id.index()] = {lane, start, start + actual, moved_bytes(schedule_, entry.id, lane)};
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
  const SimulationOptions& options_;
  std::vector<double> slowdown_;
  Random draws_{options_.seed, std::uint64_t{1} << 60};
  StepTrace trace_;
};

}  // namespace

StepTrace simulate(const Schedule& schedule, const CostTable& costs, const SimulationOptions& options) {
  return Simulation(schedule, costs, options).run();
}

}  // namespace skua
