#include "skua/layers/layer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

namespace skua {

ValueId LayerBuilder::parameter(const std::string& name, Shape shape, Initializer initializer) {
  const std::string full_name = layer_name_ + "." + name;
  const ValueId known = into_.graph.find_value(full_name);
  if (known.valid()) return known;
  const ValueId id = into_.graph.add_parameter(full_name, std::move(shape));
  into_.parameters.push_back({id, std::move(initializer)});
  return id;
}

std::vector<ValueId> LayerBuilder::node_outputs(Op op, std::vector<ValueId> inputs, const std::string& suffix) {
  const std::string name = suffix.empty() ? node_name_ : node_name_ + "." + suffix;
  return into_.graph.add_node(std::move(op), std::move(inputs), name);
}

ValueId LayerBuilder::node(Op op, std::vector<ValueId> inputs, const std::string& suffix) {
  return node_outputs(std::move(op), std::move(inputs), suffix).at(0);
}

const std::vector<std::string>& activations() {
  static const std::vector<std::string> names{"relu",    "leaky_relu", "sigmoid", "tanh",
                                              "softmax", "gelu",       "elu",     "softplus"};
  return names;
}

ValueId LayerBuilder::activation(const std::string& name, ValueId value) {
  if (name.empty() || name == "linear") return value;
  const std::vector<std::string>& known = activations();
  if (std::find(known.begin(), known.end(), name) == known.end()) {
    fail(fmt::format("expected an activation of {} or linear, got '{}'", fmt::join(known, ", "), name));
  }
  Op op{name, {}};
  if (name == "leaky_relu") op.attributes.set("alpha", 0.2);
  if (name == "elu") op.attributes.set("alpha", 1.0);
  return node(std::move(op), {value}, name);
}

ValueId LayerBuilder::reshape(ValueId value, const Shape& to, const std::string& suffix) {
  return node({"reshape", {{"shape", to.extents()}}}, {value}, suffix);
}

ValueId LayerBuilder::zeros(const Shape& of, const std::string& suffix) {
  return node({"fill", {{"shape", of.extents()}, {"value", 0.0}}}, {}, suffix);
}

void LayerBuilder::follow(ValueId parameter, ValueId value, double momentum) {
  const auto same = [&](const RunningAverage& average) { return average.parameter == parameter; };
  if (!into_.training || std::any_of(into_.averages.begin(), into_.averages.end(), same)) return;
  into_.averages.push_back({parameter, value, momentum});
}

ValueId LayerBuilder::mask(ValueId sequence) const {
  const auto it = into_.masks.find(sequence);
  return it == into_.masks.end() ? ValueId() : it->second;
}

void LayerBuilder::set_mask(ValueId sequence, ValueId mask) {
  into_.masks[sequence] = mask;
}

ValueId LayerBuilder::keep_mask(ValueId from, ValueId to) {
  const ValueId kept = mask(from);
  if (kept.valid()) set_mask(to, kept);
  return to;
}

void LayerBuilder::expect_rank(ValueId input, std::size_t rank, const std::string& axes) const {
  if (shape(input).rank() == rank) return;
  fail(fmt::format("expected {}-D input {}, got {}", rank, axes, shape(input).to_string()));
}

void LayerBuilder::expect_float(ValueId input) const {
  if (type(input).dtype == DType::kFloat32) return;
  fail(fmt::format("expected float32 input, got {}", type(input).to_string()));
}

void LayerBuilder::fail(const std::string& message) const {
  throw std::invalid_argument(fmt::format("[{} {}] {}", type_name_, layer_name_, message));
}

ValueId UnaryLayer::build(LayerBuilder& builder, std::span<const ValueId> inputs) const {
  if (inputs.size() != 1) builder.fail(fmt::format("expected one input, got {}", inputs.size()));
  return apply(builder, inputs[0]);
}

}  // namespace skua
