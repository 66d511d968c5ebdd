#include "ops/activation.h"

#include <fmt/format.h>

#include <stdexcept>

namespace skua::ops {

namespace {

void check_activation(const Op& activation, const ValueType& output) {
  if (!op_definition(activation.type).traits.activation) {
    throw std::invalid_argument(
        fmt::format("expected an activation that is differentiated from its result, got '{}'", activation.type));
  }
  (void)op_definition(activation.type).infer(activation, std::span(&output, 1));
}

}  // namespace

Op without_activation(const Op& op) {
  Op plain = op;
  plain.attributes.erase("activation");
  plain.attributes.erase("alpha");
  return plain;
}

OpDefinition with_activation(OpDefinition definition) {
  definition.infer = [rule = std::move(definition.infer)](const Op& op, TypeSpan inputs) {
    const auto activation = activation_of(op);
    if (!activation) return rule(op, inputs);
    std::vector<ValueType> outputs = rule(without_activation(op), inputs);
    check_activation(*activation, outputs.at(0));
    return outputs;
  };
  definition.gradient = [rule = std::move(definition.gradient)](GradientContext& context) {
    const auto activation = activation_of(context.op());
    if (!activation) return rule(context);
    std::vector<ValueId> gradients;
    for (std::size_t i = 0; i < context.output_count(); ++i) gradients.push_back(context.output_gradient(i));
    if (gradients[0].valid()) {
      const Op backward{activation->type + "_backward", activation->attributes};
      gradients[0] = context.add(backward, {context.output(0), gradients[0]}, "backward_activation").at(0);
    }
    GradientContext before = context.as(without_activation(context.op()), std::move(gradients));
    return rule(before);
  };
  definition.flops = [rule = std::move(definition.flops)](const Op& op, TypeSpan inputs, TypeSpan outputs) {
    const auto activation = activation_of(op);
    if (!activation) return rule(op, inputs, outputs);
    const TypeSpan result = outputs.first(1);
    return rule(without_activation(op), inputs, outputs) +
           op_definition(activation->type).flops(*activation, result, result);
  };
  definition.traits.takes_activation = true;
  return definition;
}

}  // namespace skua::ops
