// Models. Keras's verbs: compile, fit, evaluate, predict. A model owns its layers and weights; one thread at a time.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "skua/layers/callbacks.h"
#include "skua/layers/layers.h"
#include "skua/layers/training.h"
#include "skua/scheduler/policy.h"

namespace skua {

class Blueprint;
struct DeviceSet;
class Network;

class Model {
 public:
  virtual ~Model();
  Model(Model&&) noexcept;
  Model& operator=(Model&&) noexcept;

  // Draws the first weights (anew, if called again). Throws std::invalid_argument naming the option that is wrong.
  void compile(CompileOptions options = {});
  // Trains on from where the model is. Throws std::invalid_argument where an option is wrong.
  History fit(const Dataset& data, const FitOptions& options = {});
  [[nodiscard]] Metrics evaluate(const Dataset& data, std::int64_t batch_size = 128);
  // features (N, ...) to predictions (N, ...), such as logits.
  [[nodiscard]] Tensor predict(const Tensor& features, std::int64_t batch_size = 128);
  [[nodiscard]] ValueType sample_type() const;  // of one sample that predict takes

  // A table: layers, output shapes, parameters and, after fit, the devices that the last plan gave each layer to.
  [[nodiscard]] std::string summary() const;
  [[nodiscard]] std::int64_t parameter_count() const;
  [[nodiscard]] const CompileOptions& options() const;  // REQUIRES compile
  [[nodiscard]] const TrainingReport& report() const;   // of the last fit

  // By name, in plain layout. set_weights throws std::invalid_argument unless names and types are those of the model.
  [[nodiscard]] const std::map<std::string, Tensor>& weights() const;
  void set_weights(std::map<std::string, Tensor> weights);
  // SHA-256 (hex) over names, shapes and plain bytes, in order of the names.
  [[nodiscard]] std::string weights_sha256() const;
  // From the next step on, learning rates are what they were times `factor` (above 0); a checkpoint keeps it.
  void scale_learning_rate(double factor);

  // A checkpoint is a file "skua.checkpoint" in a directory: weights, optimizer state, step, place in the data, seed
  // and micro-batch count. It replaces an older one only when it is complete. load throws std::invalid_argument where
  // it is missing, damaged or another model's; training then goes on with the same bits as without the break.
  void save_checkpoint(const std::string& directory) const;
  void load_checkpoint(const std::string& directory);

  // The training step of one micro-batch, as fit plans it, for batches of `batch_size` cut into `micro_batches`. Needs
  // no compile.
  [[nodiscard]] Graph training_graph(std::int64_t batch_size, int micro_batches, const CompileOptions& options) const;

 protected:
  explicit Model(std::shared_ptr<const Blueprint> blueprint);
  void require_no_training(const std::string& verb) const;
  void expect_compile();  // the layers have changed

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// A value in a model under construction.
struct Symbol {
  std::size_t index = 0;
};

// Layers in any order that has no cycle: each reads the input or what earlier layers give.
//   Functional model({3, 32, 32});
//   const Symbol x = model.add(Conv2D(16, {3, 3}, {.padding = "same"}), model.input());
//   const Symbol y = model.add(Conv2D(16, {3, 3}, {.padding = "same"}), x);
//   model.add(Add(), {x, y});
// The prediction is what the last layer gives.
class Functional : public Model {
 public:
  // Of one sample: {1, 28, 28}, or {100} of int32 token ids.
  explicit Functional(Shape input_shape, DType dtype = DType::kFloat32);

  [[nodiscard]] Symbol input() const { return {0}; }
  // Throws std::invalid_argument where the layer does not fit its inputs, or its name is taken.
  template <class L>
  Symbol add(L layer, const std::vector<Symbol>& inputs) {
    return add_layer(std::make_shared<L>(std::move(layer)), inputs);
  }
  template <class L>
  Symbol add(L layer, Symbol input) {
    return add(std::move(layer), std::vector<Symbol>{input});
  }
  [[nodiscard]] const Shape& shape(Symbol symbol) const;  // of one sample

 protected:
  Symbol add_layer(std::shared_ptr<const Layer> layer, const std::vector<Symbol>& inputs);
  [[nodiscard]] Symbol last() const;

 private:
  friend class Gan;
  explicit Functional(std::shared_ptr<Network> network);
  std::shared_ptr<Network> network_;  // the blueprint
};

// Layers one after another.
class Sequential : public Functional {
 public:
  using Functional::Functional;

  // Throws std::invalid_argument where the layer does not fit what comes before, or its name is taken.
  template <class L>
  Sequential& add(L layer) {
    add_layer(std::make_shared<L>(std::move(layer)), {last()});
    return *this;
  }
};

// Plans a training step, its micro-batch count included: the count, of the divisors of the batch up to four per device,
// for which options.policy finds the shortest simulated step in options.plan_seconds for all counts together; the
// smallest of equal ones. Does not depend on anything measured but what `costs` holds, nor on the clock or the machine.
// For the policy "replay", the plan file. `devices`: those of the cluster, which know what their kernels do
// (add_estimates); null: planned for a cluster without them.
[[nodiscard]] Plan plan_step(const Model& model, const CompileOptions& options, std::int64_t batch_size,
                             const Cluster& cluster, CostModel costs, const DeviceSet* devices = nullptr);
// The micro-batch count of that plan.
[[nodiscard]] int choose_micro_batches(const Model& model, const CompileOptions& options, std::int64_t batch_size,
                                       const Cluster& cluster, CostModel costs, const DeviceSet* devices = nullptr);

}  // namespace skua
