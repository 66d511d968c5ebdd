// Every operator on random shapes and layouts, on the CPU with one and two threads, against the reference in double.
#include <limits>

#include "engine/operators/problem.h"

namespace skua::test {
namespace {

struct ConvolutionCase {
  Op op;
  Shape x;
  Shape weight;
  Shape y;

  explicit ConvolutionCase(Random& r) {
    const std::int64_t groups = one_of(r, {1, 1, 1, 1, 2, 3, 16});
    const Integers per_group = groups == 16 ? Integers{1, 1, 2} : Integers{1, 2, 3, 7, 10, 16, 17, 32};
    const std::int64_t in = one_of(r, per_group);
    const std::int64_t out = one_of(r, per_group);
    const Integers kernel{one_of(r, {1, 2, 3, 3, 5}), one_of(r, {1, 2, 3, 3, 5})};
    const Integers strides{one_of(r, {1, 1, 2, 3}), one_of(r, {1, 1, 2, 3})};
    const Integers dilations{one_of(r, {1, 1, 2, 3}), one_of(r, {1, 1, 2, 3})};
    Integers padding;
    for (int i = 0; i < 4; ++i) padding.push_back(between(r, 0, 3));
    const auto extent = [&](std::size_t axis) {
      const std::int64_t span = dilations[axis] * (kernel[axis] - 1) + 1;
      return std::max<std::int64_t>(1, span - padding[axis] - padding[axis + 2]) + between(r, 0, 6);
    };
    op = conv2d(strides, padding, dilations, groups);
    x = Shape{between(r, 1, 3), groups * in, extent(0), extent(1)};
    weight = Shape{groups * out, in, kernel[0], kernel[1]};
    Graph graph;
    y = graph.value(graph.add_node(op, {graph.add_input("x", {x}), graph.add_input("weight", {weight})}, "conv").at(0))
            .type.shape;
  }

  [[nodiscard]] Op with(const std::string& type, const std::string& shape_name, const Shape& shape) const {
    Op other{type, op.attributes};
    other.attributes.set(shape_name, shape.extents());
    return other;
  }
};

TEST(Operators, Conv2d) {
  for_each_problem([](Problem& p) {
    const ConvolutionCase c(p.random);
    std::vector<ValueId> inputs{p.any_layout(p.input("x", c.x)), p.parameter("weight", c.weight)};
    if (p.random.below(2) == 1) inputs.push_back(p.parameter("bias", {c.weight[0]}));
    const ValueId y = p.node(c.op, inputs, "y");
    p.expect({{y, p.sum_of_products(y)}});
  });
}

TEST(Operators, Conv2dBackwardData) {
  for_each_problem([](Problem& p) {
    const ConvolutionCase c(p.random);
    const ValueId weight = p.parameter("weight", c.weight);
    // With and without a forward use that decides the weight's layout.
    if (p.random.below(2) == 1) p.node(c.op, {p.input("x", c.x), weight}, "y");
    const ValueId dy = p.any_layout(p.input("dy", c.y));
    const ValueId dx = p.node(c.with("conv2d_backward_data", "input_shape", c.x), {dy, weight}, "dx");
    p.expect({{dx, p.sum_of_products(dx)}});
  });
}

TEST(Operators, Conv2dBackwardWeight) {
  for_each_problem([](Problem& p) {
    const ConvolutionCase c(p.random);
    const ValueId weight = p.parameter("weight", c.weight);
    const ValueId x = p.any_layout(p.input("x", c.x));
    if (p.random.below(2) == 1) p.node(c.op, {x, weight}, "y");
    const ValueId dy = p.any_layout(p.input("dy", c.y));
    Op op = c.with("conv2d_backward_weight", "weight_shape", c.weight);
    op.attributes.set("bias", between(p.random, 0, 1));
    const auto gradients = p.graph.add_node(op, {x, dy}, "dweight");
    p.graph.set_mirrors(gradients.at(0), weight);
    std::vector<std::pair<ValueId, Expected>> expected;
    for (const ValueId gradient : gradients) expected.emplace_back(gradient, p.sum_of_products(gradient));
    p.expect(expected);
  });
}

// The backward pass scatters ones and sums of dy: what it gives shows each window's choice.
TEST(Operators, MaxPool2dAndItsBackward) {
  for_each_problem([](Problem& p) {
    Random& r = p.random;
    const Integers window{between(r, 1, 4), between(r, 1, 4)};
    const Integers strides{between(r, 1, 4), between(r, 1, 4)};
    const auto pad = [&](std::size_t axis) { return between(r, 0, window[axis] - 1); };
    const Integers padding{pad(0), pad(1), pad(0), pad(1)};
    const Shape shape{between(r, 1, 3), one_of(r, {1, 3, 10, 16, 33}), window[0] + between(r, 0, 9),
                      window[1] + between(r, 0, 9)};
    const ValueId x = p.input("x", shape, -2, -1);
    // Few different numbers, so that maxima are often equal; all negative, so that padding would win as zero.
    for (double& v : p.values[x]) v = std::round(v * 4) / 4;
    const Op op = max_pool2d(window, strides, padding);
    const auto pooled = p.graph.add_node(op, {p.any_layout(x)}, "pool");
    Op backward{"max_pool2d_backward", op.attributes};
    backward.attributes.set("input_shape", shape.extents());
    const ValueId dy = p.any_layout(p.input("dy", p.graph.value(pooled.at(0)).type.shape));
    const ValueId dx = p.node(backward, {dy, pooled.at(1)}, "dx");
    const double overlapping = static_cast<double>(window[0] * window[1]);
    p.expect({{pooled.at(0), p.rounded(pooled.at(0), 0)}, {dx, p.rounded(dx, overlapping, overlapping)}});
  });
}

TEST(Operators, DenseAndItsBackward) {
  for_each_problem([](Problem& p) {
    const Integers extents{1, 2, 5, 10, 16, 17, 63, 64, 100};
    const std::int64_t in = one_of(p.random, extents);
    const std::int64_t out = one_of(p.random, extents);
    const std::int64_t bias = between(p.random, 0, 1);
    Shape rows{one_of(p.random, extents), in};
    if (p.random.below(3) == 0) rows = {between(p.random, 1, 4), between(p.random, 1, 9), in};
    const ValueId x = p.input("x", rows);
    const ValueId weight = p.parameter("weight", {out, in});
    std::vector<ValueId> inputs{x, weight};
    if (bias == 1) inputs.push_back(p.parameter("bias", {out}));
    const ValueId dy = p.input("dy", rows.with_last(out));
    std::vector<ValueId> results;
    if (p.random.below(4) != 0) results.push_back(p.node({"dense", {}}, inputs, "y"));
    results.push_back(p.node({"dense_backward_data", {}}, {dy, weight}, "dx"));
    for (const ValueId gradient : p.graph.add_node({"dense_backward_weight", {{"bias", bias}}}, {x, dy}, "dweight")) {
      results.push_back(gradient);
    }
    p.graph.set_mirrors(results.at(results.size() - static_cast<std::size_t>(1 + bias)), weight);
    std::vector<std::pair<ValueId, Expected>> expected;
    for (const ValueId result : results) expected.emplace_back(result, p.sum_of_products(result));
    p.expect(expected);
  });
}

TEST(Operators, Activations) {
  struct Case {
    const char* type;
    double roundings;
  };
  for (const auto& [type, roundings] : {Case{"relu", 0}, Case{"sigmoid", 6}, Case{"tanh", 6}}) {
    SCOPED_TRACE(type);
    for_each_problem([&](Problem& p) {
      const double range = p.random.below(3) == 0 ? 60 : 3;
      const ValueId x = p.any_layout(p.input("x", random_shape(p.random), -range, range));
      const ValueId y = p.node({type, {}}, {x}, "y");
      p.expect({{y, p.rounded(y, roundings)}});
    });
  }
}

TEST(Operators, ActivationsBackward) {
  for (const char* type : {"relu_backward", "sigmoid_backward", "tanh_backward"}) {
    SCOPED_TRACE(type);
    for_each_problem([&](Problem& p) {
      const Shape shape = random_shape(p.random);
      const ValueId y = p.any_layout(p.input("y", shape, -1, 1));
      const ValueId dx = p.node({type, {}}, {y, p.any_layout(p.input("dy", shape))}, "dx");
      p.expect({{dx, p.rounded(dx, type[0] == 'r' ? 0 : 4, 2)}});
    });
  }
}

TEST(Operators, AddReshapeAndFill) {
  for_each_problem([](Problem& p) {
    const Shape shape = random_shape(p.random, 4);
    const ValueId a = p.any_layout(p.input("a", shape));
    const ValueId sum = p.node({"add", {}}, {a, p.any_layout(p.input("b", shape))}, "sum");
    const ValueId flat = p.node(reshape({shape[0], shape[1] * shape[2] * shape[3]}), {sum}, "flat");
    const Op constant{"fill", {{"shape", shape.extents()}, {"value", 0.25}}};
    const ValueId filled = p.node(constant, {}, "filled");
    const ValueId total = p.node({"add", {}}, {sum, filled}, "total");
    p.expect({{sum, p.rounded(sum, 1)},
              {flat, p.rounded(flat, 1)},
              {filled, p.rounded(filled, 0)},
              {total, p.rounded(total, 1, 4)}});
  });
}

Integers random_axes(Random& random, std::size_t rank) {
  Integers axes;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    if (random.below(2) == 1) axes.push_back(static_cast<std::int64_t>(axis));
  }
  return axes;
}

TEST(Operators, Reductions) {
  for (const char* type : {"reduce_sum", "reduce_mean"}) {
    SCOPED_TRACE(type);
    for_each_problem([&](Problem& p) {
      const ValueId x = p.any_layout(p.input("x", random_shape(p.random)));
      const Integers axes = random_axes(p.random, p.graph.value(x).type.shape.rank());
      const ValueId y = p.node({type, {{"axes", axes}}}, {x}, "y");
      // Summed in double: one rounding at the end, and what is left of many in double.
      p.expect({{y, p.rounded(y, 1.001, 1e-6)}});
    });
  }
}

TEST(Operators, Broadcast) {
  for_each_problem([](Problem& p) {
    const Shape shape = random_shape(p.random);
    const Integers axes = random_axes(p.random, shape.rank());
    Integers kept;
    for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
      if (std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(axis)) == axes.end()) {
        kept.push_back(shape[axis]);
      }
    }
    const Op op{"broadcast", {{"axes", axes}, {"shape", shape.extents()}, {"scale", p.random.uniform(-2, 2)}}};
    const ValueId y = p.node(op, {p.input("x", Shape(kept))}, "y");
    p.expect({{y, p.rounded(y, 3)}});
  });
}

TEST(Operators, SoftmaxCrossEntropyItsBackwardAndCounts) {
  for_each_problem([](Problem& p) {
    Shape shape{one_of(p.random, {1, 2, 7, 64}), one_of(p.random, {1, 2, 10, 33, 100})};
    if (p.random.below(3) == 0) shape = {3, shape[0], shape[1]};
    const auto range = static_cast<double>(one_of(p.random, {1, 10, 200}));
    const ValueId logits = p.input("logits", shape, -range, range);
    const ValueId labels = p.labels(shape);
    const double scale = static_cast<double>(static_cast<float>(p.random.uniform(0.1, 2)));
    const auto loss = p.graph.add_node(cross_entropy(scale), {logits, labels}, "loss");
    Op backward = cross_entropy(scale);
    backward.type = "softmax_cross_entropy_backward";
    const ValueId dloss = p.input("dloss", Shape{});
    const ValueId dlogits = p.node(backward, {loss.at(1), labels, dloss}, "dlogits");
    const ValueId count = p.node({"count_correct", {}}, {logits, labels}, "count");
    // The difference to the largest logit is rounded once, which exp makes a relative error of its size.
    const double roundings = 2 * range + 8;
    const double smallest = std::numeric_limits<float>::min() / kUnitRoundoff;
    const auto rows = static_cast<double>(shape.rows());
    p.expect({{loss.at(0), p.rounded(loss.at(0), 1, (8 + 2 * range) * rows * scale)},
              {loss.at(1), p.rounded(loss.at(1), roundings, smallest)},
              {dlogits, p.rounded(dlogits, roundings + 2, 2)},
              {count, p.rounded(count, 0)}});
  });
}

// Parameter, gradient and states in one layout, and the update.
void expect_update(Problem& p, const Op& op, const std::vector<std::string>& states, double roundings) {
  const ConvolutionCase c(p.random);
  const ValueId weight = p.parameter("weight", c.weight);
  if (p.random.below(2) == 1) p.node(c.op, {p.input("x", c.x), weight}, "y");
  const ValueId gradient = p.node({"add", {}}, {p.input("g", c.weight), p.input("zero", c.weight, 0, 0)}, "gradient");
  if (p.random.below(2) == 1) p.graph.set_mirrors(gradient, weight);
  std::vector<ValueId> inputs{weight, gradient};
  for (const std::string& name : states) {
    inputs.push_back(p.graph.add_state(name, weight));
    p.values[inputs.back()] = p.numbers(c.weight, 0.1, 1);
  }
  p.graph.add_node(op, inputs, "update", Phase::kUpdate);
  p.context = {between(p.random, 0, 100), static_cast<float>(p.random.uniform(0.001, 0.1)), 0};
  std::vector<std::pair<ValueId, Expected>> expected;
  for (const ValueId id : inputs) {
    if (id != gradient) expected.emplace_back(id, p.rounded(id, roundings, 1));
  }
  p.expect(expected);
}

// Tolerances: every intermediate result is below 2, and few roundings are made.
double decay(Random& random) {
  return random.below(2) == 1 ? 0.05 : 0;
}

TEST(Operators, SgdUpdate) {
  for_each_problem([](Problem& p) {
    const double momentum = p.random.below(3) > 0 ? 0.9 : 0;
    Op op = sgd(momentum);
    if (momentum > 0) op.attributes.set("nesterov", between(p.random, 0, 1));
    op.attributes.set("weight_decay", decay(p.random));
    op.attributes.set("rate_factor", 0.5);
    expect_update(p, op, momentum > 0 ? std::vector<std::string>{"velocity"} : std::vector<std::string>{}, 6);
  });
}

TEST(Operators, AdamUpdate) {
  for_each_problem([](Problem& p) {
    Op op = adam();
    op.attributes.set("weight_decay", decay(p.random));
    op.attributes.set("decoupled", between(p.random, 0, 1));
    expect_update(p, op, {"m", "v"}, 8);
  });
}

TEST(Operators, RmspropAndAdagradUpdates) {
  for_each_problem([](Problem& p) {
    if (p.random.below(2) == 1) {
      const Op op{"adagrad_update", {{"epsilon", 1e-10}, {"weight_decay", decay(p.random)}, {"rate_factor", 1.0}}};
      return expect_update(p, op, {"sum"}, 8);
    }
    const double momentum = p.random.below(2) == 1 ? 0.9 : 0;
    const Op op{"rmsprop_update",
                {{"alpha", 0.99},
                 {"epsilon", 1e-8},
                 {"momentum", momentum},
                 {"weight_decay", decay(p.random)},
                 {"rate_factor", 1.0}}};
    expect_update(p, op, momentum > 0 ? std::vector<std::string>{"v", "momentum"} : std::vector<std::string>{"v"}, 24);
  });
}

TEST(Operators, MovingAverageUpdate) {
  for_each_problem([](Problem& p) {
    expect_update(p, {"moving_average_update", {{"momentum", 0.1}, {"count", between(p.random, 1, 4)}}}, {}, 4);
  });
}

TEST(Operators, Clipping) {
  for_each_problem([](Problem& p) {
    const ValueId x = p.any_layout(p.input("x", random_shape(p.random)));
    const ValueId clipped = p.node({"clip_by_value", {{"limit", 0.5}}}, {x}, "clipped");
    const ValueId square = p.node({"sum_of_squares", {}}, {x}, "square");
    const ValueId scaled = p.node({"clip_by_norm", {{"limit", 1.5}}}, {x, square}, "scaled");
    p.expect({{clipped, p.rounded(clipped, 0)}, {square, p.rounded(square, 1.001)}, {scaled, p.rounded(scaled, 4)}});
  });
}

}  // namespace
}  // namespace skua::test
