// The operators of recurrent nets, normalisation, losses and transformers on random shapes against the reference.
#include <numeric>

#include "engine/operators/problem.h"

namespace skua::test {
namespace {

TEST(Operators, ActivationsWithParameters) {
  const std::pair<Op, double> cases[] = {
      {{"leaky_relu", {{"alpha", 0.2}}}, 2}, {{"elu", {{"alpha", 1.5}}}, 4}, {{"softplus", {}}, 6}, {{"gelu", {}}, 0}};
  for (const auto& [op, roundings] : cases) {
    SCOPED_TRACE(op.type);
    for_each_problem([&, &op = op, roundings = roundings](Problem& p) {
      const Shape shape = random_shape(p.random);
      const double range = p.random.below(3) == 0 ? 40 : 3;
      const ValueId x = p.any_layout(p.input("x", shape, -range, range));
      const ValueId y = p.node(op, {x}, "y");
      const ValueId dy = p.any_layout(p.input("dy", shape));
      const bool by_input = op.type == "gelu";
      const ValueId dx = p.node({op.type + "_backward", op.attributes}, {by_input ? x : y, dy}, "dx");
      // gelu: erfc of a rounded argument near -|x| / sqrt 2, whose relative error grows with x^2.
      const Expected expected = by_input ? p.rounded(y, 8, 4) : p.rounded(y, roundings);
      p.expect({{y, expected}, {dx, p.rounded(dx, by_input ? 30 : 8, 2)}});
    });
  }
}

TEST(Operators, SoftmaxAndItsBackward) {
  for_each_problem([](Problem& p) {
    Integers extents = random_shape(p.random, p.random.below(3)).extents();
    extents.push_back(one_of(p.random, {1, 2, 10, 33, 100}));
    const Shape shape{Shape(extents)};
    const auto range = static_cast<double>(one_of(p.random, {1, 10, 50}));
    const ValueId x = p.any_layout(p.input("x", shape, -range, range));
    const ValueId y = p.node({"softmax", {}}, {x}, "y");
    const ValueId dx = p.node({"softmax_backward", {}}, {y, p.input("dy", shape)}, "dx");
    const double smallest = std::numeric_limits<float>::min() / kUnitRoundoff;
    p.expect({{y, p.rounded(y, 2 * range + 8, smallest)}, {dx, p.rounded(dx, 4 * range + 16, 1)}});
  });
}

TEST(Operators, MultiplyBiasAddAndCausalMask) {
  for_each_problem([](Problem& p) {
    const Shape shape = random_shape(p.random, 2 + p.random.below(3));
    const ValueId x = p.any_layout(p.input("x", shape));
    const ValueId product = p.node({"multiply", {}}, {x, p.any_layout(p.input("b", shape))}, "product");
    const ValueId sum = p.node({"bias_add", {}}, {x, p.input("bias", {shape[1]})}, "sum");
    const std::int64_t steps = between(p.random, 1, 9);
    const ValueId masked =
        p.node({"causal_mask", {}}, {p.input("scores", {between(p.random, 1, 3), steps, steps})}, "masked");
    p.expect({{product, p.rounded(product, 1)}, {sum, p.rounded(sum, 1)}, {masked, p.rounded(masked, 0)}});
  });
}

TEST(Operators, SplitConcatenateAndTranspose) {
  for_each_problem([](Problem& p) {
    Random& r = p.random;
    const std::size_t rank = 1 + r.below(4);
    const auto axis = r.below(rank);
    const Integers extents = random_shape(r, rank).extents();
    std::vector<ValueId> inputs;
    Integers sizes;
    for (int i = 0; i < 3; ++i) {
      Integers part = extents;
      sizes.push_back(part[axis] = between(r, 1, 20));
      inputs.push_back(p.any_layout(p.input(fmt::format("x{}", i), Shape(part))));
    }
    const auto at = static_cast<std::int64_t>(axis);
    const ValueId whole = p.node({"concatenate", {{"axis", at}}}, inputs, "whole");
    std::swap(sizes[0], sizes[2]);
    const auto parts = p.graph.add_node({"split", {{"axis", at}, {"sizes", sizes}}}, {whole}, "parts");
    Integers permutation(rank);
    std::iota(permutation.begin(), permutation.end(), 0);
    for (std::size_t i = rank; i > 1; --i) std::swap(permutation[i - 1], permutation[r.below(i)]);
    const ValueId turned = p.node({"transpose", {{"permutation", permutation}}}, {whole}, "turned");
    std::vector<std::pair<ValueId, Expected>> expected{{whole, p.rounded(whole, 0)}, {turned, p.rounded(turned, 0)}};
    for (const ValueId part : parts) expected.emplace_back(part, p.rounded(part, 0));
    p.expect(expected);
  });
}

TEST(Operators, MatMul) {
  for_each_problem([](Problem& p) {
    Random& r = p.random;
    const Integers extents{1, 2, 5, 16, 17, 64};
    const std::int64_t batch = between(r, 1, 5);
    const std::int64_t rows = one_of(r, extents);
    const std::int64_t inner = one_of(r, extents);
    const std::int64_t columns = one_of(r, extents);
    const std::int64_t ta = between(r, 0, 1);
    const std::int64_t tb = between(r, 0, 1);
    const ValueId a = p.input("a", ta == 1 ? Shape{batch, inner, rows} : Shape{batch, rows, inner});
    const ValueId b = p.input("b", tb == 1 ? Shape{batch, columns, inner} : Shape{batch, inner, columns});
    const ValueId y = p.node({"matmul", {{"transpose_a", ta}, {"transpose_b", tb}}}, {a, b}, "y");
    p.expect({{y, p.sum_of_products(y)}});
  });
}

TEST(Operators, EmbeddingItsBackwardAndMask) {
  for_each_problem([](Problem& p) {
    Random& r = p.random;
    const std::int64_t rows = one_of(r, {1, 3, 20});
    const std::int64_t columns = one_of(r, {1, 5, 64, 130});
    const Shape shape{between(r, 1, 7), one_of(r, {1, 4, 9, 60})};
    const ValueId ids = p.graph.add_input("ids", {shape, DType::kInt32});
    for (std::int64_t i = 0; i < shape.elements(); ++i) {
      p.values[ids].push_back(static_cast<double>(between(r, 0, rows - 1)));
    }
    const ValueId y = p.node({"embedding", {}}, {p.parameter("weight", {rows, columns}), ids}, "y");
    const ValueId dy = p.input("dy", {shape[0], shape[1], columns});
    const ValueId dweight = p.node({"embedding_backward", {{"rows", rows}}}, {ids, dy}, "dweight");
    const ValueId mask = p.node({"not_equal", {{"value", std::int64_t{0}}}}, {ids}, "mask");
    const ValueId flat = p.node(reshape({shape.elements()}), {ids}, "flat");
    p.expect({{y, p.rounded(y, 0)},
              {dweight, p.sum_of_products(dweight)},
              {mask, p.rounded(mask, 0)},
              {flat, p.rounded(flat, 0)}});
  });
}

TEST(Operators, EmbeddingDenseAndItsBackward) {
  for_each_problem([](Problem& p) {
    Random& r = p.random;
    const std::int64_t rows = one_of(r, {1, 3, 20, 900});
    const std::int64_t width = one_of(r, {1, 5, 64});
    const std::int64_t units = one_of(r, {1, 7, 66});
    const std::int64_t bias = between(r, 0, 1);
    const Shape shape{between(r, 1, 7), one_of(r, {1, 9, 100})};
    const ValueId ids = p.graph.add_input("ids", {shape, DType::kInt32});
    for (std::int64_t i = 0; i < shape.elements(); ++i) {
      p.values[ids].push_back(static_cast<double>(between(r, 0, rows - 1)));
    }
    const ValueId table = p.parameter("table", {rows, width});
    const ValueId weight = p.parameter("weight", {units, width});
    std::vector<ValueId> inputs{table, ids, weight};
    if (bias == 1) inputs.push_back(p.parameter("bias", {units}));
    const ValueId y = p.node({"embedding_dense", {}}, inputs, "y");
    const ValueId dy = p.input("dy", {shape[0], shape[1], units});
    const Op backward{"embedding_dense_backward", {{"bias", bias}}};
    std::vector<std::pair<ValueId, Expected>> expected{{y, p.sum_of_products(y)}};
    for (const ValueId gradient : p.graph.add_node(backward, {table, ids, weight, dy}, "gradients")) {
      expected.emplace_back(gradient, p.sum_of_products(gradient));
    }
    p.expect(expected);
  });
}

TEST(Operators, IdsOutsideTheVocabularyAreErrors) {
  Problem p(0);
  const ValueId ids = p.graph.add_input("ids", {{2}, DType::kInt32});
  p.values[ids] = {0, 3};
  const ValueId weight = p.parameter("weight", {3, 2});
  const ValueId y = p.node({"embedding", {}}, {weight, ids}, "y");
  const auto device = make_test_device();
  Runner runner(*device, p.graph);
  for (const ValueId id : {ids, weight}) runner.set(id, reference::to_tensor(p.values[id], p.graph.value(id).type));
  EXPECT_EQ(message_of([&] { runner.run(); }), "[embedding y] expected ids in [0,3), got 3 at position 1");
  EXPECT_TRUE(y.valid());
}

TEST(Operators, AveragePool2dAndItsBackward) {
  for_each_problem([](Problem& p) {
    Random& r = p.random;
    const Integers window{between(r, 1, 4), between(r, 1, 4)};
    const Integers strides{between(r, 1, 4), between(r, 1, 4)};
    const auto pad = [&](std::size_t axis) { return between(r, 0, window[axis] - 1); };
    const Integers padding{pad(0), pad(1), pad(0), pad(1)};
    const Shape shape{between(r, 1, 3), one_of(r, {1, 3, 16}), window[0] + between(r, 0, 9),
                      window[1] + between(r, 0, 9)};
    Op op = max_pool2d(window, strides, padding);
    op.type = "average_pool2d";
    const ValueId y = p.node(op, {p.any_layout(p.input("x", shape))}, "y");
    op.type = "average_pool2d_backward";
    op.attributes.set("input_shape", shape.extents());
    const ValueId dx = p.node(op, {p.any_layout(p.input("dy", p.graph.value(y).type.shape))}, "dx");
    const double overlapping = static_cast<double>(window[0] * window[1]);
    p.expect({{y, p.rounded(y, 1.001)}, {dx, p.rounded(dx, overlapping + 1, 1)}});
  });
}

TEST(Operators, Normalization) {
  for (const std::string type : {"batch_norm", "layer_norm"}) {
    SCOPED_TRACE(type);
    for_each_problem([&](Problem& p) {
      Random& r = p.random;
      const Shape shape = r.below(2) == 1 ? Shape{between(r, 1, 5), one_of(r, {1, 3, 16, 33}), 5, 4}
                                          : Shape{between(r, 2, 40), one_of(r, {1, 3, 16, 33})};
      const bool batch = type == "batch_norm";
      const Shape weights{batch ? shape[1] : shape[shape.rank() - 1]};
      const ValueId x = p.any_layout(p.input("x", shape, 2, 5));
      const ValueId weight = p.input("weight", weights, 0.5, 2);
      const ValueId bias = p.input("bias", weights);
      const Op op{type, {{"epsilon", 0.1}}};
      const auto outputs = p.graph.add_node(op, {x, weight, bias}, "norm");
      const ValueId dy = p.any_layout(p.input("dy", shape));
      const auto gradients =
          p.graph.add_node({type + "_backward", {}}, {x, weight, outputs[1], outputs[2], dy}, "backward");
      std::vector<std::pair<ValueId, Expected>> expected{{outputs[0], p.rounded(outputs[0], 60, 2)}};
      for (std::size_t i = 1; i < outputs.size(); ++i) expected.emplace_back(outputs[i], p.rounded(outputs[i], 1.01));
      // The saved statistics are rounded, which is multiplied by the sizes of sums.
      const double terms = static_cast<double>(shape.elements());
      for (const ValueId gradient : gradients) expected.emplace_back(gradient, p.rounded(gradient, 60, terms));
      if (batch) {
        const ValueId inference =
            p.node({"batch_norm_inference", {{"epsilon", 0.1}}},
                   {x, weight, bias, p.input("mean", weights), p.input("variance", weights, 0.1, 2)}, "inference");
        expected.emplace_back(inference, p.rounded(inference, 4, 40));
      }
      p.expect(expected);
    });
  }
}

TEST(Operators, RandomNumbersAreThoseOfTheDefinition) {
  for_each_problem([](Problem& p) {
    const Shape shape{between(p.random, 1, 5), between(p.random, 1, 30)};
    p.context = {between(p.random, 0, 1000), 0, p.random.below(std::uint64_t{1} << 60)};
    const std::int64_t stream = between(p.random, 0, 5);
    const double rate = p.random.uniform(0, 0.9);
    const ValueId y = p.node({"dropout", {{"rate", rate}, {"stream", stream}}}, {p.input("x", shape)}, "y");
    const Op normal{"random_normal", {{"shape", shape.extents()}, {"stream", stream}}};
    const ValueId noise = p.node(normal, {}, "noise");
    p.expect({{y, p.rounded(y, 2)}, {noise, p.rounded(noise, 1.001, 1e-8)}});
  });
}

TEST(Operators, DropoutKeepsItsShareAndDoesNotKnowTheMicroBatch) {
  constexpr std::int64_t kElements = 40000;
  const auto drawn = [](std::int64_t samples, int micro_batch, std::int64_t stream, std::int64_t step) {
    Graph graph;
    const ValueId x = graph.add_input("x", {{samples, kElements / 4}});
    const ValueId y = graph.add_node({"dropout", {{"rate", 0.3}, {"stream", stream}}}, {x}, "y").at(0);
    const auto device = make_test_device();
    Runner runner(*device, graph);
    runner.set(
        x, reference::to_tensor(Array(static_cast<std::size_t>(samples * kElements / 4), 1.0), graph.value(x).type));
    runner.run({step, 0, 9}, micro_batch);
    return reference::to_array(runner.get(y));
  };
  const Array whole = drawn(4, 0, 0, 0);
  const auto kept = static_cast<double>(std::count_if(whole.begin(), whole.end(), [](double v) { return v != 0; }));
  const double deviation = std::sqrt(kElements * 0.3 * 0.7);
  EXPECT_NEAR(kept, kElements * 0.7, 4 * deviation);
  Array halves = drawn(2, 0, 0, 0);
  const Array second = drawn(2, 1, 0, 0);
  halves.insert(halves.end(), second.begin(), second.end());
  EXPECT_EQ(halves, whole);
  EXPECT_NE(drawn(4, 0, 1, 0), whole);
  EXPECT_NE(drawn(4, 0, 0, 1), whole);
}

TEST(Operators, RecurrencesAndTheirBackward) {
  struct Case {
    Op op;
    std::int64_t gates;
    std::size_t states;
  };
  const Case cases[] = {{{"simple_rnn", {{"activation", std::string("tanh")}}}, 1, 1},
                        {{"simple_rnn", {{"activation", std::string("relu")}}}, 1, 1},
                        {{"lstm", {}}, 4, 2},
                        {{"gru", {}}, 3, 1}};
  for (const Case& c : cases) {
    SCOPED_TRACE(c.op.to_string());
    for_each_problem([&](Problem& p) {
      Random& r = p.random;
      const std::int64_t batch = one_of(r, {1, 3, 8});
      const std::int64_t steps = between(r, 1, 6);
      const std::int64_t units = one_of(r, {1, 5, 16, 19});
      Op op = c.op;
      op.attributes.set("reverse", between(r, 0, 1));
      const double size = 1 / std::sqrt(static_cast<double>(units));
      const ValueId weight = p.parameter("weight", {c.gates * units, units}, -size, size);
      std::vector<ValueId> inputs{p.input("gates", {batch, steps, c.gates * units}), weight,
                                  p.parameter("bias", {c.gates * units})};
      std::vector<ValueId> backward{weight};
      for (std::size_t s = 0; s < c.states; ++s) {
        inputs.push_back(p.input(fmt::format("state{}", s), {batch, units}));
        backward.push_back(inputs.back());
      }
      ValueId mask;
      if (between(r, 0, 1) == 1) {
        inputs.push_back(mask = p.graph.add_input("mask", {{batch, steps}}));
        for (std::int64_t i = 0; i < batch * steps; ++i) {
          p.values[mask].push_back(static_cast<double>(between(r, 0, 1)));
        }
      }
      const auto outputs = p.graph.add_node(op, inputs, "rnn");
      backward.push_back(outputs[0]);
      backward.insert(backward.end(), outputs.begin() + 1 + static_cast<std::ptrdiff_t>(c.states), outputs.end());
      backward.push_back(p.input("dy", {batch, steps, units}));
      for (std::size_t s = 0; s < c.states; ++s) backward.push_back(p.input(fmt::format("d{}", s), {batch, units}));
      if (mask.valid()) backward.push_back(mask);
      const auto gradients = p.graph.add_node({op.type + "_backward", op.attributes}, backward, "backward");
      // Each step makes some roundings of numbers of the order of 1 (relu: of what has grown), which the next ones
      // carry on; weight gradients sum over steps and samples.
      double largest = 1;
      const Values reference = p.reference_values();
      for (const double v : reference.at(outputs[0])) largest = std::max(largest, std::abs(v));
      const double roundings = 60 * static_cast<double>(steps);
      std::vector<std::pair<ValueId, Expected>> expected;
      for (const ValueId value : outputs) expected.emplace_back(value, p.rounded(value, roundings, largest));
      const double sum = static_cast<double>(batch * steps);
      for (const ValueId value : gradients) {
        expected.emplace_back(value, p.rounded(value, roundings, largest * largest * std::max(4.0, sum)));
      }
      p.expect(expected);
    });
  }
}

// One unit, one step, a weight of its own for each gate: the formulas by hand, in PyTorch's order of gates.
TEST(Operators, GatesAreInPytorchsOrder) {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  const double h = 0.7;
  const double c = -0.4;
  Problem p(0);
  const ValueId h0 = p.graph.add_input("h0", {{1, 1}});
  const ValueId c0 = p.graph.add_input("c0", {{1, 1}});
  p.values[h0] = {h};
  p.values[c0] = {c};
  const auto vector = [&](const std::string& name, const Shape& shape, const Array& values) {
    const ValueId id = p.graph.add_input(name, {shape});
    p.values[id] = values;
    return id;
  };
  const Array x{0.1, -0.2, 0.3, 0.5};
  const Array w{1.1, -0.6, 0.9, 0.2};
  const Array b{0.05, 0.15, -0.25, 0.35};
  const auto lstm =
      p.graph.add_node({"lstm", {{"reverse", std::int64_t{0}}}},
                       {vector("x4", {1, 1, 4}, x), vector("w4", {4, 1}, w), vector("b4", {4}, b), h0, c0}, "lstm");
  const auto gru =
      p.graph.add_node({"gru", {{"reverse", std::int64_t{0}}}},
                       {vector("x3", {1, 1, 3}, {x[0], x[1], x[2]}), vector("w3", {3, 1}, {w[0], w[1], w[2]}),
                        vector("b3", {3}, {b[0], b[1], b[2]}), h0},
                       "gru");
  const auto z = [&](std::size_t g) { return x[g] + w[g] * h + b[g]; };
  const double cell = sigmoid(z(1)) * c + sigmoid(z(0)) * std::tanh(z(2));
  const double r = sigmoid(z(0));
  const double update = sigmoid(z(1));
  const double candidate = std::tanh(x[2] + r * (w[2] * h + b[2]));
  const auto near = [](double value) { return Expected{{value}, {1e-6}}; };
  p.expect({{lstm[0], near(sigmoid(z(3)) * std::tanh(cell))},
            {lstm[2], near(cell)},
            {gru[0], near((1 - update) * candidate + update * h)}});
}

TEST(Operators, LossesTheirBackwardAndCounts) {
  const Op ops[] = {{"squared_error", {{"scale", 0.25}}},
                    {"absolute_error", {{"scale", 0.25}}},
                    {"huber", {{"scale", 0.25}, {"delta", 0.5}}},
                    {"binary_cross_entropy_with_logits", {{"scale", 0.25}}},
                    {"binary_cross_entropy", {{"scale", 0.25}}}};
  for (const Op& op : ops) {
    SCOPED_TRACE(op.type);
    for_each_problem([&](Problem& p) {
      const Shape shape = random_shape(p.random);
      const bool probabilities = op.type == "binary_cross_entropy";
      const ValueId x = p.input("x", shape, probabilities ? 0.01 : -3, probabilities ? 0.99 : 3);
      const ValueId t = p.input("t", shape, 0, 1);
      const ValueId loss = p.node(op, {x, t}, "loss");
      const ValueId dx = p.node({op.type + "_backward", op.attributes}, {x, t, p.input("dloss", Shape{})}, "dx");
      const ValueId counts = p.node({"binary_counts", {{"threshold", 0.5}}}, {x, t}, "counts");
      p.expect({{loss, p.rounded(loss, 1.001)},
                {dx, p.rounded(dx, 12, probabilities ? 25 : 2)},
                {counts, p.rounded(counts, 0)}});
    });
  }
}

TEST(Operators, CategoricalCrossEntropyItsBackwardAndTopK) {
  for_each_problem([](Problem& p) {
    const Shape shape{one_of(p.random, {1, 2, 7, 64}), one_of(p.random, {2, 10, 33})};
    const ValueId logits = p.input("logits", shape, -9, 9);
    for (double& x : p.values[logits]) x = std::round(x);  // equal ones
    const ValueId targets = p.input("targets", shape, 0, 1);
    const Op op{"categorical_cross_entropy", {{"scale", 0.5}}};
    const auto loss = p.graph.add_node(op, {logits, targets}, "loss");
    const ValueId dx =
        p.node({op.type + "_backward", op.attributes}, {loss.at(1), targets, p.input("dloss", Shape{})}, "dx");
    const std::int64_t k = between(p.random, 1, shape[1]);
    const ValueId labels = p.labels(shape);
    const ValueId count = p.node({"count_top_k", {{"k", k}}}, {logits, labels}, "count");
    const ValueId correct = p.node({"count_correct", {}}, {logits, labels}, "correct");
    p.expect({{loss.at(0), p.rounded(loss.at(0), 8)},
              {loss.at(1), p.rounded(loss.at(1), 30, 1e-6)},
              {dx, p.rounded(dx, 30, static_cast<double>(shape[1]))},
              {count, p.rounded(count, 0)},
              {correct, p.rounded(correct, 0)}});
  });
}

}  // namespace
}  // namespace skua::test
