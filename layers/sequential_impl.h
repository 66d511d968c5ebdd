// What a Sequential holds, and how it does what it is told. Private to layers/.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "evaluator.h"
#include "model_graph.h"
#include "skua/layers/sequential.h"
#include "trainer.h"

namespace skua {

class Sequential::Impl {
 public:
  explicit Impl(Shape input_shape) { architecture_.input_shape = std::move(input_shape); }

  void add(std::shared_ptr<const Layer> layer);
  void compile(CompileOptions options);
  History fit(Sequential& self, const Dataset& data, const FitOptions& options);
  Metrics evaluate(const Dataset& data, std::int64_t batch_size);
  Tensor predict(const Tensor& features, std::int64_t batch_size);

  // With the weights of the last step.
  const TrainingState& state();
  void set_weights(std::map<std::string, Tensor> weights);
  void restore(TrainingState state);

  [[nodiscard]] const Architecture& architecture() const { return architecture_; }
  [[nodiscard]] const CompileOptions& options() const { return options_; }
  [[nodiscard]] const TrainingReport& report() const { return report_; }
  [[nodiscard]] std::string model_fingerprint() const;

 private:
  void require_compiled() const;
  void require_no_training(const std::string& verb) const;
  void check_resumed(const FitOptions& options) const;
  [[nodiscard]] int micro_batches_for(const Sequential& self, std::int64_t batch_size) const;
  void begin_training(const Sequential& self, const Dataset& data, const FitOptions& options);
  EpochLogs train_epoch(Sequential& self, const Dataset& data, const FitOptions& options, std::int64_t steps,
                        const std::vector<Callback*>& callbacks);
  void end_epoch(Sequential& self, const FitOptions& options, const std::vector<Callback*>& callbacks, EpochLogs& logs);

  Architecture architecture_;
  CompileOptions options_;
  bool compiled_ = false;
  bool resumed_ = false;   // from a checkpoint: batch size and micro-batch count must stay
  bool training_ = false;  // a fit is under way
  bool ahead_ = false;     // the trainer's weights and states are newer than those in state_
  DeviceSet devices_;
  CostModel first_costs_;  // as compile found them
  CostModel costs_;        // with what was measured since
  TrainingState state_;
  std::unique_ptr<Trainer> trainer_;
  TrainingReport report_;
  double train_seconds_ = 0;  // of this fit
  double final_loss_ = 0;
};

}  // namespace skua
