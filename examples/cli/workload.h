// One model's training step on one set of devices, to be measured: its task graph, a batch, first weights and times.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "models/models.h"
#include "skua/skua.h"

namespace skua::cli {

class Workload {
 public:
  // Throws std::invalid_argument where the model has no data or the batch does not divide.
  Workload(const models::Recipe& recipe, DeviceSet devices, std::optional<std::int64_t> batch, int micro_batches,
           CostModel costs = {});

  [[nodiscard]] const TaskGraph& tasks() const { return *tasks_; }
  [[nodiscard]] const Cluster& cluster() const { return devices_.cluster; }
  [[nodiscard]] std::int64_t batch() const { return batch_; }
  [[nodiscard]] const CostModel& costs() const { return costs_; }  // those it began with, as calibrated
  [[nodiscard]] Plan plan(const std::string& policy, const CostModel& costs, double plan_seconds) const;
  [[nodiscard]] std::unique_ptr<Session> open(const Plan& plan, const CostModel& costs, const std::string& stealing);

  // Adds the operators' times in some steps of data parallelism, which keeps all devices busy, to the costs.
  void calibrate(int steps);
  // Trains from the first weights on, after kWarmUpSteps that do not count.
  void run(Session& session, int steps, const std::function<void(const StepTrace&)>& action) const;

  static constexpr int kWarmUpSteps = 2;  // first touches of memory, kernels' first runs

 private:
  void read_batch(const Dataset& data);

  CompileOptions compile_;
  std::int64_t batch_;
  DeviceSet devices_;
  std::unique_ptr<TaskGraph> tasks_;
  std::map<std::string, Tensor> weights_;
  Tensor features_;
  Tensor labels_;
  CostModel costs_;
};

}  // namespace skua::cli
