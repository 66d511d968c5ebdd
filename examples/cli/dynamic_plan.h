// The runtime without a plan that others are compared with; simulated.
#pragma once

#include "skua/scheduler/simulator.h"

namespace skua::cli {

// Where a runtime without a plan would put each task: when it becomes ready, on the device that is expected to end it
// first, by `costs`, what has been put there before, and where its inputs lie; while tasks really take what `options`
// say. Topcuoglu et al.'s earliest finish time ("Performance-effective and low-complexity task scheduling", TPDS 13(3),
// 2002), at run time.
[[nodiscard]] Plan dynamic_plan(const CostTable& costs, const SimulationOptions& options);

}  // namespace skua::cli
