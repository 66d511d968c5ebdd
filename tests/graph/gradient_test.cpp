// Gradients of every differentiable operator against central differences, both evaluated by the reference in double.
#include <numeric>

#include "graph/gradient_check.h"

namespace skua::test {
namespace {

TEST(Gradients, Conv2d) {
  check([](Problem& p) {
    Random& r = p.random;
    const std::int64_t groups = between(r, 1, 3);
    const Integers kernel{between(r, 1, 3), between(r, 1, 3)};
    const Integers strides{between(r, 1, 3), between(r, 1, 3)};
    const Integers dilations{between(r, 1, 2), between(r, 1, 3)};
    const Integers padding{between(r, 0, 2), between(r, 0, 2), between(r, 0, 2), between(r, 0, 2)};
    const auto extent = [&](std::size_t axis) {
      const std::int64_t span = dilations[axis] * (kernel[axis] - 1) + 1;
      return std::max<std::int64_t>(1, span - padding[axis] - padding[axis + 2]) + between(r, 0, 4);
    };
    const std::int64_t channels = between(r, 1, 2);
    const Shape x{between(r, 1, 2), groups * channels, extent(0), extent(1)};
    const Shape weight{groups * between(r, 1, 2), channels, kernel[0], kernel[1]};
    std::vector<ValueId> inputs{p.parameter("x", x), p.parameter("weight", weight)};
    if (between(r, 0, 1) == 1) inputs.push_back(p.parameter("bias", {weight[0]}));
    p.weigh(p.graph.add_node(conv2d(strides, padding, dilations, groups), inputs, "conv").at(0));
  });
}

TEST(Gradients, MaxPool2d) {
  check([](Problem& p) {
    Random& r = p.random;
    const Integers window{between(r, 1, 4), between(r, 1, 4)};
    const Integers strides{between(r, 1, 3), between(r, 1, 3)};
    // Less padding than window, so that every window covers an element.
    const std::int64_t most[] = {window[0] - 1, window[1] - 1};
    const Integers padding{between(r, 0, most[0]), between(r, 0, most[1]), between(r, 0, most[0]),
                           between(r, 0, most[1])};
    const Shape x{between(r, 1, 2), between(r, 1, 3), window[0] + between(r, 0, 4), window[1] + between(r, 0, 4)};
    p.weigh(p.graph.add_node(max_pool2d(window, strides, padding), {p.parameter("x", x)}, "pool").at(0));
  });
}

TEST(Gradients, Crop2d) {
  check([](Problem& p) {
    const Shape shape = random_shape(p.random, 4);
    const Op crop{"crop2d", {{"size", Integers{between(p.random, 1, shape[2]), between(p.random, 1, shape[3])}}}};
    p.weigh(p.graph.add_node(crop, {p.parameter("x", shape)}, "crop").at(0));
  });
}

TEST(Gradients, Dense) {
  check([](Problem& p) {
    const std::int64_t in = between(p.random, 1, 7);
    const std::int64_t out = between(p.random, 1, 7);
    std::vector<ValueId> inputs{p.parameter("x", {between(p.random, 1, 5), in}), p.parameter("weight", {out, in})};
    if (between(p.random, 0, 1) == 1) inputs.push_back(p.parameter("bias", {out}));
    p.weigh(p.graph.add_node({"dense", {}}, inputs, "dense").at(0));
  });
}

TEST(Gradients, Activations) {
  for (const char* type : {"relu", "sigmoid", "tanh"}) {
    SCOPED_TRACE(type);
    check([&](Problem& p) {
      const Shape shape = random_shape(p.random, p.random.below(5));
      p.weigh(p.graph.add_node({type, {}}, {p.parameter("x", shape)}, "activation").at(0));
    });
  }
}

TEST(Gradients, ReshapeAndAdd) {
  check([](Problem& p) {
    const Shape shape = random_shape(p.random, 3);
    const ValueId a = p.parameter("a", shape);
    ValueId sum = p.graph.add_node({"add", {}}, {a, p.parameter("b", shape)}, "sum").at(0);
    sum = p.graph.add_node(reshape({shape[2], shape[0] * shape[1]}), {sum}, "reshaped").at(0);
    p.weigh(p.graph.add_node({"add", {}}, {sum, sum}, "twice").at(0));
  });
}

Integers random_axes(Random& random, std::size_t rank) {
  Integers axes;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    if (random.below(2) == 1) axes.push_back(static_cast<std::int64_t>(axis));
  }
  return axes;
}

TEST(Gradients, Reductions) {
  for (const char* type : {"reduce_sum", "reduce_mean"}) {
    SCOPED_TRACE(type);
    check([&](Problem& p) {
      const Shape shape = random_shape(p.random, p.random.below(5));
      const Op op{type, {{"axes", random_axes(p.random, shape.rank())}}};
      p.weigh(p.graph.add_node(op, {p.parameter("x", shape)}, "reduced").at(0));
    });
  }
}

TEST(Gradients, Broadcast) {
  check([](Problem& p) {
    const Shape shape = random_shape(p.random, p.random.below(5));
    const Integers axes = random_axes(p.random, shape.rank());
    Integers kept;
    for (std::int64_t axis = 0; axis < static_cast<std::int64_t>(shape.rank()); ++axis) {
      if (std::find(axes.begin(), axes.end(), axis) == axes.end())
        kept.push_back(shape[static_cast<std::size_t>(axis)]);
    }
    const double scale = p.random.below(2) == 1 ? 1 : 0.7;
    const Op op{"broadcast", {{"axes", axes}, {"shape", shape.extents()}, {"scale", scale}}};
    p.weigh(p.graph.add_node(op, {p.parameter("x", Shape(kept))}, "broadcast").at(0));
  });
}

TEST(Gradients, SoftmaxCrossEntropy) {
  check([](Problem& p) {
    const Shape shape = random_shape(p.random, 2);
    const ValueId labels = p.graph.add_input("labels", {{shape[0]}, DType::kInt32});
    for (std::int64_t n = 0; n < shape[0]; ++n) {
      p.values[labels].push_back(static_cast<double>(between(p.random, 0, shape[1] - 1)));
    }
    const ValueId logits = p.parameter("logits", shape);
    // Something after the loss, so that its gradient is not 1.
    p.weigh(p.graph.add_node(cross_entropy(p.random.uniform(0.1, 2)), {logits, labels}, "loss").at(0));
  });
}

TEST(Gradients, LittleCnnWithSharedParameters) {
  LittleCnn cnn;
  Values values;
  for (const ValueKind kind : {ValueKind::kInput, ValueKind::kParameter}) {
    for (const ValueId id : cnn.graph.values_of(kind)) {
      values[id] = reference::random_array(cnn.graph.value(id).type.shape, static_cast<std::uint64_t>(id.value));
    }
  }
  values[cnn.labels] = {3, 1};
  expect_gradients(cnn.graph, cnn.loss, values);
}

TEST(Gradients, TwoLossesOfOneGraph) {
  Problem p(5);
  const ValueId x = p.parameter("x", {3, 4});
  const ValueId y = p.graph.add_node({"tanh", {}}, {x}, "y").at(0);
  const ValueId first = p.graph.add_node({"reduce_sum", {{"axes", Integers{0, 1}}}}, {y}, "first").at(0);
  p.weigh(p.graph.add_node({"sigmoid", {}}, {y}, "z").at(0));
  const Graph forward = p.graph;
  const auto by_first = append_gradients(p.graph, first);
  const auto by_second = append_gradients(p.graph, p.loss);
  EXPECT_EQ(p.graph.value(by_first.at(x)).name, "grad(x)");
  EXPECT_EQ(p.graph.value(by_second.at(x)).name, "grad(x)#2");
  Values computed = p.values;
  reference::run(p.graph, computed);
  for (const auto& [loss, gradients] : {std::pair(first, by_first), std::pair(p.loss, by_second)}) {
    const Array expected = central_differences(forward, loss, p.values, x);
    for (std::size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(computed[gradients.at(x)][i], expected[i], 1e-8);
  }
}

}  // namespace
}  // namespace skua::test
