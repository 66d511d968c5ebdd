#include <fmt/format.h>

#include <stdexcept>

#include "ops/check.h"
#include "ops/ops.h"

namespace skua::ops {

namespace {

std::vector<ValueType> infer_reshape(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"shape"});
  expect_inputs(inputs, 1, 1);
  const Shape& x = inputs[0].shape;
  const Shape shape(op.attributes.integers("shape"));
  if (shape.elements() != x.elements()) {
    throw std::invalid_argument(
        fmt::format("expected a shape with the elements of {}, got {}", x.to_string(), shape.to_string()));
  }
  return {{shape, inputs[0].dtype}};
}

std::vector<ValueId> reshape_gradient(GradientContext& context) {
  const Op op{"reshape", {{"shape", context.type(context.input(0)).shape.extents()}}};
  return context.add(op, {context.output_gradient(0)}, "backward");
}

std::vector<ValueType> infer_fill(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"shape", "value"});
  expect_inputs(inputs, 0, 0);
  (void)finite_real(op, "value");
  return {{Shape(op.attributes.integers("shape"))}};
}

}  // namespace

std::vector<OpDefinition> shape_ops() {
  return {{"reshape", infer_reshape, reshape_gradient, {}, {}}, {"fill", infer_fill, {}, {}, {}}};
}

}  // namespace skua::ops
