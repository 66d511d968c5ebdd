// Discrete-event simulation of a schedule: virtual clock, the executor's ready order and steal rule. Deterministic:
// same inputs and seed, same result. Pure; any number of threads.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "skua/scheduler/steal_rule.h"
#include "skua/scheduler/trace.h"

namespace skua {

// A device whose tasks take `factor` times as long if they start within these seconds of the step.
struct Straggler {
  DeviceId device;
  double factor = 1;
  double from_seconds = 0;
  double until_seconds = std::numeric_limits<double>::infinity();
};

struct SimulationOptions {
  const StealRule* steal_rule = nullptr;  // none
  double noise = 0;                       // each run's time is multiplied by exp(noise * z), z standard normal
  double cost_error = 0;  // each cost key's true time is the estimate times exp(cost_error * z), once per device
  std::vector<Straggler> stragglers = {};
  std::uint64_t seed = 0;
  double copy_factor = 1;            // copies take so many times as long as estimated
  const CostTable* truth = nullptr;  // what tasks really take, of the same graph and cluster; else as estimated
};

// REQUIRES: the schedule's dependencies have no cycle (std::invalid_argument otherwise).
[[nodiscard]] StepTrace simulate(const Schedule& schedule, const CostTable& costs,
                                 const SimulationOptions& options = {});

}  // namespace skua
