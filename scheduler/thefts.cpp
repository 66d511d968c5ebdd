#include "skua/scheduler/thefts.h"

#include <algorithm>

#include "skua/scheduler/simulator.h"

namespace skua {

Thefts::Thefts(const Schedule& schedule, const CostTable& costs)
    : schedule_(schedule), costs_(costs), orders_(schedule.lanes().size()) {
  for (const TaskRecord& record : simulate(schedule, costs).records) starts_.push_back(record.start_seconds);
  for (std::size_t i = 0; i < schedule.task_count(); ++i) {
    const StepTaskId id(static_cast<std::int64_t>(i));
    orders_[schedule.task(id).lane.index()].push_back(id);
  }
  for (std::vector<StepTaskId>& order : orders_) {
    std::ranges::stable_sort(order, {}, [&](StepTaskId id) { return starts_[id.index()]; });
  }
}

double Thefts::seconds(StepTaskId task, LaneId lane) const {
  const Moves moves = moves_for(schedule_, costs_, task, lane);
  return moves.fetch_seconds + estimated_seconds(schedule_, costs_, task, lane) + moves.return_seconds;
}

// Where the plan wants the thief's next task so long before or after the offered one, it is expected to become ready
// so long before or after the victim would start that.
StealQuery Thefts::query(StepTaskId task, const LaneOutlook& victim, const LaneOutlook& thief, StepTaskId next,
                         double copy_pace, double now_seconds, std::uint64_t random) const {
  const double on_victim = seconds(task, victim.lane);
  const Moves moves = moves_for(schedule_, costs_, task, thief.lane);
  StealQuery query;
  query.fetch_seconds = copy_pace * moves.fetch_seconds;
  query.run_seconds = thief.pace * estimated_seconds(schedule_, costs_, task, thief.lane);
  query.return_seconds = copy_pace * moves.return_seconds;
  query.victim_wait_seconds = std::max(0.0, victim.expected_finish - now_seconds) +
                              victim.pace * std::max(0.0, victim.backlog_seconds - on_victim);
  query.victim_run_seconds = victim.pace * on_victim;
  query.random = random;
  query.thief_wait_seconds = thief.backlog_seconds;
  if (next.valid()) {
    const double apart = starts_[next.index()] - starts_[task.index()];
    query.thief_free_seconds = std::max(0.0, query.victim_wait_seconds + apart);
  }
  query.late_seconds = now_seconds + query.victim_wait_seconds - starts_[task.index()];
  return query;
}

}  // namespace skua
