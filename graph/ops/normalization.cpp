#include <fmt/format.h>

#include <limits>
#include <stdexcept>

#include "ops/check.h"
#include "ops/ops.h"

namespace skua::ops {

namespace {

void check_epsilon(const Op& op) {
  expect_attributes(op, {"epsilon"});
  if (!(real_in(op, "epsilon", 0, std::numeric_limits<double>::infinity()) > 0)) {
    throw std::invalid_argument("expected 'epsilon' above 0, got 0");
  }
}

// (N,C) or (N,C,H,W).
const Shape& channel_shape(const ValueType& x) {
  const Shape& shape = float_shape("input", x);
  if (shape.rank() != 2 && shape.rank() != 4) {
    throw std::invalid_argument(fmt::format("expected input (N,C) or (N,C,H,W), got {}", shape.to_string()));
  }
  return shape;
}

void expect_vectors(TypeSpan inputs, std::size_t first, std::size_t end, const Shape& shape) {
  for (std::size_t i = first; i < end; ++i) {
    expect_shape(fmt::format("input {}", i), shape, float_shape("input", inputs[i]));
  }
}

std::vector<ValueType> infer_batch_norm(const Op& op, TypeSpan inputs) {
  check_epsilon(op);
  expect_inputs(inputs, 3, 3);
  const Shape& x = channel_shape(inputs[0]);
  const Shape channels{x[1]};
  expect_vectors(inputs, 1, 3, channels);
  return {{x}, {channels}, {channels}, {channels}, {channels}};
}

std::vector<ValueType> infer_batch_norm_backward(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 5, 5);
  const Shape& x = channel_shape(inputs[0]);
  const Shape channels{x[1]};
  expect_vectors(inputs, 1, 4, channels);
  expect_shape("dy", x, float_shape("dy", inputs[4]));
  return {{x}, {channels}, {channels}};
}

std::vector<ValueType> infer_batch_norm_inference(const Op& op, TypeSpan inputs) {
  check_epsilon(op);
  expect_inputs(inputs, 5, 5);
  const Shape& x = channel_shape(inputs[0]);
  expect_vectors(inputs, 1, 5, Shape{x[1]});
  return {{x}};
}

struct LayerShapes {
  Shape x;
  Shape features;
  Shape rows;
};

LayerShapes layer_shapes(const ValueType& input) {
  const Shape& x = float_shape("input", input);
  if (x.rank() < 1) throw std::invalid_argument("expected input (...,F), got a scalar");
  const auto last = static_cast<std::int64_t>(x.rank()) - 1;
  return {x, Shape{x[x.rank() - 1]}, without_axes(x, {last})};
}

std::vector<ValueType> infer_layer_norm(const Op& op, TypeSpan inputs) {
  check_epsilon(op);
  expect_inputs(inputs, 3, 3);
  const LayerShapes shapes = layer_shapes(inputs[0]);
  expect_vectors(inputs, 1, 3, shapes.features);
  return {{shapes.x}, {shapes.rows}, {shapes.rows}};
}

std::vector<ValueType> infer_layer_norm_backward(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 5, 5);
  const LayerShapes shapes = layer_shapes(inputs[0]);
  expect_vectors(inputs, 1, 2, shapes.features);
  expect_vectors(inputs, 2, 4, shapes.rows);
  expect_shape("dy", shapes.x, float_shape("dy", inputs[4]));
  return {{shapes.x}, {shapes.features}, {shapes.features}};
}

// Of batch_norm and layer_norm: (x, weight, bias) to (y, mean, inverse deviation, ...).
std::vector<ValueId> norm_gradient(GradientContext& context) {
  const std::size_t outputs = context.op().type == "batch_norm" ? 5 : 3;
  for (std::size_t i = 1; i < outputs; ++i) {
    if (context.output_gradient(i).valid()) {
      throw std::invalid_argument("expected a loss that depends on the first output alone, got one of its statistics");
    }
  }
  return context.add(
      {context.op().type + "_backward", {}},
      {context.input(0), context.input(1), context.output(1), context.output(2), context.output_gradient(0)},
      "backward");
}

auto per_input(double operations) {
  return [operations](const Op&, TypeSpan inputs, TypeSpan) { return operations * elements(inputs[0]); };
}

}  // namespace

std::vector<OpDefinition> normalization_ops() {
  return {{"batch_norm", infer_batch_norm, norm_gradient, per_input(7), {}},
          {"batch_norm_backward", infer_batch_norm_backward, {}, per_input(9), {}},
          {"batch_norm_inference", infer_batch_norm_inference, {}, per_input(2), {}},
          {"layer_norm", infer_layer_norm, norm_gradient, per_input(7), {}},
          {"layer_norm_backward", infer_layer_norm_backward, {}, per_input(11), {}}};
}

}  // namespace skua::ops
