#include "skua/graph/op_registry.h"

#include <fmt/format.h>

#include <map>
#include <stdexcept>

#include "ops/ops.h"

namespace skua {

namespace {

using Registry = std::map<std::string, OpDefinition>;

Registry built_in() {
  Registry registry;
  for (const auto family : {ops::conv2d_ops, ops::pool2d_ops, ops::dense_ops, ops::elementwise_ops, ops::shape_ops,
                            ops::reduce_ops, ops::classification_ops, ops::loss_ops, ops::normalization_ops,
                            ops::recurrent_ops, ops::random_ops, ops::array_ops, ops::update_ops}) {
    for (OpDefinition& definition : family()) registry.emplace(definition.type, std::move(definition));
  }
  return registry;
}

Registry& registry() {
  static Registry instance = built_in();
  return instance;
}

}  // namespace

void register_op(OpDefinition definition) {
  if (definition.type.empty() || !definition.infer) {
    throw std::invalid_argument(
        fmt::format("[register_op {}] expected a type and a shape rule, got none", definition.type));
  }
  const std::string type = definition.type;
  if (!registry().emplace(type, std::move(definition)).second) {
    throw std::invalid_argument(fmt::format("[register_op {}] expected a new type, got a known one", type));
  }
}

const OpDefinition& op_definition(const std::string& type) {
  const auto found = registry().find(type);
  if (found == registry().end()) {
    throw std::invalid_argument(fmt::format("expected a known operator type, got '{}'", type));
  }
  return found->second;
}

std::vector<std::string> op_types() {
  std::vector<std::string> types;
  for (const auto& [type, definition] : registry()) types.push_back(type);
  return types;
}

std::optional<Op> activation_of(const Op& op) {
  if (!op_definition(op.type).traits.takes_activation || !op.attributes.has("activation")) return std::nullopt;
  Op activation{op.attributes.text("activation"), {}};
  if (op.attributes.has("alpha")) activation.attributes.set("alpha", op.attributes.real("alpha"));
  return activation;
}

OpCost cost_of(const Graph& graph, const Node& node) {
  const std::vector<ValueType> inputs = graph.input_types(node);
  const std::vector<ValueType> outputs = graph.output_types(node);
  const OpDefinition& definition = op_definition(node.op.type);
  OpCost cost;
  if (definition.flops) cost.flops = definition.flops(node.op, inputs, outputs);
  for (const auto* types : {&inputs, &outputs}) {
    for (const ValueType& type : *types) cost.bytes += static_cast<double>(type.bytes());
  }
  return cost;
}

GradientContext GradientContext::as(Op op, std::vector<ValueId> output_gradients) const {
  GradientContext context(graph_, node_, std::move(output_gradients));
  context.op_ = std::move(op);
  context.wanted_ = wanted_;
  return context;
}

std::vector<ValueId> GradientContext::add(Op op, std::vector<ValueId> inputs, const std::string& suffix) {
  const std::string base = graph_.node(node_).name + "." + suffix;
  std::string name = base;
  for (int i = 2; graph_.find_node(name).valid() || graph_.find_value(name).valid(); ++i) {
    name = fmt::format("{}#{}", base, i);
  }
  return graph_.add_node(std::move(op), std::move(inputs), name, Phase::kBackward);
}

}  // namespace skua
