// Looks at a theft with what is known at the time: what lanes have to do, how fast they have been, and when the plan
// wants which task. Immutable: any number of threads may ask.
#pragma once

#include <cstdint>
#include <vector>

#include "skua/scheduler/ranked_queue.h"
#include "skua/scheduler/steal_rule.h"

namespace skua {

// How many times as long as estimated a lane's tasks have taken lately: one sum over the other, each older task
// counting a tenth less. Begins at 1.
class Pace {
 public:
  void add(double estimated_seconds, double measured_seconds) {
    if (!(estimated_seconds > 0)) return;
    if (estimated_ == 0) estimated_ = measured_ = kPrior * estimated_seconds;
    estimated_ = kKept * estimated_ + estimated_seconds;
    measured_ = kKept * measured_ + measured_seconds;
  }
  [[nodiscard]] double value() const { return estimated_ > 0 ? measured_ / estimated_ : 1; }

 private:
  static constexpr double kKept = 0.9;
  static constexpr double kPrior = 2;  // tasks that took what they were expected to
  double estimated_ = 0;
  double measured_ = 0;
};

// One lane at one time. Seconds are from the step's start.
struct LaneOutlook {
  LaneId lane;
  double expected_finish = 0;  // of what it runs
  double backlog_seconds = 0;  // of what is ready, by estimate
  double pace = 1;
};

// How many tasks a thief may take at once of so many: half of a long backlog, else one.
[[nodiscard]] constexpr std::size_t most_stolen(std::size_t ready) {
  constexpr std::size_t kLong = 8;
  constexpr std::size_t kMost = 64;
  return ready < kLong ? 1 : ready / 2 < kMost ? ready / 2 : kMost;
}

struct Offer {
  std::uint32_t rank = RankedQueue::kNoRank;
  StepTaskId task;             // invalid: there is none
  double backlog_seconds = 0;  // of the victim, up to and with this task
};

// Whether a theft whose first task was looked at by `first` takes the next one as well: the thief, with
// `backlog_seconds` to do then, comes to no more than is left for the victim, and is done before its own next task.
[[nodiscard]] inline bool adds_to_theft(const StealQuery& first, double backlog_seconds, const Offer& next) {
  return backlog_seconds <= next.backlog_seconds && backlog_seconds <= first.thief_free_seconds;
}

class Thefts {
 public:
  // Simulates the schedule for the times at which the plan wants tasks to start. Keeps pointers to both.
  Thefts(const Schedule& schedule, const CostTable& costs);

  // The lane's tasks in the order in which the plan starts them.
  [[nodiscard]] const std::vector<StepTaskId>& planned_order(LaneId lane) const { return orders_[lane.index()]; }
  // What a victim has for a thief: of what it comes to last, the latest that may be stolen; it looks at a few.
  // `expected(task)`: seconds on the victim, as in its queue.
  template <class Expected>
  [[nodiscard]] Offer offer(const RankedQueue& ready, const ReadyOrder& order, LaneId thief, Expected expected) const {
    if (ready.empty()) return {};
    Offer offer{ready.last(), {}, ready.backlog_seconds()};
    for (int looks = 8; looks > 0 && offer.rank != RankedQueue::kNoRank; --looks) {
      const StepTaskId task = order.task(offer.rank);
      if (stealable(schedule_, costs_, task, thief)) return {offer.rank, task, offer.backlog_seconds};
      offer.backlog_seconds -= expected(task);
      offer.rank = ready.before(offer.rank);
    }
    return {};
  }
  // `victim.backlog_seconds`: the offer's. `next`: the thief's own task that it comes to next; invalid: none.
  // `copy_pace`: how many times as long as estimated copies have taken lately.
  [[nodiscard]] StealQuery query(StepTaskId task, const LaneOutlook& victim, const LaneOutlook& thief, StepTaskId next,
                                 double copy_pace, double now_seconds, std::uint64_t random) const;
  // What a lane is expected to take for a task, with the copies where it is not planned there.
  [[nodiscard]] double seconds(StepTaskId task, LaneId lane) const;

 private:
  const Schedule& schedule_;
  const CostTable& costs_;
  std::vector<double> starts_;                   // by task: planned
  std::vector<std::vector<StepTaskId>> orders_;  // by lane
};

}  // namespace skua
