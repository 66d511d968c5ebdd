// Where a training step's time goes, operator by operator, beside what the machine's limits allow.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "machine_limits.h"
#include "skua/skua.h"

namespace skua::cli {

// All tasks of one node, or all sums of gradients. Seconds are of a step: those of all devices over their number.
struct OperatorTime {
  std::string name;
  std::string type;
  std::string kind;  // of step_kinds()
  double seconds = 0;
  double flops = 0;
  double bytes = 0;
  double floor_seconds = 0;  // FLOPs and bytes of each task, by the slower of the two limits
};

struct StepProfile {
  std::vector<OperatorTime> operators;   // the longest first
  std::map<std::string, double> shares;  // of the devices' time, by kind
  double flops = 0;
  double bytes = 0;
  double floor_seconds = 0;
};

// "convolution", ..., "optimizer", "sums", and "overhead": waiting and scheduling.
[[nodiscard]] const std::vector<std::string>& step_kinds();
// Of the steps that the report has traces of. `limits`: of all its devices together.
[[nodiscard]] StepProfile profile_of(const TrainingReport& report, const MachineLimits& limits);

}  // namespace skua::cli
