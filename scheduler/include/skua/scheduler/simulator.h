// Discrete-event simulation of a schedule: virtual clock, the executor's ready order and steal rule. Deterministic:
// same inputs and seed, same result. Pure; any number of threads.
#pragma once

#include <cstdint>
#include <vector>

#include "skua/scheduler/steal_rule.h"
#include "skua/scheduler/trace.h"

namespace skua {

struct Straggler {
  DeviceId device;
  double factor = 1;  // its tasks take so many times as long
};

struct SimulationOptions {
  const StealRule* steal_rule = nullptr;  // none
  double noise = 0;                       // each run's time is multiplied by exp(noise * z), z standard normal
  double cost_error = 0;  // each cost key's true time is the estimate times exp(cost_error * z), once per device
  std::vector<Straggler> stragglers = {};
  std::uint64_t seed = 0;
};

// REQUIRES: the schedule's dependencies have no cycle (std::invalid_argument otherwise).
[[nodiscard]] StepTrace simulate(const Schedule& schedule, const CostTable& costs,
                                 const SimulationOptions& options = {});

}  // namespace skua
