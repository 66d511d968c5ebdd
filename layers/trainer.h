// Training steps of one model on one set of devices: plans, runs, measures, and plans anew by what was measured.
#pragma once

#include <deque>
#include <memory>
#include <vector>

#include "blueprint.h"
#include "skua/engine/session.h"
#include "training_state.h"

namespace skua {

class Trainer {
 public:
  // Everything must outlive the trainer. `costs` gets measured times.
  Trainer(ModelGraph model, int micro_batches, const CompileOptions& options, DeviceSet& devices, CostModel& costs,
          int trace_steps);

  // Throws std::invalid_argument where steps were done by an optimizer with other states.
  void import_state(const TrainingState& state);
  void export_state(TrainingState& state) const;

  // Labels are not read where the model needs none.
  StepResult step(const Tensor& features, const Tensor& labels, std::int64_t step, double learning_rate);
  // Plans anew if steps take much longer or shorter than planned.
  void end_epoch();
  // Of the steps so far, but for what only the caller knows: seconds, final_loss.
  [[nodiscard]] TrainingReport report() const;
  [[nodiscard]] const ModelGraph& model() const { return model_; }

 private:
  void make_session();
  void plan_anew();
  [[nodiscard]] double simulated_seconds(const Plan& plan) const;
  [[nodiscard]] std::map<std::string, std::string> layer_devices() const;
  void measure(const StepTrace& trace);

  ModelGraph model_;
  CompileOptions options_;
  DeviceSet& devices_;
  CostModel& costs_;
  TaskGraph tasks_;
  Plan plan_;
  std::unique_ptr<Session> session_;
  std::map<ValueId, const Tensor*> inputs_;
  int plans_made_ = 0;
  std::int64_t steps_ = 0;
  std::int64_t steals_ = 0;
  double bytes_copied_ = 0;
  std::size_t trace_steps_;
  StepTrace trace_;
  std::deque<StepTrace> last_traces_;
  static constexpr int kNoWindow = -1;
  int window_ = 0;                    // steps of the window in which costs are measured
  std::vector<double> step_seconds_;  // since the session was made
  std::vector<double> busy_;          // by device: sum of busy shares since then
};

}  // namespace skua
