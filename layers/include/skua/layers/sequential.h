// A model: layers one after another. Keras's verbs: add, compile, fit, evaluate, predict. Owns its layers and weights;
// one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>

#include "skua/layers/layers.h"
#include "skua/layers/training.h"
#include "skua/scheduler/policy.h"

namespace skua {

class Sequential {
 public:
  explicit Sequential(Shape input_shape);  // of one sample: (1,28,28)
  ~Sequential();
  Sequential(Sequential&&) noexcept;
  Sequential& operator=(Sequential&&) noexcept;

  // Throws std::invalid_argument where the layer does not fit what comes before, or its name is taken.
  template <class L>
  Sequential& add(L layer) {
    add_layer(std::make_shared<L>(std::move(layer)));
    return *this;
  }

  // Draws the first weights (anew, if called again). Throws std::invalid_argument naming the option that is wrong.
  void compile(CompileOptions options = {});
  // Trains on from where the model is. Throws std::invalid_argument where an option is wrong.
  History fit(const Dataset& data, const FitOptions& options = {});
  [[nodiscard]] Metrics evaluate(const Dataset& data, std::int64_t batch_size = 128);
  // features (N, input shape) to predictions (N, ...): logits.
  [[nodiscard]] Tensor predict(const Tensor& features, std::int64_t batch_size = 128);

  [[nodiscard]] std::string summary() const;  // a table: layers, output shapes, parameters
  [[nodiscard]] std::int64_t parameter_count() const;
  [[nodiscard]] const CompileOptions& options() const;  // REQUIRES compile
  [[nodiscard]] const TrainingReport& report() const;   // of the last fit

  // By name, in plain layout. set_weights throws std::invalid_argument unless names and types are those of the model.
  [[nodiscard]] const std::map<std::string, Tensor>& weights() const;
  void set_weights(std::map<std::string, Tensor> weights);
  // SHA-256 (hex) over names, shapes and plain bytes, in order of the names.
  [[nodiscard]] std::string weights_sha256() const;

  // A checkpoint is a file "skua.checkpoint" in a directory: weights, optimizer state, step, place in the data, seed
  // and micro-batch count. It replaces an older one only when it is complete. load throws std::invalid_argument where
  // it is missing, damaged or another model's; training then goes on with the same bits as without the break.
  void save_checkpoint(const std::string& directory) const;
  void load_checkpoint(const std::string& directory);

  // The training step of one micro-batch, as fit plans it, for batches of `batch_size` cut into `micro_batches`.
  [[nodiscard]] Graph training_graph(std::int64_t batch_size, int micro_batches) const;

 private:
  void add_layer(std::shared_ptr<const Layer> layer);
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// The micro-batch count for which the policy's plan has the shortest simulated step: of the divisors of the batch up to
// four per device. Does not depend on anything measured but what `costs` holds, nor on the clock: the policy gets no
// time limit, whatever `options` says. For the policy "replay", the plan file's count.
[[nodiscard]] int choose_micro_batches(const Sequential& model, std::int64_t batch_size, const Cluster& cluster,
                                       const CostModel& costs, const std::string& policy,
                                       const PolicyOptions& options = {});

}  // namespace skua
