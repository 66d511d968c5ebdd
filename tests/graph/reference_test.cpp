// The reference itself, against values worked out by hand and against plain loops over scalars.
#include "reference/reference.h"

#include <gtest/gtest.h>

#include <cmath>

#include "graph/small_graphs.h"

namespace skua::test {
namespace {

using reference::Array;

struct Operand {
  ValueType type;
  Array array;
};

std::vector<Array> evaluate(const Op& op, const std::vector<Operand>& operands) {
  Graph graph;
  Values values;
  std::vector<ValueId> inputs;
  for (const Operand& operand : operands) {
    inputs.push_back(graph.add_input("input" + std::to_string(inputs.size()), operand.type));
    values[inputs.back()] = operand.array;
  }
  const auto outputs = graph.add_node(op, inputs, "node");
  reference::run(graph, values);
  std::vector<Array> results;
  for (const ValueId output : outputs) results.push_back(values.at(output));
  return results;
}

void expect_near(const Array& got, const Array& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], expected[i], 1e-12) << "element " << i;
}

TEST(Reference, Conv2d) {
  const Operand square{{{1, 1, 3, 3}}, {1, 2, 3, 4, 5, 6, 7, 8, 9}};
  const Operand kernel{{{1, 1, 2, 2}}, {1, 2, 3, 4}};
  expect_near(evaluate(conv2d(), {square, kernel, {{{1}}, {0.5}}}).at(0), {37.5, 47.5, 67.5, 77.5});
  // One padding column on the left, every second column.
  expect_near(
      evaluate(conv2d({1, 2}, {0, 1, 0, 0}), {{{{1, 1, 2, 3}}, {1, 2, 3, 4, 5, 6}}, {{{1, 1, 1, 2}}, {10, 1}}}).at(0),
      {1, 23, 4, 56});
  // One padding row at the bottom.
  expect_near(evaluate(conv2d({1, 1}, {0, 0, 1, 0}), {{{{1, 1, 2, 1}}, {3, 4}}, {{{1, 1, 2, 1}}, {1, 10}}}).at(0),
              {43, 4});
  expect_near(
      evaluate(conv2d({1, 1}, {0, 0, 0, 0}, {1, 3}), {{{{1, 1, 1, 5}}, {1, 2, 3, 4, 5}}, {{{1, 1, 1, 2}}, {1, 10}}})
          .at(0),
      {41, 52});
  // Two groups of two channels; the weights pick one channel each.
  expect_near(evaluate(conv2d({1, 1}, {0, 0, 0, 0}, {1, 1}, 2),
                       {{{{1, 4, 1, 1}}, {3, 5, 7, 11}}, {{{2, 2, 1, 1}}, {1, 0, 0, 1}}})
                  .at(0),
              {3, 11});
}

TEST(Reference, Conv2dBackward) {
  Op op = conv2d({1, 2}, {0, 1, 0, 0});
  op.type = "conv2d_backward_data";
  op.attributes.set("input_shape", Integers{1, 1, 1, 3});
  // The first window covers (padding, x0), the second (x1, x2).
  expect_near(evaluate(op, {{{{1, 1, 1, 2}}, {2, 3}}, {{{1, 1, 1, 2}}, {10, 1}}}).at(0), {2, 30, 3});
  op = conv2d({1, 2}, {0, 1, 0, 0});
  op.type = "conv2d_backward_weight";
  op.attributes.set("weight_shape", Integers{1, 1, 1, 2});
  op.attributes.set("bias", std::int64_t{1});
  const auto gradients = evaluate(op, {{{{1, 1, 1, 3}}, {5, 6, 7}}, {{{1, 1, 1, 2}}, {2, 3}}});
  expect_near(gradients.at(0), {3 * 6, 2 * 5 + 3 * 7});
  expect_near(gradients.at(1), {5});
}

TEST(Reference, MaxPool2d) {
  const Operand x{{{1, 1, 3, 3}}, {1, 3, 2, 3, 0, -1, -5, -4, -6}};
  const auto pooled = evaluate(max_pool2d({2, 2}, {1, 1}), {x});
  expect_near(pooled.at(0), {3, 3, 3, 0});
  expect_near(pooled.at(1), {1, 1, 3, 4});  // the first of equal maxima
  const Operand negative{{{1, 1, 1, 1}}, {-7}};
  expect_near(evaluate(max_pool2d({2, 2}, {1, 1}, {1, 1, 1, 1}), {negative}).at(0), {-7, -7, -7, -7});
  Op backward = max_pool2d({2, 2}, {1, 1});
  backward.type = "max_pool2d_backward";
  backward.attributes.set("input_shape", Integers{1, 1, 3, 3});
  const ValueType indices{{1, 1, 2, 2}, DType::kInt32};
  expect_near(evaluate(backward, {{{{1, 1, 2, 2}}, {10, 20, 30, 40}}, {indices, pooled.at(1)}}).at(0),
              {0, 30, 0, 30, 40, 0, 0, 0, 0});
}

TEST(Reference, Dense) {
  const Operand x{{{1, 2}}, {1, 2}};
  const Operand weight{{{2, 2}}, {3, 4, 5, 6}};
  expect_near(evaluate({"dense", {}}, {x, weight, {{{2}}, {10, 20}}}).at(0), {21, 37});
  expect_near(evaluate({"dense_backward_data", {}}, {{{{1, 2}}, {1, 10}}, weight}).at(0), {53, 64});
  const auto gradients =
      evaluate({"dense_backward_weight", {{"bias", std::int64_t{1}}}}, {{{{2, 2}}, {1, 2, 3, 4}}, {{{2, 1}}, {1, 10}}});
  expect_near(gradients.at(0), {31, 42});
  expect_near(gradients.at(1), {11});
}

TEST(Reference, SoftmaxCrossEntropy) {
  const Operand logits{{{1, 2}}, {0, std::log(3.0)}};
  const Operand labels{{{1}, DType::kInt32}, {1}};
  const auto results = evaluate(cross_entropy(0.5), {logits, labels});
  expect_near(results.at(0), {0.5 * std::log(4.0 / 3.0)});
  expect_near(results.at(1), {0.25, 0.75});
  expect_near(evaluate({"softmax_cross_entropy_backward", {{"scale", 0.5}}},
                       {{{{1, 2}}, {0.25, 0.75}}, labels, {{Shape{}}, {2}}})
                  .at(0),
              {0.25, -0.25});
  expect_near(evaluate(cross_entropy(1), {{{{1, 2}}, {1000, 0}}, labels}).at(0), {1000});
  for (const double label : {-1.0, 2.0}) {
    EXPECT_THROW(evaluate(cross_entropy(1), {logits, {{{1}, DType::kInt32}, {label}}}), std::invalid_argument);
  }
}

TEST(Reference, CountCorrectTakesTheFirstOfEqualLogits) {
  const Operand logits{{{3, 3}}, {1, 5, 5, 7, 2, 7, 0, 0, 1}};
  expect_near(evaluate({"count_correct", {}}, {logits, {{{3}, DType::kInt32}, {1, 2, 2}}}).at(0), {2});
}

TEST(Reference, ElementwiseAndReductions) {
  const Operand x{{{2, 3}}, {1, 2, 3, 4, 5, 6}};
  expect_near(evaluate({"reduce_sum", {{"axes", Integers{0}}}}, {x}).at(0), {5, 7, 9});
  expect_near(evaluate({"reduce_mean", {{"axes", Integers{1}}}}, {x}).at(0), {2, 5});
  expect_near(evaluate({"reduce_sum", {{"axes", Integers{0, 1}}}}, {x}).at(0), {21});
  expect_near(
      evaluate({"broadcast", {{"axes", Integers{0}}, {"shape", Integers{2, 2}}, {"scale", 3.0}}}, {{{{2}}, {1, 2}}})
          .at(0),
      {3, 6, 3, 6});
  expect_near(evaluate({"fill", {{"shape", Integers{2}}, {"value", 1.5}}}, {}).at(0), {1.5, 1.5});
  expect_near(evaluate({"add", {}}, {x, x}).at(0), {2, 4, 6, 8, 10, 12});
  const double log2 = std::log(2.0);
  expect_near(evaluate({"relu", {}}, {{{{3}}, {-1, 0, 2}}}).at(0), {0, 0, 2});
  expect_near(evaluate({"sigmoid", {}}, {{{{2}}, {0, log2}}}).at(0), {0.5, 2.0 / 3.0});
  expect_near(evaluate({"tanh", {}}, {{{{2}}, {0, log2}}}).at(0), {0, 0.6});
}

// One weight whose gradient is the input x: loss = w x.
struct OneWeight {
  Graph graph;
  Values values;
  ValueId x, w;

  explicit OneWeight(const Op& optimizer) {
    x = graph.add_input("x", {{1, 1}});
    w = graph.add_parameter("w", {1, 1});
    const ValueId y = graph.add_node({"dense", {}}, {x, w}, "y").at(0);
    const ValueId loss = graph.add_node(reshape(Shape{}), {y}, "loss").at(0);
    append_updates(graph, append_gradients(graph, loss), optimizer);
    values[w] = {1};
    for (const ValueId state : graph.values_of(ValueKind::kState)) values[state] = {0};
  }

  double step(std::int64_t number, double gradient, double learning_rate) {
    values[x] = {gradient};
    reference::run(graph, values, {number, learning_rate}, true);
    return values[w][0];
  }
};

TEST(Reference, SgdUnderAConstantGradient) {
  OneWeight plain(sgd(0));
  OneWeight momentum(sgd(0.9));
  EXPECT_TRUE(plain.graph.values_of(ValueKind::kState).empty());
  double expected = 1;
  for (int t = 1; t <= 20; ++t) {
    EXPECT_NEAR(plain.step(t - 1, 2, 0.01), 1 - 0.02 * t, 1e-12);
    expected -= 0.01 * 2 * (1 - std::pow(0.9, t)) / (1 - 0.9);  // a geometric series
    EXPECT_NEAR(momentum.step(t - 1, 2, 0.01), expected, 1e-12);
  }
}

TEST(Reference, AdamFollowsItsPaper) {
  // Kingma and Ba, "Adam", 2015, algorithm 1, with bias-corrected moments written out.
  OneWeight one(adam());
  double m = 0;
  double v = 0;
  double expected = 1;
  for (int t = 1; t <= 50; ++t) {
    const double g = std::sin(3.0 * t) + 0.2;
    m = 0.9 * m + 0.1 * g;
    v = 0.999 * v + 0.001 * g * g;
    const double m_hat = m / (1 - std::pow(0.9, t));
    const double v_hat = v / (1 - std::pow(0.999, t));
    expected -= 0.1 * m_hat / (std::sqrt(v_hat) + 1e-8);
    EXPECT_NEAR(one.step(t - 1, g, 0.1), expected, 1e-12) << "step " << t;
  }
}

TEST(Reference, TensorsAndArrays) {
  const ValueType ints{{3}, DType::kInt32};
  const Array array{-1, 0, 7};
  EXPECT_EQ(reference::to_array(reference::to_tensor(array, ints)), array);
  EXPECT_EQ(reference::to_array(reference::to_tensor(array, {{3}})), array);
  EXPECT_THROW((void)reference::to_tensor(array, {{4}}), std::invalid_argument);
  EXPECT_EQ(reference::random_array({5}, 3), reference::random_array({5}, 3));
  EXPECT_NE(reference::random_array({5}, 3), reference::random_array({5}, 4));
}

TEST(Reference, RunNamesAMissingValue) {
  LittleCnn cnn;
  Values values;
  EXPECT_EQ(message_of([&] { reference::run(cnn.graph, values); }),
            "[value x] expected an array of float32(2,1,7,7), got none");
}

}  // namespace
}  // namespace skua::test
