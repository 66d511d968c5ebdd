#include "skua/scheduler/adaptation.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "skua/scheduler/simulator.h"

namespace skua {

void Adaptation::begin(const Schedule& schedule, double predicted_seconds, bool is_new) {
  predicted_seconds_ = predicted_seconds;
  is_new_ = is_new;
  slowness_.clear();
  for (const DeviceSpec& device : schedule.cluster().devices()) slowness_.push_back(costs_.slowness(device.name));
  plan_steps_ = 0;
  drift_steps_ = 0;
  calm_steps_ = 0;
}

bool Adaptation::observe(const Schedule& schedule, const StepTrace& trace) {
  if (++plan_steps_ <= kWarmUpSteps) return false;
  skua::observe(schedule, trace, costs_);
  if (!measured_) {
    measured_ = plan_steps_ == kWarmUpSteps + kMeasuredSteps;
    return measured_;
  }
  follow(trace.seconds);
  const bool changed = speeds_changed(schedule);
  if (wait_ > 0) --wait_;
  if (!changed && calm_steps_ >= (is_new_ ? kDriftSteps : pause_)) {
    pause_ = kFirstPause;
    wait_ = 0;
  }
  if (wait_ > 0 || (!changed && std::abs(drift_steps_) < kDriftSteps)) return false;
  wait_ = pause_;
  pause_ *= 2;
  return true;
}

void Adaptation::follow(double seconds) {
  const double drift = seconds / predicted_seconds_ - 1;
  if (drift > kDrift) {
    drift_steps_ = std::max(drift_steps_, 0) + 1;
  } else if (drift < -kDrift) {
    drift_steps_ = std::min(drift_steps_, 0) - 1;
  } else {
    drift_steps_ = 0;
  }
  calm_steps_ = drift_steps_ == 0 ? calm_steps_ + 1 : 0;
}

bool Adaptation::speeds_changed(const Schedule& schedule) const {
  for (std::size_t d = 0; d < slowness_.size(); ++d) {
    const double change = costs_.slowness(schedule.cluster().devices()[d].name) / slowness_[d];
    if (change >= kSpeedChange || change <= 1 / kSpeedChange) return true;
  }
  return false;
}

bool Adaptation::is_better(const Plan& made, const Plan& present, const CostTable& costs) {
  const auto seconds = [&](const Plan& plan) {
    return simulate(Schedule(costs.graph(), costs.cluster(), plan), costs).seconds;
  };
  return seconds(made) < seconds(present) * kWorthwhile;
}

}  // namespace skua
