// Infinities, NaNs, large numbers and bad labels.
#include <limits>

#include "engine/operators/problem.h"

namespace skua::test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// One node of `op` on inputs given as floats; the first output.
std::vector<float> run_one(const Op& op, const std::vector<std::pair<Shape, std::vector<float>>>& inputs) {
  Graph graph;
  std::vector<ValueId> ids;
  for (const auto& [shape, numbers] : inputs) ids.push_back(graph.add_input(fmt::format("x{}", ids.size()), {shape}));
  const ValueId y = graph.add_node(op, ids, "node").at(0);
  const auto device = make_test_device();
  Runner runner(*device, graph);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    Tensor tensor({inputs[i].first});
    std::copy(inputs[i].second.begin(), inputs[i].second.end(), tensor.floats().begin());
    runner.set(ids[i], tensor);
  }
  runner.run();
  const Tensor result = runner.get(y);
  return {result.floats().begin(), result.floats().end()};
}

TEST(SpecialValues, ActivationsKeepNaNsAndSaturate) {
  const std::vector<float> x{kNaN, -kInfinity, kInfinity, -200, 200, 0};
  const auto relu = run_one({"relu", {}}, {{{6}, x}});
  EXPECT_TRUE(std::isnan(relu[0]));
  EXPECT_EQ(std::vector<float>(relu.begin() + 1, relu.end()), (std::vector<float>{0, kInfinity, 0, 200, 0}));
  const auto sigmoid = run_one({"sigmoid", {}}, {{{6}, x}});
  EXPECT_TRUE(std::isnan(sigmoid[0]));
  EXPECT_EQ(std::vector<float>(sigmoid.begin() + 1, sigmoid.end()), (std::vector<float>{0, 1, 0, 1, 0.5}));
  const auto tanh = run_one({"tanh", {}}, {{{6}, x}});
  EXPECT_TRUE(std::isnan(tanh[0]));
  EXPECT_EQ(std::vector<float>(tanh.begin() + 1, tanh.end()), (std::vector<float>{-1, 1, -1, 1, 0}));
  EXPECT_TRUE(std::isnan(run_one({"relu_backward", {}}, {{{1}, {1}}, {{1}, {kNaN}}})[0]));
}

TEST(SpecialValues, ActivationsWithParametersKeepNaNsAndSaturate) {
  struct Case {
    Op op;
    std::vector<float> y;  // of -infinity, infinity, -200, 200, 0
  };
  const Case cases[] = {{{"leaky_relu", {{"alpha", 0.5}}}, {-kInfinity, kInfinity, -100, 200, 0}},
                        {{"elu", {{"alpha", 2.0}}}, {-2, kInfinity, -2, 200, 0}},
                        {{"softplus", {}}, {0, kInfinity, 0, 200, std::log(2.0F)}}};
  for (const auto& [op, expected] : cases) {
    SCOPED_TRACE(op.type);
    const auto y = run_one(op, {{{6}, {kNaN, -kInfinity, kInfinity, -200, 200, 0}}});
    EXPECT_TRUE(std::isnan(y[0]));
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_FLOAT_EQ(y[i + 1], expected[i]) << i;
    const Op backward{op.type + "_backward", op.attributes};
    EXPECT_TRUE(std::isnan(run_one(backward, {{{1}, {1}}, {{1}, {kNaN}}})[0]));
    EXPECT_EQ(run_one(backward, {{{1}, {kInfinity}}, {{1}, {3}}})[0], 3);
  }
}

TEST(SpecialValues, GeluKeepsNaNsAndSaturates) {
  const auto y = run_one({"gelu", {}}, {{{5}, {kNaN, kInfinity, -200, 200, 0}}});
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_EQ(std::vector<float>(y.begin() + 1, y.end()), (std::vector<float>{kInfinity, 0, 200, 0}));
  const auto dx = run_one({"gelu_backward", {}}, {{{5}, {kNaN, -200, 200, 1e30F, 0}}, {{5}, {1, 1, 1, 1, kNaN}}});
  EXPECT_TRUE(std::isnan(dx[0]));
  EXPECT_EQ(std::vector<float>(dx.begin() + 1, dx.end() - 1), (std::vector<float>{0, 1, 1}));
  EXPECT_TRUE(std::isnan(dx[4]));
}

TEST(SpecialValues, SoftmaxOfLargeNumbersIsFiniteAndNaNsStayInTheirRow) {
  const auto y = run_one({"softmax", {}}, {{{3, 2}, {3e38F, -3e38F, kNaN, 0, -1e30F, -1e30F}}});
  EXPECT_EQ((std::vector<float>{y[0], y[1], y[4], y[5]}), (std::vector<float>{1, 0, 0.5, 0.5}));
  EXPECT_TRUE(std::isnan(y[2]) && std::isnan(y[3]));
}

TEST(SpecialValues, MaxPoolKeepsNaNsAndInfinities) {
  const Op pool = max_pool2d({1, 2}, {1, 2}, {0, 0, 0, 0});
  const auto y = run_one(pool, {{{1, 1, 1, 8}, {kNaN, 1, 1, kNaN, -kInfinity, -kInfinity, -kInfinity, kInfinity}}});
  EXPECT_TRUE(std::isnan(y[0]));
  EXPECT_TRUE(std::isnan(y[1]));
  EXPECT_EQ(y[2], -kInfinity);
  EXPECT_EQ(y[3], kInfinity);
}

// Of a max pooling of x by 2x2 windows in steps of 2, which gives the gradient dy: what x's gradient must be.
void expect_pool_gradient(const Integers& padding, const Shape& shape, const Array& x, const Array& dy,
                          const Array& expected) {
  Problem p(0);
  const ValueId image = p.graph.add_input("x", {shape});
  p.values[image] = x;
  const Op op = max_pool2d({2, 2}, {2, 2}, padding);
  const auto pooled = p.graph.add_node(op, {image}, "pool");
  const ValueId gradient = p.graph.add_input("dy", {p.graph.value(pooled.at(0)).type.shape});
  p.values[gradient] = dy;
  Op backward{"max_pool2d_backward", op.attributes};
  backward.attributes.set("input_shape", shape.extents());
  const ValueId dx = p.node(backward, {gradient, pooled.at(1)}, "dx");
  p.expect({{dx, {expected, Array(expected.size(), 0.0)}}});
}

TEST(SpecialValues, FirstOfEqualMaximaGetsTheGradient) {
  constexpr double kLeast = -std::numeric_limits<double>::infinity();
  expect_pool_gradient({0, 0, 0, 0}, {1, 1, 2, 4}, {kLeast, kLeast, 1, 3, kLeast, kLeast, 3, 3}, {5, 7},
                       {5, 0, 0, 7, 0, 0, 0, 0});
  // The first element of each window that does not lie in the padding.
  expect_pool_gradient({1, 1, 0, 0}, {1, 1, 3, 3}, Array(9, kLeast), {1, 2, 3, 4}, {1, 2, 0, 3, 4, 0, 0, 0, 0});
}

TEST(SpecialValues, AdamWithoutEpsilonLeavesUntouchedElements) {
  Problem p(0);
  const ValueId weight = p.parameter("weight", {10, 10, 3, 3});
  p.node(conv2d(), {p.input("x", {1, 10, 5, 5}), weight}, "y");
  const ValueId gradient = p.node({"fill", {{"shape", Integers{10, 10, 3, 3}}, {"value", 0.0}}}, {}, "gradient");
  p.graph.set_mirrors(gradient, weight);
  std::vector<ValueId> inputs{weight, gradient, p.graph.add_state("m", weight), p.graph.add_state("v", weight)};
  for (const ValueId state : {inputs[2], inputs[3]}) p.values[state].assign(900, 0.0);
  Op op = adam();
  op.attributes.set("epsilon", 0.0);
  p.graph.add_node(op, inputs, "update", Phase::kUpdate);
  p.context.learning_rate = 1;
  p.expect({{weight, {p.values[weight], Array(900, 0.0)}}});
}

TEST(SpecialValues, LargeLogitsGiveFiniteLosses) {
  Graph graph;
  const ValueId logits = graph.add_input("logits", {{2, 3}});
  const ValueId labels = graph.add_input("labels", {{2}, DType::kInt32});
  const ValueId loss = graph.add_node(cross_entropy(1), {logits, labels}, "loss").at(0);
  const auto device = make_test_device();
  Runner runner(*device, graph);
  runner.set(logits, reference::to_tensor({1e30, -1e30, 0, -3e38, -3e38, -3e38}, {{2, 3}}));
  runner.set(labels, reference::to_tensor({0, 2}, {{2}, DType::kInt32}));
  runner.run();
  EXPECT_FLOAT_EQ(runner.get(loss).floats()[0], std::log(3.0F));
}

// Nothing is larger than a NaN in front, and a NaN behind is not larger than anything.
TEST(SpecialValues, NaNsAreNotTheLargestLogitButInFront) {
  Graph graph;
  const ValueId logits = graph.add_input("logits", {{4, 3}});
  const ValueId labels = graph.add_input("labels", {{4}, DType::kInt32});
  const ValueId count = graph.add_node({"count_correct", {}}, {logits, labels}, "count").at(0);
  const auto device = make_test_device();
  Runner runner(*device, graph);
  const auto nan = static_cast<double>(kNaN);
  const auto least = -static_cast<double>(kInfinity);
  runner.set(logits, reference::to_tensor({nan, 1, 2, 1, nan, 2, 1, 0, nan, least, nan, least}, {{4, 3}}));
  const auto correct = [&](const Array& numbers) {
    runner.set(labels, reference::to_tensor(numbers, {{4}, DType::kInt32}));
    runner.run();
    return runner.get(count).floats()[0];
  };
  EXPECT_EQ(correct({0, 2, 0, 0}), 4);
  EXPECT_EQ(correct({1, 1, 2, 1}), 0);
  EXPECT_EQ(correct({2, 0, 1, 2}), 0);
}

// The message of the error when the labels of two rows and three classes are these.
std::string label_error(const std::string& type, const Array& numbers) {
  Graph graph;
  const ValueId logits = graph.add_input("logits", {{2, 3}});
  const ValueId labels = graph.add_input("labels", {{2}, DType::kInt32});
  std::vector<ValueId> inputs{logits, labels};
  Op op{type, {}};
  if (type != "count_correct") op.attributes.set("scale", 1.0);
  if (type == "softmax_cross_entropy_backward") inputs.push_back(graph.add_input("dloss", {}));
  graph.add_node(op, inputs, "bad");
  const auto device = make_test_device();
  Runner runner(*device, graph);
  for (const ValueId id : inputs) runner.set(id, Tensor(graph.value(id).type));
  runner.set(labels, reference::to_tensor(numbers, {{2}, DType::kInt32}));
  return message_of([&] { runner.run(); });
}

TEST(SpecialValues, LabelsOutOfRangeAreErrors) {
  for (const char* type : {"softmax_cross_entropy", "softmax_cross_entropy_backward", "count_correct"}) {
    EXPECT_EQ(label_error(type, {0, 3}), fmt::format("[{} bad] expected labels in [0,3), got 3 in row 1", type));
    EXPECT_EQ(label_error(type, {-1, 0}), fmt::format("[{} bad] expected labels in [0,3), got -1 in row 0", type));
    EXPECT_EQ(label_error(type, {2, 0}), "");
  }
}

// The gradient of two rows by these ids, where every dy is 0.1.
std::vector<float> tenths_by_row(const Array& ids, std::int64_t columns, int threads) {
  const auto count = static_cast<std::int64_t>(ids.size());
  Graph graph;
  const ValueId id_input = graph.add_input("ids", {{count}, DType::kInt32});
  const ValueId dy = graph.add_input("dy", {{count, columns}});
  const Op op{"embedding_backward", {{"rows", std::int64_t{2}}}};
  const ValueId dweight = graph.add_node(op, {id_input, dy}, "dweight").at(0);
  const auto device = make_test_device(threads);
  Runner runner(*device, graph);
  runner.set(id_input, reference::to_tensor(ids, graph.value(id_input).type));
  runner.set(dy, reference::to_tensor(Array(static_cast<std::size_t>(count * columns), 0.1), graph.value(dy).type));
  runner.run();
  const Tensor result = runner.get(dweight);
  return {result.floats().begin(), result.floats().end()};
}

// As a padding token does.
TEST(SpecialValues, AnIdOfMostPositionsHasAnAccurateGradient) {
  Array ids(200'000, 1.0);
  ids[7] = 0;
  const auto dweight = tenths_by_row(ids, 17, 1);
  for (std::size_t c = 0; c < 17; ++c) {
    EXPECT_EQ(dweight[c], 0.1F);
    EXPECT_EQ(dweight[17 + c], static_cast<float>(199'999 * static_cast<double>(0.1F)));
  }
  EXPECT_EQ(tenths_by_row(ids, 17, 3), dweight);
}

TEST(SpecialValues, IdsOutOfRangeAreErrorsOfTheGradientToo) {
  const auto error = [](const Array& ids) { return message_of([&] { (void)tenths_by_row(ids, 1, 1); }); };
  EXPECT_EQ(error({0, 2}), "[embedding_backward dweight] expected ids in [0,2), got 2 at position 1");
  EXPECT_EQ(error({-1, 0}), "[embedding_backward dweight] expected ids in [0,2), got -1 at position 0");
  EXPECT_EQ(error({1, 0}), "");
}

}  // namespace
}  // namespace skua::test
