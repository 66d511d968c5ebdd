// What an idle device may take from another's ready queue. One code for the executor's real clock and the simulator's
// virtual one. Rules are stateless: any number of threads may ask.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "skua/scheduler/schedule.h"

namespace skua {

// What is known of a theft before it is done. Estimated seconds, unless it says otherwise.
struct StealQuery {
  double fetch_seconds = 0;        // copies of the inputs into the thief's memory
  double run_seconds = 0;          // on the thief
  double return_seconds = 0;       // copies of the outputs back to where the plan wants them
  double victim_wait_seconds = 0;  // until the victim is expected to start it
  double victim_run_seconds = 0;   // on the victim
  std::uint64_t random = 0;        // for rules that draw
  double thief_wait_seconds = 0;   // until the thief could start it: what it takes in the same theft
  // Until the thief's own next task is expected; infinite: none is left.
  double thief_free_seconds = std::numeric_limits<double>::infinity();
  // How much later than planned the victim is expected to start it.
  double late_seconds = std::numeric_limits<double>::infinity();

  [[nodiscard]] double thief_seconds() const { return fetch_seconds + run_seconds + return_seconds; }
};

class StealRule {
 public:
  virtual ~StealRule() = default;
  // Larger than 0: take it; among several victims the largest wins.
  [[nodiscard]] virtual double gain(const StealQuery& query) const = 0;
};

// "none" (null pointer), "random", "locality", "cost". Throws std::invalid_argument listing them otherwise.
[[nodiscard]] std::unique_ptr<StealRule> make_steal_rule(const std::string& name);
[[nodiscard]] std::vector<std::string> steal_rule_names();

// Whether a task may ever run elsewhere than planned: tasks of the graph, never copies, where the thief may run them;
// never one of a colocated group; and updates only within one memory, since they change parameters in place.
[[nodiscard]] bool stealable(const Schedule& schedule, const CostTable& costs, StepTaskId task, LaneId thief);

// Copies that running a task on a lane needs; 0 where the lane's memory is the one that the plan wants it in.
struct Moves {
  double fetch_seconds = 0;   // inputs from the planned memory, where they are sure to lie
  double return_seconds = 0;  // outputs back into it
};
[[nodiscard]] Moves moves_for(const Schedule& schedule, const CostTable& costs, StepTaskId task, LaneId lane);

// Bytes that running a task on a lane moves: by a copy its datum; by a theft inputs from, and outputs to, the memory
// that the plan wants the task in; 0 within one memory.
[[nodiscard]] double moved_bytes(const Schedule& schedule, StepTaskId task, LaneId lane);

}  // namespace skua
