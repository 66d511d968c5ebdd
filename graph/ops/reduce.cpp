#include "ops/check.h"
#include "ops/ops.h"

namespace skua::ops {

namespace {

std::vector<ValueType> infer_reduce(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"axes"});
  expect_inputs(inputs, 1, 1);
  const Shape& x = float_shape("input", inputs[0]);
  return {{without_axes(x, axes_of(op, x.rank()))}};
}

std::vector<ValueType> infer_broadcast(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"axes", "shape", "scale"});
  expect_inputs(inputs, 1, 1);
  (void)finite_real(op, "scale");
  const Shape shape(op.attributes.integers("shape"));
  expect_shape("input", without_axes(shape, axes_of(op, shape.rank())), float_shape("input", inputs[0]));
  return {{shape}};
}

std::vector<ValueId> reduce_gradient(GradientContext& context) {
  const ValueType& x = context.type(context.input(0));
  double scale = 1;
  if (context.op().type == "reduce_mean") scale = elements(context.type(context.output(0))) / elements(x);
  const Op op{"broadcast",
              {{"axes", context.op().attributes.integers("axes")}, {"shape", x.shape.extents()}, {"scale", scale}}};
  return context.add(op, {context.output_gradient(0)}, "backward");
}

// Repeating sums on the way back; an unrepeated broadcast scales.
std::vector<ValueId> broadcast_gradient(GradientContext& context) {
  const std::vector<std::int64_t> axes = context.op().attributes.integers("axes");
  const double scale = context.op().attributes.real("scale");
  const Shape shape = context.type(context.input(0)).shape;
  ValueId gradient = context.output_gradient(0);
  if (!axes.empty()) gradient = context.add({"reduce_sum", {{"axes", axes}}}, {gradient}, "backward").at(0);
  if (scale != 1) {
    const Op op{"broadcast", {{"axes", std::vector<std::int64_t>{}}, {"shape", shape.extents()}, {"scale", scale}}};
    gradient = context.add(op, {gradient}, "backward_scale").at(0);
  }
  return {gradient};
}

double flops_reduce(const Op&, TypeSpan inputs, TypeSpan) {
  return elements(inputs[0]);
}
double flops_broadcast(const Op&, TypeSpan, TypeSpan outputs) {
  return elements(outputs[0]);
}

}  // namespace

std::vector<OpDefinition> reduce_ops() {
  return {{"reduce_sum", infer_reduce, reduce_gradient, flops_reduce, {}},
          {"reduce_mean", infer_reduce, reduce_gradient, flops_reduce, {}},
          {"broadcast", infer_broadcast, broadcast_gradient, flops_broadcast, {}}};
}

}  // namespace skua::ops
