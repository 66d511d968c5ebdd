#include <fmt/format.h>

#include <limits>
#include <stdexcept>

#include "ops/activation.h"
#include "ops/check.h"
#include "ops/ops.h"
#include "skua/graph/element_steps.h"

namespace skua::ops {

namespace {

std::vector<ValueType> infer_unary(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 1, 1);
  return {{float_shape("input", inputs[0])}};
}

// leaky_relu and elu.
std::vector<ValueType> infer_with_alpha(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"alpha"});
  expect_inputs(inputs, 1, 1);
  (void)real_in(op, "alpha", 0, std::numeric_limits<double>::infinity());
  return {{float_shape("input", inputs[0])}};
}

// Of add (a, b) and of the backward operators (y, dy).
std::vector<ValueType> infer_binary(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 2, 2);
  const Shape& first = float_shape("first input", inputs[0]);
  expect_shape("second input", first, float_shape("second input", inputs[1]));
  return {{first}};
}

std::vector<ValueType> infer_binary_with_alpha(const Op& op, TypeSpan inputs) {
  std::vector<ValueType> outputs = infer_binary({op.type, {}}, inputs);
  (void)infer_with_alpha(op, inputs.first(1));
  return outputs;
}

std::vector<ValueType> infer_softmax(const Op& op, TypeSpan inputs) {
  std::vector<ValueType> outputs = infer_unary(op, inputs);
  if (outputs[0].shape.rank() < 1) throw std::invalid_argument("expected input (...,C), got a scalar");
  return outputs;
}

std::vector<ValueType> infer_bias_add(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 2, 2);
  const Shape& x = float_shape("input", inputs[0]);
  if (x.rank() < 2) throw std::invalid_argument(fmt::format("expected input (N,C,...), got {}", x.to_string()));
  expect_shape("bias", Shape{x[1]}, float_shape("bias", inputs[1]));
  return {{x}};
}

std::vector<ValueId> bias_add_gradient(GradientContext& context) {
  std::vector<std::int64_t> axes;
  for (std::size_t i = 0; i < context.type(context.input(0)).shape.rank(); ++i) {
    if (i != 1) axes.push_back(static_cast<std::int64_t>(i));
  }
  const ValueId dy = context.output_gradient(0);
  ValueId dbias;
  if (context.wants(1)) dbias = context.add({"reduce_sum", {{"axes", axes}}}, {dy}, "backward_bias").at(0);
  return {dy, dbias};
}

// All activations but gelu are differentiated from their result y.
std::vector<ValueId> activation_gradient(GradientContext& context) {
  return context.add({context.op().type + "_backward", context.op().attributes},
                     {context.output(0), context.output_gradient(0)}, "backward");
}

std::vector<ValueId> gelu_gradient(GradientContext& context) {
  return context.add({"gelu_backward", {}}, {context.input(0), context.output_gradient(0)}, "backward");
}

std::vector<ValueId> multiply_gradient(GradientContext& context) {
  std::vector<ValueId> gradients(2);
  for (const std::size_t i : {0, 1}) {
    if (!context.wants(i)) continue;
    gradients[i] = context
                       .add({"multiply", {}}, {context.output_gradient(0), context.input(1 - i)},
                            i == 0 ? "backward_a" : "backward_b")
                       .at(0);
  }
  return gradients;
}

std::vector<ValueId> add_gradient(GradientContext& context) {
  return {context.output_gradient(0), context.output_gradient(0)};
}

std::vector<ValueType> infer_element_wise(const Op& op, TypeSpan inputs) {
  if (inputs.empty()) throw std::invalid_argument("expected 1 input or more, got none");
  const Shape& shape = float_shape("input", inputs[0]);
  for (const ValueType& input : inputs) expect_shape("every input", shape, float_shape("every input", input));
  const std::vector<ElementStep> steps = element_steps(op);
  if (steps.empty() || steps.size() > kMostElementSteps) {
    throw std::invalid_argument(fmt::format("expected 1 to {} steps, got {}", kMostElementSteps, steps.size()));
  }
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto& [step, from] = steps[i];
    const OpDefinition& definition = op_definition(step.type);
    if (!definition.traits.element_step) {
      throw std::invalid_argument(fmt::format("expected element-wise operators as steps, got '{}'", step.type));
    }
    if (from.empty() || from.size() > 2) {
      throw std::invalid_argument(fmt::format("expected step {} to read 1 or 2 values, got {}", i, from.size()));
    }
    for (const std::int64_t value : from) {
      const auto known = static_cast<std::int64_t>(inputs.size() + i);
      if (value >= 0 && value < known) continue;
      throw std::invalid_argument(fmt::format("expected step {} to read values in [0,{}), got {}", i, known, value));
    }
    (void)definition.infer(step, std::vector<ValueType>(from.size(), inputs[0]));
  }
  return {{shape}};
}

double element_wise_flops(const Op& op, TypeSpan /*inputs*/, TypeSpan outputs) {
  double flops = 0;
  for (const ElementStep& step : element_steps(op)) {
    const std::vector<ValueType> types(step.from.size(), outputs[0]);
    flops += op_definition(step.op.type).flops(step.op, types, outputs);
  }
  return flops;
}

auto per_element(double operations) {
  return [operations](const Op&, TypeSpan, TypeSpan outputs) { return operations * elements(outputs[0]); };
}

}  // namespace

std::vector<OpDefinition> elementwise_ops() {
  constexpr OpTraits kPointwise{.pointwise = true, .element_step = true};
  constexpr OpTraits kByChannel{.pointwise = true};
  constexpr OpTraits kActivation{.pointwise = true, .activation = true, .increasing = true, .element_step = true};
  constexpr OpTraits kSoftplus{.pointwise = true, .activation = true, .element_step = true};  // its last bit may fall
  return {{"relu", infer_unary, activation_gradient, per_element(1), {}, kActivation},
          {"sigmoid", infer_unary, activation_gradient, per_element(4), {}, kActivation},
          {"tanh", infer_unary, activation_gradient, per_element(1), {}, kActivation},
          {"relu_backward", infer_binary, {}, per_element(1), {}, kPointwise},
          {"sigmoid_backward", infer_binary, {}, per_element(3), {}, kPointwise},
          {"tanh_backward", infer_binary, {}, per_element(3), {}, kPointwise},
          {"leaky_relu", infer_with_alpha, activation_gradient, per_element(2), {}, kActivation},
          {"elu", infer_with_alpha, activation_gradient, per_element(3), {}, kActivation},
          {"softplus", infer_unary, activation_gradient, per_element(4), {}, kSoftplus},
          {"gelu", infer_unary, gelu_gradient, per_element(4), {}, kPointwise},
          {"softmax", infer_softmax, activation_gradient, per_element(5), {}},
          {"leaky_relu_backward", infer_binary_with_alpha, {}, per_element(2), {}, kPointwise},
          {"elu_backward", infer_binary_with_alpha, {}, per_element(3), {}, kPointwise},
          {"softplus_backward", infer_binary, {}, per_element(3), {}, kPointwise},
          {"gelu_backward", infer_binary, {}, per_element(9), {}, kPointwise},
          {"softmax_backward", infer_binary, {}, per_element(4), {}},
          with_activation({"bias_add", infer_bias_add, bias_add_gradient, per_element(1), {}, kByChannel}),
          {"multiply", infer_binary, multiply_gradient, per_element(1), {}, kPointwise},
          {"add", infer_binary, add_gradient, per_element(1), {}, kPointwise},
          {"element_wise", infer_element_wise, {}, element_wise_flops, {}, {.pointwise = true}}};
}

}  // namespace skua::ops
