#include <stdexcept>

#include "ops/check.h"
#include "ops/ops.h"

namespace skua::ops {

namespace {

// (...,C) of logits or probabilities, after checking the labels (...).
const Shape& check_rows(const char* what, const ValueType& rows, const ValueType& labels) {
  const Shape& shape = float_shape(what, rows, "(...,C)");
  expect_shape("labels", without_axes(shape, {static_cast<std::int64_t>(shape.rank()) - 1}),
               int_shape("labels", labels));
  return shape;
}

std::vector<ValueType> infer_loss(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"scale"});
  expect_inputs(inputs, 2, 2);
  (void)finite_real(op, "scale");
  return {{Shape{}}, {check_rows("logits", inputs[0], inputs[1])}};
}

std::vector<ValueType> infer_loss_backward(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"scale"});
  expect_inputs(inputs, 3, 3);
  (void)finite_real(op, "scale");
  expect_shape("dloss", Shape{}, float_shape("dloss", inputs[2]));
  return {{check_rows("probabilities", inputs[0], inputs[1])}};
}

std::vector<ValueType> infer_count(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 2, 2);
  (void)check_rows("logits", inputs[0], inputs[1]);
  return {{Shape{}}};
}

std::vector<ValueId> loss_gradient(GradientContext& context) {
  if (context.output_gradient(1).valid()) {
    throw std::invalid_argument("expected a loss that does not depend on the probabilities, got one that does");
  }
  const auto outputs = context.add({"softmax_cross_entropy_backward", context.op().attributes},
                                   {context.output(1), context.input(1), context.output_gradient(0)}, "backward");
  return {outputs.at(0), ValueId()};
}

// Per logit: maximum, difference, exp, sum, quotient; the few operations per row are left out.
double flops_loss(const Op&, TypeSpan inputs, TypeSpan) {
  return 5 * elements(inputs[0]);
}
double flops_loss_backward(const Op&, TypeSpan inputs, TypeSpan) {
  return 2 * elements(inputs[0]);
}
double flops_count(const Op&, TypeSpan inputs, TypeSpan) {
  return elements(inputs[0]);
}

}  // namespace

std::vector<OpDefinition> classification_ops() {
  return {{"softmax_cross_entropy", infer_loss, loss_gradient, flops_loss, {}},
          {"softmax_cross_entropy_backward", infer_loss_backward, {}, flops_loss_backward, {}},
          {"count_correct", infer_count, {}, flops_count, {}}};
}

}  // namespace skua::ops
