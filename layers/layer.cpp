#include "skua/layers/layer.h"

#include <fmt/format.h>

#include <stdexcept>

namespace skua {

ValueId LayerBuilder::parameter(const std::string& name, Shape shape, Initializer initializer) {
  const ValueId id = graph_.add_parameter(layer_name_ + "." + name, std::move(shape));
  parameters_.push_back({id, std::move(initializer)});
  return id;
}

ValueId LayerBuilder::node(Op op, std::vector<ValueId> inputs, const std::string& suffix) {
  const std::string name = suffix.empty() ? layer_name_ : layer_name_ + "." + suffix;
  return graph_.add_node(std::move(op), std::move(inputs), name).at(0);
}

ValueId LayerBuilder::activation(const std::string& name, ValueId value) {
  if (name.empty() || name == "linear") return value;
  if (name != "relu" && name != "sigmoid" && name != "tanh") {
    fail(fmt::format("expected an activation of relu, sigmoid, tanh or linear, got '{}'", name));
  }
  return node({name, {}}, {value}, name);
}

void LayerBuilder::expect_rank(ValueId input, std::size_t rank, const std::string& axes) const {
  if (shape(input).rank() == rank) return;
  fail(fmt::format("expected {}-D input {}, got {}", rank, axes, shape(input).to_string()));
}

void LayerBuilder::fail(const std::string& message) const {
  throw std::invalid_argument(fmt::format("[{} {}] {}", type_name_, layer_name_, message));
}

}  // namespace skua
