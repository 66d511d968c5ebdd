// Shape rules: the types that they give, and what they say of inputs that do not fit.
#include <gtest/gtest.h>

#include "graph/small_graphs.h"
#include "skua/graph/op_registry.h"
#include "skua/graph/random.h"
#include "skua/graph/window.h"

namespace skua::test {
namespace {

std::vector<ValueId> add_node(Graph& graph, const Op& op, const std::vector<ValueType>& types) {
  std::vector<ValueId> inputs;
  for (const ValueType& type : types) inputs.push_back(graph.add_input("input" + std::to_string(inputs.size()), type));
  return graph.add_node(op, inputs, "node");
}

std::vector<Shape> shapes_of(const Op& op, const std::vector<ValueType>& types) {
  Graph graph;
  std::vector<Shape> shapes;
  for (const ValueId output : add_node(graph, op, types)) shapes.push_back(graph.value(output).type.shape);
  return shapes;
}

std::string error_of(const Op& op, const std::vector<ValueType>& types) {
  return message_of([&] {
    Graph graph;
    (void)add_node(graph, op, types);
  });
}

ValueType ints(const Shape& shape) {
  return {shape, DType::kInt32};
}

// Window positions by trying them all.
std::int64_t count_positions(std::int64_t padded, std::int64_t kernel, std::int64_t stride, std::int64_t dilation) {
  std::int64_t count = 0;
  for (std::int64_t begin = 0; begin + dilation * (kernel - 1) < padded; begin += stride) ++count;
  return count;
}

TEST(ShapeRules, ConvolutionsHaveAsManyRowsAsWindowPositions) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Random r(seed, 11);
    const auto draw = [&](std::uint64_t low, std::uint64_t high) {
      return static_cast<std::int64_t>(low + r.below(high - low + 1));
    };
    const Integers pads{draw(0, 3), draw(0, 3), draw(0, 3), draw(0, 3)};
    const Integers strides{draw(1, 4), draw(1, 4)};
    const Integers dilations{draw(1, 3), draw(1, 3)};
    const Shape x{draw(1, 3), 2, draw(1, 12), draw(1, 12)};
    const Shape weight{6, 1, draw(1, 4), draw(1, 4)};
    const std::int64_t rows = count_positions(x[2] + pads[0] + pads[2], weight[2], strides[0], dilations[0]);
    const std::int64_t columns = count_positions(x[3] + pads[1] + pads[3], weight[3], strides[1], dilations[1]);
    const Op op = conv2d(strides, pads, dilations, 2);
    if (rows == 0 || columns == 0) {
      EXPECT_NE(error_of(op, {{x}, {weight}}).find("fits into the padded input"), std::string::npos);
    } else {
      EXPECT_EQ(shapes_of(op, {{x}, {weight}}), std::vector<Shape>({{x[0], 6, rows, columns}}));
    }
  }
}

TEST(ShapeRules, PoolingWindowsCoverAnElement) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    Random r(seed, 12);
    const auto draw = [&](std::uint64_t low, std::uint64_t high) {
      return static_cast<std::int64_t>(low + r.below(high - low + 1));
    };
    const std::int64_t height = draw(1, 5);
    const std::int64_t before = draw(0, 3);
    const std::int64_t after = draw(0, 3);
    const std::int64_t window = draw(1, 4);
    const std::int64_t stride = draw(1, 4);
    const std::int64_t rows = count_positions(height + before + after, window, stride, 1);
    bool covered = rows > 0;
    for (std::int64_t row = 0; row < rows; ++row) {
      bool real = false;
      for (std::int64_t k = 0; k < window; ++k) {
        const std::int64_t at = row * stride + k - before;
        real = real || (at >= 0 && at < height);
      }
      covered = covered && real;
    }
    const Op tall = max_pool2d({window, 1}, {stride, 1}, {before, 0, after, 0});
    const Op wide = max_pool2d({1, window}, {1, stride}, {0, before, 0, after});
    EXPECT_EQ(error_of(tall, {{{1, 1, height, 1}}}).empty(), covered) << seed;
    EXPECT_EQ(error_of(wide, {{{1, 1, 1, height}}}).empty(), covered) << seed;
    if (!covered) continue;
    EXPECT_EQ(shapes_of(tall, {{{1, 1, height, 1}}}), std::vector<Shape>(2, {1, 1, rows, 1}));
  }
}

TEST(ShapeRules, OtherOperators) {
  EXPECT_EQ(shapes_of({"dense", {}}, {{{2, 3}}, {{5, 3}}, {{5}}}), std::vector<Shape>({{2, 5}}));
  EXPECT_EQ(shapes_of({"dense", {}}, {{{7, 2, 3}}, {{5, 3}}}), std::vector<Shape>({{7, 2, 5}}));
  EXPECT_EQ(shapes_of({"dense_backward_data", {}}, {{{7, 2, 5}}, {{5, 3}}}), std::vector<Shape>({{7, 2, 3}}));
  EXPECT_EQ(shapes_of({"dense_backward_data", {}}, {{{2, 5}}, {{5, 3}}}), std::vector<Shape>({{2, 3}}));
  EXPECT_EQ(shapes_of({"dense_backward_weight", {{"bias", std::int64_t{1}}}}, {{{2, 3}}, {{2, 5}}}),
            std::vector<Shape>({{5, 3}, {5}}));
  EXPECT_EQ(shapes_of({"reduce_mean", {{"axes", Integers{0, 2}}}}, {{{2, 3, 4}}}), std::vector<Shape>({{3}}));
  EXPECT_EQ(shapes_of(cross_entropy(1), {{{2, 3}}, ints({2})}), std::vector<Shape>({Shape{}, {2, 3}}));
  EXPECT_EQ(shapes_of({"count_correct", {}}, {{{2, 3}}, ints({2})}), std::vector<Shape>({Shape{}}));
}

Op split(std::int64_t axis, Integers sizes) {
  return {"split", {{"axis", axis}, {"sizes", std::move(sizes)}}};
}
Op concatenate(std::int64_t axis) {
  return {"concatenate", {{"axis", axis}}};
}
Op transpose(Integers permutation) {
  return {"transpose", {{"permutation", std::move(permutation)}}};
}
Op matmul(std::int64_t transpose_a, std::int64_t transpose_b) {
  return {"matmul", {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}}};
}
Op embedding_backward(std::int64_t rows) {
  return {"embedding_backward", {{"rows", rows}}};
}

TEST(ShapeRules, ArrayOperators) {
  EXPECT_EQ(shapes_of(split(1, {1, 4}), {{{2, 5, 3}}}), std::vector<Shape>({{2, 1, 3}, {2, 4, 3}}));
  EXPECT_EQ(shapes_of(concatenate(0), {{{2, 3}}, {{1, 3}}}), std::vector<Shape>({{3, 3}}));
  EXPECT_EQ(shapes_of(transpose({2, 0, 1}), {{{2, 3, 4}}}), std::vector<Shape>({{4, 2, 3}}));
  EXPECT_EQ(shapes_of(transpose({}), {{Shape{}}}), std::vector<Shape>({Shape{}}));
  EXPECT_EQ(shapes_of(matmul(0, 0), {{{5, 2, 3}}, {{5, 3, 4}}}), std::vector<Shape>({{5, 2, 4}}));
  EXPECT_EQ(shapes_of(matmul(1, 0), {{{5, 3, 2}}, {{5, 3, 4}}}), std::vector<Shape>({{5, 2, 4}}));
  EXPECT_EQ(shapes_of(matmul(0, 1), {{{5, 2, 3}}, {{5, 4, 3}}}), std::vector<Shape>({{5, 2, 4}}));
  EXPECT_EQ(shapes_of(matmul(1, 1), {{{5, 3, 2}}, {{5, 4, 3}}}), std::vector<Shape>({{5, 2, 4}}));
  EXPECT_EQ(shapes_of({"embedding", {}}, {{{9, 4}}, ints({2, 3})}), std::vector<Shape>({{2, 3, 4}}));
  EXPECT_EQ(shapes_of({"embedding_dense", {}}, {{{9, 4}}, ints({2, 3}), {{5, 4}}, {{5}}}),
            std::vector<Shape>({{2, 3, 5}}));
  EXPECT_EQ(shapes_of({"embedding_dense_backward", {{"bias", std::int64_t{1}}}},
                      {{{9, 4}}, ints({2, 3}), {{5, 4}}, {{2, 3, 5}}}),
            std::vector<Shape>({{9, 4}, {5, 4}, {5}}));
  EXPECT_EQ(shapes_of(embedding_backward(9), {ints({2, 3}), {{2, 3, 4}}}), std::vector<Shape>({{9, 4}}));
}

TEST(ShapeRules, MovedIntegersStayIntegersAndMasksAreFloats) {
  const auto type_of = [](const Op& op, const std::vector<ValueType>& types) {
    Graph graph;
    return graph.value(add_node(graph, op, types).at(0)).type;
  };
  EXPECT_EQ(type_of(reshape({6}), {ints({2, 3})}), ints({6}));
  EXPECT_EQ(type_of(split(0, {2}), {ints({2})}), ints({2}));
  EXPECT_EQ(type_of(concatenate(0), {ints({2}), ints({3})}), ints({5}));
  EXPECT_EQ(type_of({"not_equal", {{"value", std::int64_t{0}}}}, {ints({2})}), ValueType{{2}});
}

TEST(ShapeRules, BackwardNodesHaveTheWindowOfTheirLayer) {
  LittleCnn cnn;
  append_gradients(cnn.graph, cnn.loss);
  const auto window = [&](const std::string& name) {
    const Node& node = cnn.graph.node(cnn.graph.find_node(name));
    return window_of(node.op, cnn.graph.input_types(node));
  };
  EXPECT_EQ(window("conv2.backward_data"), window("conv2"));
  EXPECT_EQ(window("conv2.backward_weight"), window("conv2"));
  EXPECT_EQ(window("pool1.backward"), window("pool1"));
  EXPECT_EQ(window("conv2").pad_bottom, 1);
  EXPECT_EQ(window("conv2").output_shape(), Shape({2, 3, 3, 3}));
}

struct Wrong {
  Op op;
  std::vector<ValueType> types;
  std::string message;
};

TEST(ShapeRules, MessagesSayWhatWasExpectedAndWhatCame) {
  const Shape image{1, 4, 5, 5};
  Op partial = conv2d();
  partial.attributes = {{"strides", Integers{1, 1}}};
  const std::vector<Wrong> cases{
      {conv2d(), {{{128, 784}}, {{1, 1, 1, 1}}}, "[conv2d node] expected 4-D input (N,C,H,W), got (128,784)"},
      {conv2d(), {ints(image), {{1, 4, 1, 1}}}, "[conv2d node] expected float32 input, got int32(1,4,5,5)"},
      {conv2d(), {{image}}, "[conv2d node] expected 2 to 3 inputs, got 1"},
      {conv2d(), {{image}, {{2, 3, 1, 1}}}, "[conv2d node] expected weight (2,4,1,1), got (2,3,1,1)"},
      {conv2d(), {{image}, {{2, 4, 1, 1}}, {{3}}}, "[conv2d node] expected bias (2), got (3)"},
      {conv2d({1, 1}, {0, 0, 0, 0}, {1, 1}, 3),
       {{image}, {{6, 1, 1, 1}}},
       "[conv2d node] expected groups >= 1 that divide the 4 input and 6 output channels, got 3"},
      {conv2d({1, 0}),
       {{image}, {{2, 4, 1, 1}}},
       "[conv2d node] expected 'strides' to be 2 integers >= 1 and < 2^31, got [1,0]"},
      {conv2d({1, 1}, {0, 0, 0, -1}),
       {{image}, {{2, 4, 1, 1}}},
       "[conv2d node] expected 'padding' to be 4 integers >= 0 and < 2^31, got [0,0,0,-1]"},
      {conv2d(),
       {{image}, {{2, 4, 6, 1}}},
       "[conv2d node] expected a window that fits into the padded input, got height 6 in height 5"},
      {partial, {{image}, {{2, 4, 1, 1}}}, "[conv2d node] expected an attribute 'padding', got none"},
      {{"relu", {{"slope", 0.1}}}, {{image}}, "[relu node] expected the attributes [], got also 'slope'"},
      {max_pool2d({2, 2}, {1, 1}, {2, 0, 0, 0}),
       {{image}},
       "[max_pool2d node] expected every window to cover an element of the input, got one that lies in the padding of "
       "the height"},
      {{"dense", {}}, {{{2, 3}}, {{4, 5}}}, "[dense node] expected weight (4,3), got (4,5)"},
      {{"add", {}}, {{{2}}, {{3}}}, "[add node] expected second input (2), got (3)"},
      {reshape({7}), {{{2, 3}}}, "[reshape node] expected a shape with the elements of (2,3), got (7)"},
      {reshape({7}), {}, "[reshape node] expected 1 inputs, got 0"},
      {{"reduce_sum", {{"axes", Integers{1, 0}}}},
       {{{2, 3}}},
       "[reduce_sum node] expected ascending 'axes' of a 2-D value, got [1,0]"},
      {{"broadcast", {{"axes", Integers{0}}, {"shape", Integers{2, 3}}, {"scale", 1.0}}},
       {{{2}}},
       "[broadcast node] expected input (3), got (2)"},
      {cross_entropy(1), {{{2, 3}}, {{2}}}, "[softmax_cross_entropy node] expected int32 labels, got float32(2)"},
      {cross_entropy(1), {{{2, 3}}, ints({3})}, "[softmax_cross_entropy node] expected labels (2), got (3)"},
      {{"softmax_cross_entropy", {{"scale", std::int64_t{1}}}},
       {{{2, 3}}, ints({2})},
       "[softmax_cross_entropy node] expected attribute 'scale' to be a real, got an integer"},
      {{"elu", {{"alpha", -1.0}}}, {{image}}, "[elu node] expected 'alpha' in [0,inf), got -1"},
      {{"softmax", {}}, {{Shape{}}}, "[softmax node] expected input (...,C), got a scalar"},
      {split(2, {1}), {{{2, 3}}}, "[split node] expected an 'axis' of (2,3), got 2"},
      {split(1, {2, 2}), {{{2, 3}}}, "[split node] expected 'sizes' that sum to 3, got [2,2]"},
      {split(1, {4, -1}), {{{2, 3}}}, "[split node] expected 'sizes' that sum to 3, got [4,-1]"},
      {concatenate(0), {}, "[concatenate node] expected 1 input or more, got none"},
      {concatenate(0),
       {{{2, 3}}, {{2, 4}}},
       "[concatenate node] expected inputs that differ from float32(2,3) along axis 0 alone, got float32(2,4)"},
      {concatenate(0),
       {{{2, 3}}, ints({2, 3})},
       "[concatenate node] expected inputs that differ from float32(2,3) along axis 0 alone, got int32(2,3)"},
      {transpose({0, 0}), {{{2, 3}}}, "[transpose node] expected a 'permutation' of 2 axes, got [0,0]"},
      {matmul(0, 2), {{{1, 2, 3}}, {{1, 3, 4}}}, "[matmul node] expected 'transpose_b' 0 or 1, got 2"},
      {matmul(1, 0),
       {{{5, 2, 3}}, {{5, 3, 4}}},
       "[matmul node] expected b of 5 matrices with inner extent 2, got (5,3,4)"},
      {{"embedding", {}}, {{{9, 4}}, {{2}}}, "[embedding node] expected int32 ids, got float32(2)"},
      {{"embedding_dense", {}},
       {{{9, 4}}, ints({2}), {{5, 3}}},
       "[embedding_dense node] expected weight (5,4), got (5,3)"},
      {embedding_backward(9),
       {ints({2, 3}), {{2, 4}}},
       "[embedding_backward node] expected dy of ids (2,3) and columns, got (2,4)"},
      {{"flatten", {}}, {{image}}, "[flatten node] expected a known operator type, got 'flatten'"},
  };
  for (const Wrong& wrong : cases) EXPECT_EQ(error_of(wrong.op, wrong.types), wrong.message);
}

TEST(ShapeRules, ShapesHavePositiveExtentsAndCountableElements) {
  EXPECT_EQ(Shape({2, 3}).elements(), 6);
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_EQ((ValueType{{2, 3}, DType::kInt32}.to_string()), "int32(2,3)");
  EXPECT_THROW(Shape({2, 0}), std::invalid_argument);
  EXPECT_THROW(Shape({-1}), std::invalid_argument);
  EXPECT_THROW(Shape({std::int64_t{1} << 31, std::int64_t{1} << 31}), std::invalid_argument);
  EXPECT_EQ(dtype_from_string("int32"), DType::kInt32);
  EXPECT_THROW((void)dtype_from_string("double"), std::invalid_argument);
}

TEST(Costs, MatchClosedForms) {
  const auto flops = [](const Op& op, const std::vector<ValueType>& types) {
    Graph graph;
    (void)add_node(graph, op, types);
    return cost_of(graph, graph.nodes().at(0)).flops;
  };
  // y (2,6,5,7) of x (2,4,10,14), weight (6,2,3,3), stride 2, padding 1, 2 groups.
  const Op conv = conv2d({2, 2}, {1, 1, 1, 1}, {1, 1}, 2);
  const double products = 2.0 * 6 * 5 * 7 * 2 * 3 * 3;
  EXPECT_EQ(flops(conv, {{{2, 4, 10, 14}}, {{6, 2, 3, 3}}}), 2 * products);
  EXPECT_EQ(flops(conv, {{{2, 4, 10, 14}}, {{6, 2, 3, 3}}, {{6}}}), 2 * products + 2 * 6 * 5 * 7);
  Op data{"conv2d_backward_data", conv.attributes};
  data.attributes.set("input_shape", Integers{2, 4, 10, 14});
  EXPECT_EQ(flops(data, {{{2, 6, 5, 7}}, {{6, 2, 3, 3}}}), 2 * products);
  Op weight{"conv2d_backward_weight", conv.attributes};
  weight.attributes.set("weight_shape", Integers{6, 2, 3, 3});
  weight.attributes.set("bias", std::int64_t{0});
  EXPECT_EQ(flops(weight, {{{2, 4, 10, 14}}, {{2, 6, 5, 7}}}), 2 * products);
  EXPECT_EQ(flops({"dense", {}}, {{{8, 20}}, {{30, 20}}}), 2.0 * 8 * 20 * 30);
  EXPECT_EQ(flops({"dense", {}}, {{{8, 20}}, {{30, 20}}, {{30}}}), 2.0 * 8 * 20 * 30 + 8 * 30);
  EXPECT_EQ(flops({"dense_backward_data", {}}, {{{8, 30}}, {{30, 20}}}), 2.0 * 8 * 20 * 30);
  EXPECT_EQ(flops({"dense_backward_weight", {{"bias", std::int64_t{1}}}}, {{{8, 20}}, {{8, 30}}}),
            2.0 * 8 * 20 * 30 + 8 * 30);
}

TEST(Costs, BytesCountEveryInputAndOutputOnce) {
  Graph graph;
  (void)add_node(graph, max_pool2d({2, 2}, {2, 2}), {{{1, 3, 8, 8}}});
  EXPECT_EQ(cost_of(graph, graph.nodes().at(0)).bytes, 4.0 * 3 * (64 + 16 + 16));
}

// Files may claim sizes whose sums do not fit into 64 bits, and leave inputs out.
TEST(ShapeRules, HugeSizesAndMissingInputsAreErrors) {
  const std::int64_t huge = std::int64_t{1} << 58;
  // Four times 2^62 is 0 in 64 bits.
  EXPECT_NE(error_of(split(0, {16 * huge, 16 * huge, 16 * huge, 16 * huge, 3}), {{{3}}}).find("that sum to 3"),
            std::string::npos);
  // 65 times 2^58 is 2^58 in 64 bits.
  EXPECT_NE(error_of(concatenate(0), std::vector<ValueType>(65, {{huge}})).find("fewer than 2^59 elements"),
            std::string::npos);
  for (const std::string& type : op_types()) {
    if (type.starts_with("test_")) continue;  // what other tests have registered
    Graph graph;
    for (const Attributes& attributes :
         {Attributes{}, Attributes{{"alpha", 0.1}}, Attributes{{"reverse", std::int64_t{0}}}}) {
      try {
        (void)graph.add_node({type, attributes}, {}, type);
        ADD_FAILURE() << type << " without inputs";
      } catch (const std::invalid_argument&) {
      }
    }
  }
}

}  // namespace
}  // namespace skua::test
