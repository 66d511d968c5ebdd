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

// Takes what is expected to end earlier here than on its victim, by a margin.
class CostRule final : public StealRule {
 public:
  [[nodiscard]] double gain(const StealQuery& query) const override {
    const double margin = std::max(kMarginOfRun * query.run_seconds, kMinMarginSeconds);
    return query.victim_wait_seconds + query.victim_run_seconds - (query.thief_seconds() + margin);
  }

 private:
  static constexpr double kMarginOfRun = 0.2;        // estimates are off by about so much
  static constexpr double kMinMarginSeconds = 5e-6;  // what a theft itself costs: locks, a cold cache
};

// Calls action(datum, from, to) for each datum that a theft moves. The executor fetches every input from the memory
// that the plan wants the task to run in, where it is sure to lie, and returns every output there.
template <class Action>
void for_each_move(const Schedule& schedule, StepTaskId id, LaneId thief, Action action) {
  const StepTask& task = schedule.task(id);
  const MemoryId here = schedule.memory_of(thief);
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

StealQuery make_steal_query(const Schedule& schedule, const CostTable& costs, StepTaskId task, LaneId victim,
                            LaneId thief, double victim_wait_seconds, std::uint64_t random) {
  StealQuery query;
  const MemoryId here = schedule.memory_of(thief);
  for_each_move(schedule, task, thief, [&](DatumId datum, MemoryId from, MemoryId to) {
    (to == here ? query.fetch_seconds : query.return_seconds) += costs.copy_seconds(datum, from, to);
  });
  query.run_seconds = estimated_seconds(schedule, costs, task, thief);
  query.victim_wait_seconds = victim_wait_seconds;
  query.victim_run_seconds = estimated_seconds(schedule, costs, task, victim);
  query.random = random;
  return query;
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
