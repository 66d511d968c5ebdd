// The ablation really run, on CPU devices of this machine.
#pragma once

#include <string>
#include <vector>

#include "ablation.h"

namespace skua::cli {

struct ExecutedOptions {
  int devices = 2;
  int micro_batches = 4;
  std::string policy = "auto";
  double plan_seconds = 1;
  int steps = 15;
  int rounds = 6;  // the first does not count: plans are made anew in it
};

struct ExecutedResult {
  std::string situation;
  std::vector<double> step_seconds;  // median, by executed_modes
  std::vector<std::vector<double>> by_round;
};

// As run_modes, but what has no plan has nothing to make anew. "dynamic": all tasks in one queue, from which devices
// that are idle take.
[[nodiscard]] std::vector<RunMode> executed_modes();

// In each situation all ways to run one model take turns, round after round.
[[nodiscard]] std::vector<ExecutedResult> execute_ablation(const std::string& model, const ExecutedOptions& options);

}  // namespace skua::cli
