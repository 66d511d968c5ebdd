// A model planned on a cluster, and what the plan would cost: for `plan` and `simulate`.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "skua/scheduler/memory_plan.h"
#include "skua/scheduler/simulator.h"
#include "skua/skua.h"

namespace skua::cli {

struct PlanRequest {
  std::string model = "mnist_cnn";
  std::string cluster = "cpu:2";
  std::string policy = "auto";
  double plan_seconds = 10;
  std::string plan_file;              // policy replay
  std::optional<std::int64_t> batch;  // otherwise the model's
  std::string micro_batches = "auto";
  std::string profile;
  std::vector<std::string> passes = pass_names();
  std::optional<Constraints> constraints;
};

// How far `value` is above `bound`, but for rounding.
[[nodiscard]] double gap_percent(double value, double bound);
// By task: its name, device and priority.
[[nodiscard]] nlohmann::json placements_json(const Plan& plan, const TaskGraph& tasks, const Cluster& cluster);
// By device: bytes of its memory's arena.
[[nodiscard]] nlohmann::json peak_bytes_json(const MemoryPlan& memory, const Cluster& cluster);

// Keeps what its schedule points to: not copied, not moved.
class PlannedStep {
 public:
  // Throws std::invalid_argument where the request does not fit.
  explicit PlannedStep(const PlanRequest& request);
  // On this cluster, whatever the request says of the cluster and of limits.
  PlannedStep(const PlanRequest& request, Cluster cluster);
  PlannedStep(const PlannedStep&) = delete;
  PlannedStep& operator=(const PlannedStep&) = delete;

  [[nodiscard]] const Cluster& cluster() const { return cluster_; }
  [[nodiscard]] const Plan& plan() const { return plan_; }
  [[nodiscard]] const Schedule& schedule() const { return *schedule_; }
  [[nodiscard]] const CostTable& costs() const { return *costs_; }
  [[nodiscard]] double gap_percent(double makespan_seconds) const {
    return cli::gap_percent(makespan_seconds, lower_bound_);
  }

  [[nodiscard]] const StepTrace& predicted() const { return predicted_; }

  // What `plan` and `simulate` give alike, for one makespan.
  [[nodiscard]] nlohmann::json to_json(double makespan_seconds, bool placements) const;
  [[nodiscard]] std::vector<std::vector<std::string>> to_rows() const;
  // What a simulation of it tells: by device, how busy it is and what its memory holds; and bytes moved.
  [[nodiscard]] nlohmann::json trace_json(const StepTrace& trace) const;
  [[nodiscard]] std::vector<std::vector<std::string>> trace_rows(const StepTrace& trace) const;
  [[nodiscard]] std::string label() const { return "simulated: " + cluster_.name(); }

 private:
  PlanRequest request_;
  Cluster cluster_;
  CostModel model_costs_;
  std::unique_ptr<TaskGraph> tasks_;
  Plan plan_;
  std::unique_ptr<CostTable> costs_;
  std::unique_ptr<Schedule> schedule_;
  std::unique_ptr<MemoryPlan> memory_;
  StepTrace predicted_;
  double lower_bound_ = 0;
  double planning_seconds_ = 0;
};

}  // namespace skua::cli
