// From shares of tasks on devices to plans.
#pragma once

#include <limits>

#include "builtin.h"

namespace skua {

// Shares rounded in several ways, and the best of the plans in simulation, those that fit in memory first: each task
// where its largest share is, in the order of upward ranks and of starts; and list scheduling, where a device's missing
// share of a task counts as that part of the task's time, or a tenth of that.
class Rounding {
 public:
  explicit Rounding(const CostTable& costs);
  // By task and device, and by task; either may be empty, and without shares nothing happens. `in_turn`: the tasks of a
  // device do not overlap, so that their order is worth keeping.
  void consider(const std::vector<double>& shares, const std::vector<double>& starts, bool in_turn = false);
  [[nodiscard]] const Plan& best() const { return best_; }  // no placements: nothing was considered

 private:
  void keep_better(Plan plan);

  const CostTable& costs_;
  std::vector<double> ranks_;
  Plan best_;
  double seconds_ = std::numeric_limits<double>::infinity();
};

}  // namespace skua
