#include "skua/scheduler/simulator.h"

#include <cmath>
#include <optional>

#include "event_loop.h"
#include "skua/graph/random.h"
#include "skua/scheduler/ranked_queue.h"
#include "skua/scheduler/thefts.h"

namespace skua {
namespace {

// A lane's ready tasks by rank. Notes in `estimates`, by task, what each was expected to take when it became ready.
class SimulatedQueue {
 public:
  SimulatedQueue() : SimulatedQueue(nullptr, nullptr) {}
  SimulatedQueue(const ReadyOrder* order, std::vector<double>* estimates)
      : order_(order), estimates_(estimates), ranks_(order != nullptr ? order->size() : 0) {}

  [[nodiscard]] const RankedQueue& ranks() const { return ranks_; }
  [[nodiscard]] bool empty() const { return ranks_.empty(); }
  void clear() { ranks_.clear(); }
  void push(const ReadyEntry& entry) {
    (*estimates_)[entry.id.index()] = entry.estimated_seconds;
    ranks_.insert(order_->rank(entry.id), entry.estimated_seconds);
  }
  ReadyEntry pop() { return take(order_->task(ranks_.first())); }
  ReadyEntry take(StepTaskId id) {
    const double seconds = (*estimates_)[id.index()];
    ranks_.erase(order_->rank(id), seconds);
    return {0, id, seconds};
  }

 private:
  const ReadyOrder* order_;
  std::vector<double>* estimates_;
  RankedQueue ranks_;
};

class Simulation : private EventLoop<Simulation, SimulatedQueue> {
 public:
  Simulation(const Schedule& schedule, const CostTable& costs, const SimulationOptions& options)
      : EventLoop(costs, schedule.lanes().size()),
        schedule_(schedule),
        options_(options),
        order_(schedule),
        estimates_(schedule.task_count()),
        paces_(schedule.device_lane_count()),
        next_own_(schedule.device_lane_count()) {
    if (options.steal_rule != nullptr) thefts_.emplace(schedule, costs);
    for (LaneState& lane : lanes_) lane.ready = SimulatedQueue(&order_, &estimates_);
    for (const Straggler& straggler : options.stragglers) (void)costs.cluster().device(straggler.device);  // it exists
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
  friend class EventLoop<Simulation, SimulatedQueue>;

  [[nodiscard]] LaneId lane_of(StepTaskId id) const { return schedule_.task(id).lane; }
  [[nodiscard]] bool is_parallel(LaneId lane) const { return schedule_.lanes()[lane.index()].parallel; }
  [[nodiscard]] ReadyEntry entry(StepTaskId id) const {
    return {0, id, estimated_seconds(schedule_, costs_, id, schedule_.task(id).lane)};
  }
  template <class Action>
  void for_each_successor(StepTaskId id, Action action) const {
    for (const StepTaskId successor : schedule_.successors(id)) action(successor);
  }

  void start(const ReadyEntry& entry, LaneId lane) {
    const double actual = true_seconds(entry.id, lane);
    const double pace = schedule_.task(entry.id).is_copy() ? copy_pace_.value() : paces_[lane.index()].value();
    const double start = begin(entry.id, lane, pace * entry.estimated_seconds, actual);
    trace_.records[entry.id.index()] = {lane, start, start + actual, moved_bytes(schedule_, entry.id, lane)};
  }

  void finished(StepTaskId id, LaneId lane) {
    if (!thefts_) return;
    const TaskRecord& record = trace_.records[id.index()];
    Pace& pace = schedule_.task(id).is_copy() ? copy_pace_ : paces_[lane.index()];
    pace.add(estimates_[id.index()], record.finish_seconds - record.start_seconds);
  }

  void start_thefts() {
    if (!thefts_) return;
    for (std::size_t i = 0; i < schedule_.device_lane_count(); ++i) {
      if (!lanes_[i].busy) steal(LaneId(static_cast<std::int64_t>(i)));
    }
  }

  struct Theft {
    Offer offer;
    LaneId victim;
    StealQuery query;
    double gain = 0;
  };

  void steal(LaneId thief) {
    Theft best;
    for (std::size_t v = 0; v < schedule_.device_lane_count(); ++v) {
      const LaneId victim(static_cast<std::int64_t>(v));
      if (victim == thief) continue;
      const Theft theft = theft_from(victim, thief);
      if (theft.gain > best.gain) best = theft;
    }
    if (best.gain <= 0) return;
    SimulatedQueue& loot = lanes_[best.victim.index()].ready;
    SimulatedQueue& own = lanes_[thief.index()].ready;
    Offer offer = best.offer;
    for (std::size_t most = most_stolen(loot.ranks().size()); most > 0 && offer.task.valid(); --most) {
      const double seconds = thefts_->seconds(offer.task, thief);
      if (!own.empty() && !adds_to_theft(best.query, own.ranks().backlog_seconds() + seconds, offer)) break;
      (void)loot.take(offer.task);
      own.push({0, offer.task, seconds});
      offer = offered(best.victim, thief);
    }
    start(own.pop(), thief);
  }

  [[nodiscard]] Offer offered(LaneId victim, LaneId thief) const {
    const auto expected = [&](StepTaskId id) { return estimates_[id.index()]; };
    return thefts_->offer(lanes_[victim.index()].ready.ranks(), order_, thief, expected);
  }

  Theft theft_from(LaneId victim, LaneId thief) {
    const Offer offer = offered(victim, thief);
    if (!offer.task.valid()) return {offer, victim, {}, 0};
    LaneOutlook from = outlook(victim);
    from.backlog_seconds = offer.backlog_seconds;
    const StealQuery query =
        thefts_->query(offer.task, from, outlook(thief), next_own(thief), copy_pace_.value(), now_, draws_.bits());
    return {offer, victim, query, options_.steal_rule->gain(query)};
  }

  [[nodiscard]] LaneOutlook outlook(LaneId id) const {
    const LaneState& lane = lanes_[id.index()];
    return {id, lane.expected_finish, lane.ready.ranks().backlog_seconds(), paces_[id.index()].value()};
  }

  StepTaskId next_own(LaneId lane) {
    const std::vector<StepTaskId>& order = thefts_->planned_order(lane);
    std::size_t& next = next_own_[lane.index()];
    while (next < order.size() && trace_.records[order[next].index()].lane.valid()) ++next;
    return next < order.size() ? order[next] : StepTaskId();
  }

  // What the task really takes: the estimate with the wrong costs, the noise and the slowness that the options ask for.
  [[nodiscard]] double true_seconds(StepTaskId id, LaneId lane) const {
    const CostTable& truth = options_.truth != nullptr ? *options_.truth : costs_;
    double seconds = estimated_seconds(schedule_, truth, id, lane);
    const StepTask& task = schedule_.task(id);
    if (task.is_copy()) {
      seconds *= options_.copy_factor;
    } else {
      const DeviceId device = schedule_.lanes()[lane.index()].device;
      for (const Straggler& straggler : options_.stragglers) {
        const bool slow = straggler.from_seconds <= now_ && now_ < straggler.until_seconds;
        if (straggler.device == device && slow) seconds *= straggler.factor;
      }
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
    const Moves moves = moves_for(schedule_, truth, id, lane);
    return seconds + options_.copy_factor * (moves.fetch_seconds + moves.return_seconds);
  }

  const Schedule& schedule_;
  const SimulationOptions& options_;
  ReadyOrder order_;
  std::vector<double> estimates_;  // by task
  std::optional<Thefts> thefts_;   // where there is a steal rule
  std::vector<Pace> paces_;        // by device
  Pace copy_pace_;
  std::vector<std::size_t> next_own_;
  Random draws_{options_.seed, std::uint64_t{1} << 60};
  StepTrace trace_;
};

}  // namespace

StepTrace simulate(const Schedule& schedule, const CostTable& costs, const SimulationOptions& options) {
  return Simulation(schedule, costs, options).run();
}

}  // namespace skua
