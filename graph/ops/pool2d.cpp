#include "ops/activation.h"
#include "ops/check.h"
#include "ops/ops.h"
#include "skua/graph/window.h"

namespace skua::ops {

namespace {

std::vector<ValueType> infer(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"window", "strides", "padding"});
  const Shape shape = window_of(op, inputs).output_shape();
  return {{shape}, {shape, DType::kInt32}};
}

std::vector<ValueType> infer_average_backward(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"window", "strides", "padding", "input_shape"});
  return {{window_of(op, inputs).input_shape()}};
}

// Of max_pool2d, by whose activation it differentiates too.
std::vector<ValueType> infer_max_backward(const Op& op, TypeSpan inputs) {
  const auto activation = activation_of({"max_pool2d", op.attributes});
  expect_attributes(without_activation(op), {"window", "strides", "padding", "input_shape"});
  const Shape shape = window_of(op, inputs).input_shape();
  if (activation) check_activation(*activation, inputs[0]);
  return {{shape}};
}

std::vector<ValueType> infer_average(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"window", "strides", "padding"});
  return {{window_of(op, inputs).output_shape()}};
}

std::vector<ValueId> average_gradient(GradientContext& context) {
  Op op{"average_pool2d_backward", context.op().attributes};
  op.attributes.set("input_shape", context.type(context.input(0)).shape.extents());
  return context.add(std::move(op), {context.output_gradient(0)}, "backward");
}

std::vector<ValueId> gradient(GradientContext& context) {
  Op op{"max_pool2d_backward", context.op().attributes};
  op.attributes.set("input_shape", context.type(context.input(0)).shape.extents());
  std::vector<ValueId> inputs{context.output_gradient(0), context.output(1)};
  if (activation_of(context.op())) inputs.push_back(context.output(0));
  return context.add(std::move(op), std::move(inputs), "backward");
}

double flops(const Op& op, TypeSpan inputs, TypeSpan outputs) {
  const Window2d window = window_of(op, inputs);
  return elements(outputs[0]) * static_cast<double>(window.kernel_height * window.kernel_width);
}

double flops_backward(const Op& op, TypeSpan inputs, TypeSpan) {
  const auto activation = activation_of({"max_pool2d", op.attributes});
  if (!activation) return elements(inputs[0]);
  const std::vector<ValueType> types{inputs[0], inputs[0]};
  return elements(inputs[0]) + op_definition(activation->type + "_backward").flops(*activation, types, types);
}
double flops_average_backward(const Op& op, TypeSpan inputs, TypeSpan) {
  const Window2d window = window_of(op, inputs);
  return elements(inputs[0]) * static_cast<double>(window.kernel_height * window.kernel_width);
}

// Its backward operator differentiates by the activation too.
OpDefinition max_pool2d() {
  OpDefinition definition = with_activation({"max_pool2d", infer, {}, flops, {}});
  definition.gradient = gradient;
  return definition;
}

}  // namespace

std::vector<OpDefinition> pool2d_ops() {
  return {max_pool2d(),
          {"max_pool2d_backward", infer_max_backward, {}, flops_backward, {}},
          {"average_pool2d", infer_average, average_gradient, flops, {}},
          {"average_pool2d_backward", infer_average_backward, {}, flops_average_backward, {}}};
}

}  // namespace skua::ops
