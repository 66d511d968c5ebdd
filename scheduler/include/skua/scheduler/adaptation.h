// When to plan anew: told of each step of a plan, it keeps the costs up to date and says when they, or the devices, are
// no longer those that the plan was made for. One thread at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "skua/scheduler/trace.h"

namespace skua {

// A plan is due once when the first steps have been measured; later where the makespan is off the predicted one by more
// than kDrift for kDriftSteps steps in a row, or a device's slowness has changed. Where the plan could not be bettered,
// or its steps do not go as predicted either, the next is due after 4, 8, 16, ... further steps at the earliest, until
// a better plan has settled it or as many steps in a row went as predicted.
class Adaptation {
 public:
  static constexpr int kWarmUpSteps = 2;        // first touches of memory, kernels' first runs
  static constexpr int kMeasuredSteps = 5;      // enough for medians
  static constexpr double kDrift = 0.2;         // of the predicted makespan
  static constexpr int kDriftSteps = 3;         // in a row
  static constexpr double kSpeedChange = 1.15;  // of a device, since the plan began
  static constexpr double kWorthwhile = 0.99;   // a new plan must be better by so much

  // `costs` must outlive it.
  explicit Adaptation(CostModel& costs) : costs_(costs) {}

  // A plan begins: the first, one that is_better, or the same as before with its prediction renewed.
  void begin(const Schedule& schedule, double predicted_seconds, bool is_new);
  // Adds a step to the costs, but for the kWarmUpSteps first ones of a plan. Whether to plan anew by them. Steps that
  // ran beside a planner are not to be added: its load would be taken for the devices' slowness.
  [[nodiscard]] bool observe(const Schedule& schedule, const StepTrace& trace);

  // Whether the new plan is worth a change, by the same costs for both.
  [[nodiscard]] static bool is_better(const Plan& made, const Plan& present, const CostTable& costs);

 private:
  [[nodiscard]] bool speeds_changed(const Schedule& schedule) const;
  void follow(double seconds);

  CostModel& costs_;
  double predicted_seconds_ = 0;
  std::vector<double> slowness_;  // by device, when the plan began
  bool is_new_ = false;           // unlike the one before
  int plan_steps_ = 0;            // since then
  bool measured_ = false;         // the first plan by measured times was due
  int drift_steps_ = 0;           // in a row: positive above, negative below what was predicted
  std::int64_t calm_steps_ = 0;   // in a row
  std::int64_t pause_ = kFirstPause;
  std::int64_t wait_ = 0;  // steps until a plan may be due again

  static constexpr std::int64_t kFirstPause = 4;
};

}  // namespace skua
