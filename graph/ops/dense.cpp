#include "ops/activation.h"
#include "ops/check.h"
#include "ops/ops.h"

namespace skua::ops {

namespace {

std::vector<ValueType> infer(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 2, 3);
  const Shape& x = float_shape("input", inputs[0], "(...,I)");
  const Shape& weight = float_shape("weight", inputs[1], "(O,I)");
  expect_shape("weight", Shape{weight[0], x.last()}, weight);
  if (inputs.size() == 3) expect_shape("bias", Shape{weight[0]}, float_shape("bias", inputs[2]));
  return {{x.with_last(weight[0])}};
}

std::vector<ValueType> infer_backward_data(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 2, 2);
  const Shape& dy = float_shape("dy", inputs[0], "(...,O)");
  const Shape& weight = float_shape("weight", inputs[1], "(O,I)");
  expect_shape("weight", Shape{dy.last(), weight[1]}, weight);
  return {{dy.with_last(weight[1])}};
}

std::vector<ValueType> infer_backward_weight(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"bias"});
  expect_inputs(inputs, 2, 2);
  const Shape& x = float_shape("input", inputs[0], "(...,I)");
  const Shape& dy = float_shape("dy", inputs[1], "(...,O)");
  expect_shape("dy", x.with_last(dy.last()), dy);
  std::vector<ValueType> outputs{{Shape{dy.last(), x.last()}}};
  if (flag(op, "bias")) outputs.push_back({Shape{dy.last()}});
  return outputs;
}

std::vector<ValueId> gradient(GradientContext& context) {
  std::vector<ValueId> gradients(context.input_count());
  const ValueId dy = context.output_gradient(0);
  if (context.wants(0)) {
    gradients[0] = context.add({"dense_backward_data", {}}, {dy, context.input(1)}, "backward_data").at(0);
  }
  const bool bias = gradients.size() == 3 && context.wants(2);
  if (context.wants(1) || bias) {
    const Op op{"dense_backward_weight", {{"bias", std::int64_t{bias}}}};
    const auto outputs = context.add(op, {context.input(0), dy}, "backward_weight");
    gradients[1] = outputs.at(0);
    if (bias) gradients[2] = outputs.at(1);
  }
  return gradients;
}

double columns(const ValueType& type) {
  return static_cast<double>(type.shape.last());
}

double flops(const Op&, TypeSpan inputs, TypeSpan outputs) {
  return 2 * elements(outputs[0]) * columns(inputs[0]) + (inputs.size() == 3 ? elements(outputs[0]) : 0);
}

double flops_backward_data(const Op&, TypeSpan inputs, TypeSpan outputs) {
  return 2 * elements(outputs[0]) * columns(inputs[0]);
}

double flops_backward_weight(const Op&, TypeSpan inputs, TypeSpan outputs) {
  return 2 * elements(inputs[0]) * columns(inputs[1]) + (outputs.size() == 2 ? elements(inputs[1]) : 0);
}

}  // namespace

std::vector<OpDefinition> dense_ops() {
  return {with_activation({"dense", infer, gradient, flops, {}}),
          {"dense_backward_data", infer_backward_data, {}, flops_backward_data, {}},
          {"dense_backward_weight", infer_backward_weight, {}, flops_backward_weight, {}}};
}

}  // namespace skua::ops
