// What each part of the scheduler is worth: steps of one model on one cluster in a situation that the plan did not
// expect, by several ways to run them. Simulated.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "skua/scheduler/simulator.h"
#include "skua/skua.h"

namespace skua::cli {

// How reality differs from what the plan knows.
struct Situation {
  std::string name;
  double cost_error = 0;   // each operator takes exp(cost_error * z) times as long, z standard normal, on all devices
  double copy_factor = 1;  // copies take so many times as long
  double slow_factor = 1;  // tasks of the last device take so many times as long
  double from = 0;         // in which part of the run, or of each step
  double until = 1;
  bool within_steps = false;
};
[[nodiscard]] std::vector<Situation> situations();

// "static": as planned; "dynamic": no plan, each task goes, when it is ready, where it is expected to end first; the
// others are steal rules on top of the plan. Adaptive: costs are learned from every step, and the plan is made anew
// (dynamic: the next step decides) by them.
struct RunMode {
  std::string name;
  bool adaptive = false;
};
[[nodiscard]] std::vector<RunMode> run_modes();

// What is known instead where each operator's time is wrong, by a factor exp(error * z) of its own, z standard normal.
[[nodiscard]] CostModel wrong_costs(const CostModel& costs, const TaskGraph& tasks, const Cluster& cluster,
                                    double error, std::uint64_t seed);

// One model's step on one cluster.
class Ablation {
 public:
  // Throws std::invalid_argument where the micro-batches do not fit.
  Ablation(const std::string& model, Cluster cluster, int micro_batches, const std::string& policy,
           double plan_seconds);

  struct Outcome {
    std::vector<double> step_seconds;
    double bound_seconds = 0;  // of any plan, by the last step's true times
    [[nodiscard]] double mean_seconds() const;
  };
  [[nodiscard]] Outcome run(const Situation& situation, const RunMode& mode, int steps, std::uint64_t seed) const;

 private:
  [[nodiscard]] CostModel true_costs(const Situation& situation, std::uint64_t seed) const;
  [[nodiscard]] double bound_seconds(const Situation& situation, std::uint64_t seed, int steps) const;
  [[nodiscard]] std::vector<Straggler> stragglers(const Situation& situation, int step, int steps) const;

  Cluster cluster_;
  std::string policy_;
  double plan_seconds_;
  std::unique_ptr<TaskGraph> tasks_;
  Plan plan_;
};

}  // namespace skua::cli
