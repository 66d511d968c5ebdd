// Losses of predictions and targets of one shape, metrics beside them, and what clips gradients.
#include <fmt/format.h>

#include <limits>
#include <stdexcept>

#include "ops/check.h"
#include "ops/ops.h"

namespace skua::ops {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void check_loss_attributes(const Op& op) {
  if (op.type.starts_with("huber")) {
    expect_attributes(op, {"scale", "delta"});
    if (!(real_in(op, "delta", 0, kInfinity) > 0)) throw std::invalid_argument("expected 'delta' above 0, got 0");
  } else {
    expect_attributes(op, {"scale"});
  }
  (void)finite_real(op, "scale");
}

// Two float32 values of one shape at the front of the inputs.
const Shape& check_pair(TypeSpan inputs) {
  const Shape& prediction = float_shape("prediction", inputs[0]);
  expect_shape("target", prediction, float_shape("target", inputs[1]));
  return prediction;
}

std::vector<ValueType> infer_loss(const Op& op, TypeSpan inputs) {
  check_loss_attributes(op);
  expect_inputs(inputs, 2, 2);
  (void)check_pair(inputs);
  return {{Shape{}}};
}

std::vector<ValueType> infer_loss_backward(const Op& op, TypeSpan inputs) {
  check_loss_attributes(op);
  expect_inputs(inputs, 3, 3);
  expect_shape("dloss", Shape{}, float_shape("dloss", inputs[2]));
  return {{check_pair(inputs)}};
}

std::vector<ValueId> loss_gradient(GradientContext& context) {
  const Op op{context.op().type + "_backward", context.op().attributes};
  const auto outputs = context.add(op, {context.input(0), context.input(1), context.output_gradient(0)}, "backward");
  return {outputs.at(0), ValueId()};
}

std::vector<ValueType> infer_categorical(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"scale"});
  expect_inputs(inputs, 2, 2);
  (void)finite_real(op, "scale");
  const Shape& logits = float_shape("logits", inputs[0], "(N,C)");
  (void)check_pair(inputs);
  return {{Shape{}}, {logits}};
}

std::vector<ValueId> categorical_gradient(GradientContext& context) {
  if (context.output_gradient(1).valid()) {
    throw std::invalid_argument("expected a loss that does not depend on the probabilities, got one that does");
  }
  const Op op{"categorical_cross_entropy_backward", context.op().attributes};
  const auto outputs = context.add(op, {context.output(1), context.input(1), context.output_gradient(0)}, "backward");
  return {outputs.at(0), ValueId()};
}

std::vector<ValueType> infer_top_k(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"k"});
  expect_inputs(inputs, 2, 2);
  const Shape& logits = float_shape("logits", inputs[0], "(...,C)");
  expect_shape("labels", without_axes(logits, {static_cast<std::int64_t>(logits.rank()) - 1}),
               int_shape("labels", inputs[1]));
  const std::int64_t k = op.attributes.integer("k");
  if (k < 1 || k > logits.last()) {
    throw std::invalid_argument(fmt::format("expected 'k' in 1..{}, got {}", logits.last(), k));
  }
  return {{Shape{}}};
}

std::vector<ValueType> infer_binary_counts(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {"threshold"});
  expect_inputs(inputs, 2, 2);
  (void)finite_real(op, "threshold");
  (void)check_pair(inputs);
  return {{Shape{4}}};
}

void check_limit(const Op& op) {
  expect_attributes(op, {"limit"});
  if (!(real_in(op, "limit", 0, kInfinity) > 0)) throw std::invalid_argument("expected 'limit' above 0, got 0");
}

std::vector<ValueType> infer_clip_by_value(const Op& op, TypeSpan inputs) {
  check_limit(op);
  expect_inputs(inputs, 1, 1);
  return {{float_shape("input", inputs[0])}};
}

std::vector<ValueType> infer_sum_of_squares(const Op& op, TypeSpan inputs) {
  expect_attributes(op, {});
  expect_inputs(inputs, 1, 1);
  (void)float_shape("input", inputs[0]);
  return {{Shape{}}};
}

std::vector<ValueType> infer_clip_by_norm(const Op& op, TypeSpan inputs) {
  check_limit(op);
  expect_inputs(inputs, 2, 2);
  expect_shape("square", Shape{}, float_shape("square", inputs[1]));
  return {{float_shape("input", inputs[0])}};
}

auto per_input(double operations) {
  return [operations](const Op&, TypeSpan inputs, TypeSpan) { return operations * elements(inputs[0]); };
}

}  // namespace

std::vector<OpDefinition> loss_ops() {
  std::vector<OpDefinition> ops{
      {"categorical_cross_entropy", infer_categorical, categorical_gradient, per_input(7), {}},
      {"categorical_cross_entropy_backward", infer_loss_backward, {}, per_input(4), {}},
      {"count_top_k", infer_top_k, {}, per_input(2), {}},
      {"binary_counts", infer_binary_counts, {}, per_input(2), {}},
      {"clip_by_value", infer_clip_by_value, {}, per_input(2), {}},
      {"sum_of_squares", infer_sum_of_squares, {}, per_input(2), {}},
      {"clip_by_norm", infer_clip_by_norm, {}, per_input(1), {}}};
  const std::pair<const char*, double> losses[] = {{"binary_cross_entropy", 7},
                                                   {"binary_cross_entropy_with_logits", 7},
                                                   {"squared_error", 3},
                                                   {"absolute_error", 3},
                                                   {"huber", 5}};
  for (const auto& [type, operations] : losses) {
    ops.push_back({type, infer_loss, loss_gradient, per_input(operations), {}});
    ops.push_back({std::string(type) + "_backward", infer_loss_backward, {}, per_input(operations), {}});
  }
  return ops;
}

}  // namespace skua::ops
