// What a Model holds, and how it does what it is told. Private to layers/.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "batch_reader.h"
#include "blueprint.h"
#include "evaluator.h"
#include "trainer.h"

namespace skua {

class Model::Impl {
 public:
  explicit Impl(std::shared_ptr<const Blueprint> blueprint) : blueprint_(std::move(blueprint)) {}

  void compile(CompileOptions options);
  History fit(Model& self, const Dataset& data, const FitOptions& options);
  Metrics evaluate(const Dataset& data, std::int64_t batch_size);
  Tensor predict(const Tensor& features, std::int64_t batch_size);

  // With the weights of the last step.
  const TrainingState& state();
  void set_weights(std::map<std::string, Tensor> weights);
  void restore(TrainingState state);
  void scale_learning_rate(double factor);
  void forget_compile() { compiled_ = false; }

  [[nodiscard]] const Blueprint& blueprint() const { return *blueprint_; }
  [[nodiscard]] const CompileOptions& options() const { return options_; }
  [[nodiscard]] const TrainingReport& report() const { return report_; }
  [[nodiscard]] std::string model_fingerprint() const;
  void require_no_training(const std::string& verb) const;

 private:
  void require_compiled() const;
  void check_resumed(const FitOptions& options) const;
  [[nodiscard]] int micro_batches_for(const Model& self, std::int64_t batch_size) const;
  void begin_training(const Model& self, const Dataset& data, const FitOptions& options);
  EpochLogs train_epoch(Model& self, const Dataset& data, const FitOptions& options, std::int64_t steps,
                        const std::vector<Callback*>& callbacks);
  StepResult train_step(const Batch& batch, const FitOptions& options, double learning_rate);
  StepResult try_step(const Batch& batch, const FitOptions& options, double learning_rate);
  void go_on_without(const DeviceLost& lost);
  void end_epoch(Model& self, const FitOptions& options, const std::vector<Callback*>& callbacks, EpochLogs& logs);
  [[nodiscard]] double learning_rate() const;  // of the next step

  std::shared_ptr<const Blueprint> blueprint_;
  CompileOptions options_;
  bool compiled_ = false;
  bool resumed_ = false;   // from a checkpoint: batch size and micro-batch count must stay
  bool training_ = false;  // a fit is under way
  bool ahead_ = false;     // the trainer's weights and states are newer than those in state_
  DeviceSet devices_;
  std::string device_warning_;
  CostModel first_costs_;  // as compile found them
  CostModel costs_;        // with what was measured since
  TrainingState state_;
  std::unique_ptr<Trainer> trainer_;
  std::unique_ptr<Trainer> last_trainer_;  // of an epoch's last batch, where that is smaller
  TrainingReport report_;
  double train_seconds_ = 0;  // of this fit
  double final_loss_ = 0;
  std::vector<std::string> lost_devices_;  // in this fit
};

}  // namespace skua
