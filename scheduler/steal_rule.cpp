#include "skua/scheduler/steal_rule.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace skua {

namespace {

// Takes whatever it finds (Blumofe and Leiserson, "Scheduling multithreaded computations by work stealing", JACM 46(5),
// 1999).
class RandomRule final : public StealRule {
 public:
  [[nodiscard]] double gain(const StealQuery& query) const override { return 1 + static_cast<double>(query.random); }
};

// Takes only what moves no data, from where most is waiting.
class LocalityRule final : public StealRule {
 public:
  [[nodiscard]] double gain(const StealQuery& query) const override {
    return query.fetch_seconds + query.return_seconds > 0 ? 0 : 1 + query.victim_wait_seconds;
  }
};

// Takes what is expected to end earlier here than on its victim, by a margin and by what the thief's own next task is
// kept waiting. What would have to be copied must also be late: where all goes as planned, the planner has weighed the
// copies against an idle device before.
class CostRule final : public StealRule {
 public:
  [[nodiscard]] double gain(const StealQuery& query) const override {
    if (query.run_seconds < kLeastRunSeconds) return 0;
    const double margin = std::max(kMarginOfRun * query.run_seconds, kMinMarginSeconds);
    if (query.fetch_seconds + query.return_seconds > 0 && query.late_seconds < margin) return 0;
    const double thief = query.thief_wait_seconds + query.thief_seconds();
    const double delay = std::max(0.0, thief - query.thief_free_seconds);
    return query.victim_wait_seconds + query.victim_run_seconds - thief - delay - margin;
  }

 private:
  static constexpr double kMarginOfRun = 0.2;        // estimates are off by about so much
  static constexpr double kMinMarginSeconds = 5e-6;  // what a theft itself costs: locks, a cold cache
  static constexpr double kLeastRunSeconds = 1e-7;   // what moving one task between caches costs
};

// Calls action(datum, from, to) for each datum that running a task on a lane moves. The executor fetches every input
// from the memory that the plan wants the task to run in, where it is sure to lie, and returns every output there.
template <class Action>
void for_each_move(const Schedule& schedule, StepTaskId id, LaneId lane, Action action) {
  const StepTask& task = schedule.task(id);
  if (task.is_copy() || task.lane == lane) return;
  const MemoryId here = schedule.memory_of(lane);
  const MemoryId planned = schedule.memory_of(task.lane);
  if (here == planned) return;
  for (DatumId input : schedule.graph().inputs(task.task)) action(input, planned, here);
  for (DatumId output : schedule.graph().outputs(task.task)) action(output, here, planned);
}

}  // namespace

std::vector<std::string> steal_rule_names() {
  return {"none", "random", "locality", "cost"};
}

std::unique_ptr<StealRule> make_steal_rule(const std::string& name) {
  if (name == "none") return nullptr;
  if (name == "random") return std::make_unique<RandomRule>();
  if (name == "locality") return std::make_unique<LocalityRule>();
  if (name == "cost") return std::make_unique<CostRule>();
  throw std::invalid_argument(
      fmt::format("[stealing] expected one of {}, got '{}'", fmt::join(steal_rule_names(), ", "), name));
}

bool stealable(const Schedule& schedule, const CostTable& costs, StepTaskId id, LaneId thief) {
  const StepTask& task = schedule.task(id);
  if (task.is_copy() || thief.index() >= schedule.device_lane_count()) return false;
  if (std::isinf(costs.seconds(task.task, schedule.lanes()[thief.index()].device))) return false;
  if (schedule.graph().demand(task.task).group.valid()) return false;
  return schedule.graph().task(task.task).kind != TaskKind::kUpdate ||
         schedule.memory_of(task.lane) == schedule.memory_of(thief);
}

Moves moves_for(const Schedule& schedule, const CostTable& costs, StepTaskId task, LaneId lane) {
  Moves moves;
  const MemoryId here = schedule.memory_of(lane);
  for_each_move(schedule, task, lane, [&](DatumId datum, MemoryId from, MemoryId to) {
    (to == here ? moves.fetch_seconds : moves.return_seconds) += costs.copy_seconds(datum, from, to);
  });
  return moves;
}

double moved_bytes(const Schedule& schedule, StepTaskId id, LaneId lane) {
  const StepTask& task = schedule.task(id);
  if (task.is_copy()) return schedule.graph().datum(task.datum).bytes;
  double bytes = 0;
  for_each_move(schedule, id, lane,
                [&](DatumId datum, MemoryId, MemoryId) { bytes += schedule.graph().datum(datum).bytes; });
  return bytes;
}

}  // namespace skua
