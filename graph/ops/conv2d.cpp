#include "ops/activation.h"
#include "ops/check.h"
#include "ops/ops.h"
#include "skua/graph/window.h"

namespace skua::ops {

namespace {

std::vector<ValueType> infer(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"strides", "padding", "dilations", "groups"});
  return {{window_of(op, inputs).output_shape()}};
}

std::vector<ValueType> infer_backward_data(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"strides", "padding", "dilations", "groups", "input_shape"});
  return {{window_of(op, inputs).input_shape()}};
}

std::vector<ValueType> infer_backward_weight(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"strides", "padding", "dilations", "groups", "weight_shape", "bias"});
  const Window2d window = window_of(op, inputs);
  std::vector<ValueType> outputs{{window.weight_shape()}};
  if (flag(op, "bias")) outputs.push_back({Shape{window.out_channels}});
  return outputs;
}

std::vector<ValueId> gradient(GradientContext& context) {
  std::vector<ValueId> gradients(context.input_count());
  const ValueId dy = context.output_gradient(0);
  if (context.wants(0)) {
    Op op{"conv2d_backward_data", context.op().attributes};
    op.attributes.set("input_shape", context.type(context.input(0)).shape.extents());
    gradients[0] = context.add(std::move(op), {dy, context.input(1)}, "backward_data").at(0);
  }
  const bool bias = gradients.size() == 3 && context.wants(2);
  if (context.wants(1) || bias) {
    Op op{"conv2d_backward_weight", context.op().attributes};
    op.attributes.set("weight_shape", context.type(context.input(1)).shape.extents());
    op.attributes.set("bias", std::int64_t{bias});
    const auto outputs = context.add(std::move(op), {context.input(0), dy}, "backward_weight");
    gradients[1] = outputs.at(0);
    if (bias) gradients[2] = outputs.at(1);
  }
  return gradients;
}

// conv2d_backward_data as a forward operator is a transposed convolution. It is linear in dy and in the weight, with
// the convolution as its adjoint.
std::vector<ValueId> backward_data_gradient(GradientContext& context) {
  std::vector<ValueId> gradients(2);
  const ValueId g = context.output_gradient(0);
  Attributes attributes;
  for (const char* name : {"strides", "padding", "dilations"}) {
    attributes.set(name, context.op().attributes.integers(name));
  }
  attributes.set("groups", context.op().attributes.integer("groups"));
  if (context.wants(0)) {
    gradients[0] = context.add({"conv2d", attributes}, {g, context.input(1)}, "backward_data").at(0);
  }
  if (context.wants(1)) {
    attributes.set("weight_shape", context.type(context.input(1)).shape.extents());
    attributes.set("bias", std::int64_t{0});
    gradients[1] = context.add({"conv2d_backward_weight", attributes}, {g, context.input(0)}, "backward_weight").at(0);
  }
  return gradients;
}

// Every output element takes one multiply-add per weight of its group; the backward passes visit the same pairs.
double multiply_adds(const Window2d& window) {
  return 2 * elements({window.output_shape()}) * elements({window.weight_shape()}) /
         static_cast<double>(window.out_channels);
}

double flops(const Op& op, TypeSpan inputs, TypeSpan outputs) {
  return multiply_adds(window_of(op, inputs)) + (inputs.size() == 3 ? elements(outputs[0]) : 0);
}

double flops_backward_data(const Op& op, TypeSpan inputs, TypeSpan) {
  return multiply_adds(window_of(op, inputs));
}

double flops_backward_weight(const Op& op, TypeSpan inputs, TypeSpan outputs) {
  return multiply_adds(window_of(op, inputs)) + (outputs.size() == 2 ? elements(inputs[1]) : 0);
}

}  // namespace

std::vector<OpDefinition> conv2d_ops() {
  return {with_activation({"conv2d", infer, gradient, flops, {}}),
          {"conv2d_backward_data", infer_backward_data, backward_data_gradient, flops_backward_data, {}},
          {"conv2d_backward_weight", infer_backward_weight, {}, flops_backward_weight, {}}};
}

}  // namespace skua::ops
