// What devices can run and what constraints demand, kept by any plan.
#pragma once

#include <string>

#include "builtin.h"
#include "skua/scheduler/trace.h"

namespace skua {

// Changes as little as it takes: tasks that their device may not run go to the allowed device that would end them first
// after all else that it has to do, groups where most of their work is, sums into the memory of their left operand;
// tasks of higher priority before the others, in the plan's order among equals, and where the plan misses a deadline,
// tasks that are due sooner first. A plan that keeps to all that stays as it is. Limits are not looked at.
void repair(Plan& plan, const CostTable& costs);

// What the plan breaks first, limits and deadlines included: "expected ..., got ..."; empty: nothing.
[[nodiscard]] std::string breach_of(const Plan& plan, const CostTable& costs, const StepTrace& predicted);

}  // namespace skua
