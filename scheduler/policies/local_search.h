// What searches over plans share: where they begin, the moves, and what a plan is worth.
#pragma once

#include <limits>

#include "anchors.h"
#include "plan_evaluator.h"
#include "skua/graph/random.h"

namespace skua {

// Counts the work of simulations against a budget, so that a search ends in the same place on any machine.
class SearchSpace {
 public:
  SearchSpace(const CostTable& costs, double budget_seconds);

  // The plans that still fit once none of them is in strict order, the best first. Throws std::invalid_argument where
  // there are none.
  [[nodiscard]] std::vector<ScoredPlan> beginnings(std::vector<ScoredPlan> plans);
  // Simulated seconds, whether the plan fits in memory or not; or infinity where they are more than `limit`.
  [[nodiscard]] double seconds(const Plan& plan, double limit = std::numeric_limits<double>::infinity());
  // Plans like the one that `seconds` was asked for last will follow: faster to simulate.
  void keep() { evaluator_.keep(); }
  [[nodiscard]] bool fits(const Plan& plan);
  // Moves a rectangle of neighbouring layers and micro-batches to one device, or the updates of neighbouring layers;
  // exchanges two micro-batches, or the turns of two tasks of one device.
  void move(Plan& plan, Random& random) const;
  // Layers, or micro-batches, of `other` in place of those of `plan`.
  void cross(Plan& plan, const Plan& other, Random& random) const;
  // How much of the budget is spent, from 0 to 1.
  [[nodiscard]] double spent() const { return work_ / budget_; }
  // Whether nothing better than `seconds` is possible.
  [[nodiscard]] bool is_best(double seconds) const { return seconds <= bound_ * (1 + 1e-9); }

 private:
  void move_rectangle(Plan& plan, Random& random) const;
  void move_updates(Plan& plan, Random& random) const;
  void exchange_micro_batches(Plan& plan, Random& random) const;
  void exchange_turns(Plan& plan, Random& random) const;
  void put(Plan& plan, TaskId task, DeviceId device) const;  // where the device can run it

  const CostTable& costs_;
  const TaskGraph& graph_;
  PlanEvaluator evaluator_;
  Anchors anchors_;
  std::vector<std::vector<TaskId>> computes_;  // by layer and micro-batch
  std::vector<std::vector<TaskId>> updates_;   // by layer
  double bound_;
  double budget_;  // of step tasks simulated
  double work_ = 0;
};

}  // namespace skua
