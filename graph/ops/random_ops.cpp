// Operators that draw random numbers by the counter-based generator (docs/operators.md).
#include <stdexcept>

#include "ops/check.h"
#include "ops/ops.h"

namespace skua::ops {

namespace {

std::vector<ValueType> infer_dropout(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"rate", "stream"});
  expect_inputs(inputs, 1, 1);
  (void)real_in(op, "rate", 0, 1);
  (void)op.attributes.integer("stream");
  const Shape& x = float_shape("input", inputs[0]);
  if (x.rank() < 1) throw std::invalid_argument("expected input (N,...), got a scalar");
  return {{x}};
}

// The same draws again.
std::vector<ValueId> dropout_gradient(GradientContext& context) {
  return context.add(context.op(), {context.output_gradient(0)}, "backward");
}

std::vector<ValueType> infer_random_normal(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"shape", "stream"});
  expect_inputs(inputs, 0, 0);
  (void)op.attributes.integer("stream");
  const Shape shape(op.attributes.integers("shape"));
  if (shape.rank() < 1) throw std::invalid_argument("expected a 'shape' (N,...), got that of a scalar");
  return {{shape}};
}

auto per_output(double operations) {
  return [operations](const Op&, TypeSpan, TypeSpan outputs) { return operations * elements(outputs[0]); };
}

}  // namespace

std::vector<OpDefinition> random_ops() {
  return {{"dropout", infer_dropout, dropout_gradient, per_output(2), {}, {.element_step = true}},
          {"random_normal", infer_random_normal, {}, per_output(8), {}}};
}

}  // namespace skua::ops
