// What a layer is: something that appends nodes and parameters to a graph. Immutable; a model owns its layers.
#pragma once

#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "skua/graph/graph.h"
#include "skua/layers/initializers.h"

namespace skua {

struct ParameterInit {
  ValueId parameter;
  Initializer initializer;
};

// A parameter that follows the mean of a value over the micro-batches of each training step.
struct RunningAverage {
  ValueId parameter;
  ValueId value;        // an intermediate of the parameter's type
  double momentum = 0;  // weight of the new value
};

// A graph under construction, and what its layers have left in it for others.
struct GraphUnderConstruction {
  bool training = false;  // dropout drops and batch norm normalises by the batch
  Graph graph = {};
  std::vector<ParameterInit> parameters = {};
  std::vector<RunningAverage> averages = {};
  std::map<ValueId, ValueId> masks = {};  // of sequences (N,T,...): (N,T), 0 where a step is padding
  std::int64_t streams = 0;               // of random numbers, taken so far
};

// A layer's view of the graph that a model is built into.
class LayerBuilder {
 public:
  // Nodes are named by `node_name`, parameters by `layer_name`: a layer that is used twice is built under two node
  // names and declares its parameters once.
  LayerBuilder(GraphUnderConstruction& into, std::string type_name, std::string layer_name, std::string node_name)
      : into_(into),
        type_name_(std::move(type_name)),
        layer_name_(std::move(layer_name)),
        node_name_(std::move(node_name)) {}

  [[nodiscard]] bool training() const { return into_.training; }
  [[nodiscard]] const ValueType& type(ValueId value) const { return into_.graph.value(value).type; }
  [[nodiscard]] const Shape& shape(ValueId value) const { return type(value).shape; }
  // Declares "<layer>.<name>", or gives it where the layer has been built before.
  ValueId parameter(const std::string& name, Shape shape, Initializer initializer);
  // Appends a node "<layer>" ("<layer>.<suffix>" with a suffix) and returns its first output, or all.
  ValueId node(Op op, std::vector<ValueId> inputs, const std::string& suffix = "");
  std::vector<ValueId> node_outputs(Op op, std::vector<ValueId> inputs, const std::string& suffix = "");
  // One of activations(), or the value itself where the name is empty or "linear".
  ValueId activation(const std::string& name, ValueId value);
  ValueId reshape(ValueId value, const Shape& shape, const std::string& suffix);
  ValueId zeros(const Shape& shape, const std::string& suffix);
  // In training, `parameter` follows `value` from step to step. REQUIRES: one follower of a parameter; more are
  // ignored.
  void follow(ValueId parameter, ValueId value, double momentum);
  // A number that no other node of the model has, for the stream of its random numbers.
  std::int64_t new_stream() { return into_.streams++; }

  // The mask of a sequence; invalid where every step counts.
  [[nodiscard]] ValueId mask(ValueId sequence) const;
  void set_mask(ValueId sequence, ValueId mask);
  // `to` has the mask of `from`; returns `to`.
  ValueId keep_mask(ValueId from, ValueId to);

  // Throws std::invalid_argument "[Conv2D conv1] expected 4-D input (N,C,H,W), got (128,784)" unless the rank fits.
  void expect_rank(ValueId input, std::size_t rank, const std::string& axes) const;
  void expect_float(ValueId input) const;
  [[noreturn]] void fail(const std::string& message) const;  // led by "[Conv2D conv1] "

 private:
  GraphUnderConstruction& into_;
  std::string type_name_;
  std::string layer_name_;
  std::string node_name_;
};

// relu, leaky_relu, sigmoid, tanh, softmax, gelu, elu, softplus.
[[nodiscard]] const std::vector<std::string>& activations();

class Layer {
 public:
  // `type_name` "Conv2D"; an empty `name` is numbered by the model: `prefix` "conv", name "conv1".
  Layer(std::string type_name, std::string prefix, std::string name)
      : type_name_(std::move(type_name)), prefix_(std::move(prefix)), name_(std::move(name)) {}
  virtual ~Layer() = default;

  [[nodiscard]] const std::string& type_name() const { return type_name_; }
  [[nodiscard]] const std::string& name_prefix() const { return prefix_; }
  [[nodiscard]] const std::string& name() const { return name_; }
  // Appends the layer and returns its output. Shapes include the micro-batch: (N,C,H,W). Throws std::invalid_argument
  // where the inputs do not fit.
  virtual ValueId build(LayerBuilder& builder, std::span<const ValueId> inputs) const = 0;

 private:
  std::string type_name_;
  std::string prefix_;
  std::string name_;
};

// A layer of one input.
class UnaryLayer : public Layer {
 public:
  using Layer::Layer;
  ValueId build(LayerBuilder& builder, std::span<const ValueId> inputs) const final;
  virtual ValueId apply(LayerBuilder& builder, ValueId input) const = 0;
};

}  // namespace skua
