// Training steps of one model on one set of devices: plans, runs, measures, and plans anew by what was measured, on a
// thread of its own while steps go on. One thread at a time.
#pragma once

#include <deque>
#include <future>
#include <memory>
#include <vector>

#include "blueprint.h"
#include "skua/engine/session.h"
#include "skua/scheduler/adaptation.h"
#include "training_state.h"

namespace skua {

class Trainer {
 public:
  // Everything must outlive the trainer. `costs` gets measured times. A trainer that goes waits for its planner.
  Trainer(ModelGraph model, int micro_batches, const CompileOptions& options, DeviceSet& devices, CostModel& costs,
          int trace_steps);

  // Throws std::invalid_argument where steps were done by an optimizer with other states.
  void import_state(const TrainingState& state);
  void export_state(TrainingState& state) const;

  // Labels are not read where the model needs none. Before the step, a plan that is due is begun, and one that is made
  // and better is taken up: in a new session, the weights moved bit by bit. What the planner throws reaches the caller,
  // but for std::invalid_argument: then the old plan stays.
  // Cancelled where `stop` was requested in time and the model recovers; after DeviceLost, where it holds_state,
  // end_session and begin_session go on without the device.
  StepResult step(const Tensor& features, const Tensor& labels, std::int64_t step, double learning_rate,
                  const std::stop_token& stop = {});
  [[nodiscard]] bool holds_state() const { return session_->holds_state(); }
  // Gives up all that the devices hold.
  void end_session();
  // Plans for the devices that there are now; a plan file for others is no longer followed, but `auto`'s plan.
  // REQUIRES: end_session before, import_state after it.
  void begin_session();
  // Waits for a plan that is being made, and forgets it.
  void drop_planning();
  // Of the steps so far, but for what only the caller knows: seconds, final_loss.
  [[nodiscard]] TrainingReport report() const;
  [[nodiscard]] const ModelGraph& model() const { return model_; }

 private:
  void make_session(bool is_new_plan);
  [[nodiscard]] bool records_steps() const;
  void predict();
  void begin_planning();
  void take_up_plan();
  [[nodiscard]] std::map<std::string, std::string> layer_devices() const;
  void measure(const StepTrace& trace);

  ModelGraph model_;
  CompileOptions options_;
  DeviceSet& devices_;
  CostModel& costs_;
  TaskGraph tasks_;
  Adaptation adaptation_;
  Plan plan_;
  std::unique_ptr<Session> session_;
  std::unique_ptr<CostTable> predicted_by_;  // the costs behind the plan's prediction
  bool measured_costs_ = false;
  std::map<ValueId, const Tensor*> inputs_;
  int plans_made_ = 0;
  std::int64_t steps_ = 0;
  std::int64_t steals_ = 0;
  double bytes_copied_ = 0;
  std::size_t trace_steps_;
  StepTrace trace_;
  std::deque<StepTrace> last_traces_;
  std::vector<double> step_seconds_;  // since the session was made, but for steps beside a planner
  std::vector<double> busy_;          // by device: sum of busy shares of these steps
  bool plan_is_due_ = false;
  std::future<Plan> planning_;  // waits when it goes: before what its planner reads
};

}  // namespace skua
