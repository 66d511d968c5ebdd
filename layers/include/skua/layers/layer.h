// What a layer is: something that appends nodes and parameters to a graph. Immutable; a model owns its layers.
#pragma once

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

// A layer's view of the graph that a model is built into.
class LayerBuilder {
 public:
  LayerBuilder(Graph& graph, std::vector<ParameterInit>& parameters, std::string type_name, std::string layer_name)
      : graph_(graph), parameters_(parameters), type_name_(std::move(type_name)), layer_name_(std::move(layer_name)) {}

  [[nodiscard]] const Shape& shape(ValueId value) const { return graph_.value(value).type.shape; }
  // Declares "<layer>.<name>".
  ValueId parameter(const std::string& name, Shape shape, Initializer initializer);
  // Appends a node "<layer>" ("<layer>.<suffix>" with a suffix) and returns its first output.
  ValueId node(Op op, std::vector<ValueId> inputs, const std::string& suffix = "");
  // relu, sigmoid, tanh, or the value itself where the name is empty or "linear".
  ValueId activation(const std::string& name, ValueId value);
  // Throws std::invalid_argument "[Conv2D conv1] expected 4-D input (N,C,H,W), got (128,784)" unless the rank fits.
  void expect_rank(ValueId input, std::size_t rank, const std::string& axes) const;
  [[noreturn]] void fail(const std::string& message) const;  // led by "[Conv2D conv1] "

 private:
  Graph& graph_;
  std::vector<ParameterInit>& parameters_;
  std::string type_name_;
  std::string layer_name_;
};

class Layer {
 public:
  explicit Layer(std::string name) : name_(std::move(name)) {}
  virtual ~Layer() = default;

  [[nodiscard]] const std::string& name() const { return name_; }  // empty: the model numbers it, "conv1"
  [[nodiscard]] virtual std::string type_name() const = 0;         // "Conv2D"
  [[nodiscard]] virtual std::string name_prefix() const = 0;       // "conv"
  // Appends the layer and returns its output. Shapes include the micro-batch: (N,C,H,W). Throws std::invalid_argument
  // where the input does not fit.
  virtual ValueId build(LayerBuilder& builder, ValueId input) const = 0;

 private:
  std::string name_;
};

}  // namespace skua
