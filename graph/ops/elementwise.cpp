#include "ops/check.h"
#include "ops/ops.h"

namespace skua::ops {

namespace {

std::vector<ValueType> infer_unary(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 1, 1);
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

// All activations are differentiated from their result y.
std::vector<ValueId> activation_gradient(GradientContext& context) {
  return context.add({context.op().type + "_backward", {}}, {context.output(0), context.output_gradient(0)},
                     "backward");
}

std::vector<ValueId> add_gradient(GradientContext& context) {
  return {context.output_gradient(0), context.output_gradient(0)};
}

auto per_element(double operations) {
  return [operations](const Op&, TypeSpan, TypeSpan outputs) { return operations * elements(outputs[0]); };
}

}  // namespace

std::vector<OpDefinition> elementwise_ops() {
  return {{"relu", infer_unary, activation_gradient, per_element(1), {}},
          {"sigmoid", infer_unary, activation_gradient, per_element(4), {}},
          {"tanh", infer_unary, activation_gradient, per_element(1), {}},
          {"relu_backward", infer_binary, {}, per_element(1), {}},
          {"sigmoid_backward", infer_binary, {}, per_element(3), {}},
          {"tanh_backward", infer_binary, {}, per_element(3), {}},
          {"add", infer_binary, add_gradient, per_element(1), {}}};
}

}  // namespace skua::ops
