// Moving elements: split, concatenate, transpose, embedding; and products of batches of matrices.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "ops/check.h"
#include "ops/ops.h"

namespace skua::ops {

namespace {

std::size_t axis_of(const Op& op, const Shape& shape) {
  const std::int64_t axis = op.attributes.integer("axis");
  if (axis < 0 || axis >= static_cast<std::int64_t>(shape.rank())) {
    throw std::invalid_argument(fmt::format("expected an 'axis' of {}, got {}", shape.to_string(), axis));
  }
  return static_cast<std::size_t>(axis);
}

Shape with_extent(const Shape& shape, std::size_t axis, std::int64_t extent) {
  std::vector<std::int64_t> extents = shape.extents();
  extents[axis] = extent;
  return Shape(std::move(extents));
}

Op fill(const Shape& shape) {
  return {"fill", {{"shape", shape.extents()}, {"value", 0.0}}};
}

std::vector<ValueType> infer_split(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"axis", "sizes"});
  expect_inputs(inputs, 1, 1);
  const Shape& x = inputs[0].shape;
  const std::size_t axis = axis_of(op, x);
  const auto& sizes = op.attributes.integers("sizes");
  std::int64_t left = x[axis];
  const bool fit = std::all_of(sizes.begin(), sizes.end(), [&left](std::int64_t size) {
    if (size < 1 || size > left) return false;
    left -= size;
    return true;
  });
  if (!fit || left != 0) {
    throw std::invalid_argument(
        fmt::format("expected 'sizes' that sum to {}, got [{}]", x[axis], fmt::join(sizes, ",")));
  }
  std::vector<ValueType> outputs;
  for (const std::int64_t size : sizes) outputs.push_back({with_extent(x, axis, size), inputs[0].dtype});
  return outputs;
}

// Zeros for the parts that the loss does not depend on.
std::vector<ValueId> split_gradient(GradientContext& context) {
  const auto axis = context.op().attributes.integer("axis");
  const std::size_t count = context.op().attributes.integers("sizes").size();
  std::vector<ValueId> parts;
  for (std::size_t i = 0; i < count; ++i) {
    const ValueId gradient = context.output_gradient(i);
    const Op zeros = fill(context.type(context.output(i)).shape);
    parts.push_back(gradient.valid() ? gradient : context.add(zeros, {}, fmt::format("zeros{}", i)).at(0));
  }
  return context.add({"concatenate", {{"axis", axis}}}, parts, "backward");
}

std::vector<ValueType> infer_concatenate(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"axis"});
  if (inputs.empty()) throw std::invalid_argument("expected 1 input or more, got none");
  const std::size_t axis = axis_of(op, inputs[0].shape);
  Shape sum = inputs[0].shape;
  for (const ValueType& input : inputs) {
    const bool fits = input.dtype == inputs[0].dtype && input.shape.rank() == inputs[0].shape.rank() &&
                      with_extent(input.shape, axis, 1) == with_extent(inputs[0].shape, axis, 1);
    if (!fits) {
      throw std::invalid_argument(fmt::format("expected inputs that differ from {} along axis {} alone, got {}",
                                              inputs[0].to_string(), axis, input.to_string()));
    }
    if (&input != inputs.data()) sum = with_extent(sum, axis, sum[axis] + input.shape[axis]);
  }
  return {{sum, inputs[0].dtype}};
}

std::vector<ValueId> concatenate_gradient(GradientContext& context) {
  const std::int64_t axis = context.op().attributes.integer("axis");
  std::vector<std::int64_t> sizes;
  for (std::size_t i = 0; i < context.input_count(); ++i) {
    sizes.push_back(context.type(context.input(i)).shape[static_cast<std::size_t>(axis)]);
  }
  return context.add({"split", {{"axis", axis}, {"sizes", sizes}}}, {context.output_gradient(0)}, "backward");
}

const std::vector<std::int64_t>& permutation_of(const Op& op, std::size_t rank) {
  const auto& permutation = op.attributes.integers("permutation");
  std::vector<std::int64_t> sorted = permutation;
  std::sort(sorted.begin(), sorted.end());
  std::vector<std::int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  if (sorted != axes) {
    throw std::invalid_argument(
        fmt::format("expected a 'permutation' of {} axes, got [{}]", rank, fmt::join(permutation, ",")));
  }
  return permutation;
}

std::vector<ValueType> infer_transpose(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"permutation"});
  expect_inputs(inputs, 1, 1);
  const Shape& x = float_shape("input", inputs[0]);
  std::vector<std::int64_t> extents;
  for (const std::int64_t axis : permutation_of(op, x.rank())) extents.push_back(x[static_cast<std::size_t>(axis)]);
  return {{Shape(std::move(extents))}};
}

std::vector<ValueId> transpose_gradient(GradientContext& context) {
  const auto& permutation = context.op().attributes.integers("permutation");
  std::vector<std::int64_t> inverse(permutation.size());
  for (std::size_t i = 0; i < permutation.size(); ++i) {
    inverse[static_cast<std::size_t>(permutation[i])] = static_cast<std::int64_t>(i);
  }
  return context.add({"transpose", {{"permutation", inverse}}}, {context.output_gradient(0)}, "backward");
}

std::vector<ValueType> infer_matmul(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"transpose_a", "transpose_b"});
  expect_inputs(inputs, 2, 2);
  const Shape& a = float_shape("a", inputs[0], "(B,M,K)");
  const Shape& b = float_shape("b", inputs[1], "(B,K,N)");
  const bool ta = flag(op, "transpose_a");
  const bool tb = flag(op, "transpose_b");
  const std::int64_t inner = a[ta ? 1 : 2];
  if (a[0] != b[0] || b[tb ? 2 : 1] != inner) {
    throw std::invalid_argument(
        fmt::format("expected b of {} matrices with inner extent {}, got {}", a[0], inner, b.to_string()));
  }
  return {{Shape{a[0], a[ta ? 2 : 1], b[tb ? 1 : 2]}}};
}

Op product(bool transpose_a, bool transpose_b) {
  return {"matmul", {{"transpose_a", std::int64_t{transpose_a}}, {"transpose_b", std::int64_t{transpose_b}}}};
}

// With A and B the operands as multiplied, dA = dY B^T and dB = A^T dY, transposed back where the operand was.
std::vector<ValueId> matmul_gradient(GradientContext& context) {
  const bool ta = flag(context.op(), "transpose_a");
  const bool tb = flag(context.op(), "transpose_b");
  const ValueId a = context.input(0);
  const ValueId b = context.input(1);
  const ValueId dy = context.output_gradient(0);
  std::vector<ValueId> gradients(2);
  if (context.wants(0)) {
    gradients[0] = ta ? context.add(product(tb, true), {b, dy}, "backward_a").at(0)
                      : context.add(product(false, !tb), {dy, b}, "backward_a").at(0);
  }
  if (context.wants(1)) {
    gradients[1] = tb ? context.add(product(true, ta), {dy, a}, "backward_b").at(0)
                      : context.add(product(!ta, false), {a, dy}, "backward_b").at(0);
  }
  return gradients;
}

double flops_matmul(const Op& op, TypeSpan inputs, TypeSpan outputs) {
  return 2 * elements(outputs[0]) * static_cast<double>(inputs[0].shape[flag(op, "transpose_a") ? 1 : 2]);
}

Shape with_columns(const Shape& ids, std::int64_t columns) {
  std::vector<std::int64_t> extents = ids.extents();
  extents.push_back(columns);
  return Shape(std::move(extents));
}

std::vector<ValueType> infer_embedding(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 2, 2);
  const Shape& weight = float_shape("weight", inputs[0], "(V,D)");
  return {{with_columns(int_shape("ids", inputs[1]), weight[1])}};
}

std::vector<ValueType> infer_embedding_backward(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"rows"});
  expect_inputs(inputs, 2, 2);
  const Shape& ids = int_shape("ids", inputs[0]);
  const Shape& dy = float_shape("dy", inputs[1]);
  if (dy.rank() != ids.rank() + 1) {
    throw std::invalid_argument(
        fmt::format("expected dy of ids {} and columns, got {}", ids.to_string(), dy.to_string()));
  }
  const std::int64_t columns = dy[dy.rank() - 1];
  expect_shape("dy", with_columns(ids, columns), dy);
  return {{Shape{op.attributes.integer("rows"), columns}}};
}

std::vector<ValueId> embedding_gradient(GradientContext& context) {
  const std::int64_t rows = context.type(context.input(0)).shape[0];
  const Op op{"embedding_backward", {{"rows", rows}}};
  return {context.add(op, {context.input(1), context.output_gradient(0)}, "backward").at(0), ValueId()};
}

double flops_embedding_backward(const Op&, TypeSpan inputs, TypeSpan) {
  return elements(inputs[1]);
}

// Units of y, after checking the table (V,D), ids T and weight (O,D).
std::int64_t check_embedding_dense(TypeSpan inputs) {
  const Shape& table = float_shape("table", inputs[0], "(V,D)");
  (void)int_shape("ids", inputs[1]);
  const Shape& weight = float_shape("weight", inputs[2], "(O,D)");
  expect_shape("weight", Shape{weight[0], table[1]}, weight);
  return weight[0];
}

std::vector<ValueType> infer_embedding_dense(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 3, 4);
  const std::int64_t units = check_embedding_dense(inputs);
  if (inputs.size() == 4) expect_shape("bias", Shape{units}, float_shape("bias", inputs[3]));
  return {{with_columns(inputs[1].shape, units)}};
}

std::vector<ValueType> infer_embedding_dense_backward(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"bias"});
  expect_inputs(inputs, 4, 4);
  const std::int64_t units = check_embedding_dense(inputs);
  expect_shape("dy", with_columns(inputs[1].shape, units), float_shape("dy", inputs[3]));
  std::vector<ValueType> outputs{inputs[0], inputs[2]};
  if (flag(op, "bias")) outputs.push_back({Shape{units}});
  return outputs;
}

std::vector<ValueId> embedding_dense_gradient(GradientContext& context) {
  std::vector<ValueId> gradients(context.input_count());
  const bool bias = gradients.size() == 4 && context.wants(3);
  const Op op{"embedding_dense_backward", {{"bias", std::int64_t{bias}}}};
  const auto outputs =
      context.add(op, {context.input(0), context.input(1), context.input(2), context.output_gradient(0)}, "backward");
  gradients[0] = outputs.at(0);
  gradients[2] = outputs.at(1);
  if (bias) gradients[3] = outputs.at(2);
  return gradients;
}

// As if all ids were different.
double flops_embedding_dense(const Op&, TypeSpan inputs, TypeSpan outputs) {
  return 2 * elements(outputs[0]) * static_cast<double>(inputs[2].shape[1]);
}
double flops_embedding_dense_backward(const Op&, TypeSpan inputs, TypeSpan) {
  return 4 * elements(inputs[3]) * static_cast<double>(inputs[2].shape[1]) + elements(inputs[3]);
}

std::vector<ValueType> infer_not_equal(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"value"});
  expect_inputs(inputs, 1, 1);
  (void)op.attributes.integer("value");
  return {{int_shape("ids", inputs[0])}};
}

std::vector<ValueType> infer_causal_mask(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 1, 1);
  const Shape& x = float_shape("input", inputs[0], "(B,T,T)");
  expect_shape("input", Shape{x[0], x[1], x[1]}, x);
  return {{x}};
}

// Of what is masked, the softmax behind it leaves nothing.
std::vector<ValueId> causal_mask_gradient(GradientContext& context) {
  return {context.output_gradient(0)};
}

}  // namespace

std::vector<OpDefinition> array_ops() {
  return {{"split", infer_split, split_gradient, {}, {}},
          {"concatenate", infer_concatenate, concatenate_gradient, {}, {}},
          {"transpose", infer_transpose, transpose_gradient, {}, {}},
          {"matmul", infer_matmul, matmul_gradient, flops_matmul, {}},
          {"embedding", infer_embedding, embedding_gradient, {}, {}},
          {"embedding_backward", infer_embedding_backward, {}, flops_embedding_backward, {}},
          {"embedding_dense", infer_embedding_dense, embedding_dense_gradient, flops_embedding_dense, {}},
          {"embedding_dense_backward", infer_embedding_dense_backward, {}, flops_embedding_dense_backward, {}},
          {"not_equal", infer_not_equal, {}, {}, {}},
          {"causal_mask", infer_causal_mask, causal_mask_gradient, {}, {}}};
}

}  // namespace skua::ops
