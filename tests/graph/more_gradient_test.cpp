// Gradients of the operators of recurrent nets, normalisation, losses and transformers.
#include <numeric>

#include "graph/gradient_check.h"

namespace skua::test {
namespace {

Integers shuffled_axes(Random& random, std::size_t rank) {
  Integers axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  for (std::size_t i = rank; i > 1; --i) std::swap(axes[i - 1], axes[random.below(i)]);
  return axes;
}

TEST(Gradients, ActivationsWithParametersAndByInput) {
  const Op ops[] = {{"leaky_relu", {{"alpha", 0.3}}}, {"elu", {{"alpha", 1.5}}}, {"softplus", {}}, {"gelu", {}}};
  for (const Op& op : ops) {
    SCOPED_TRACE(op.type);
    check([&](Problem& p) {
      p.weigh(p.graph.add_node(op, {p.parameter("x", random_shape(p.random, p.random.below(4)))}, "y").at(0));
    });
  }
}

TEST(Gradients, SoftmaxAndCausalMask) {
  check([](Problem& p) {
    const std::int64_t steps = between(p.random, 1, 5);
    ValueId x = p.parameter("x", {between(p.random, 1, 3), steps, steps});
    if (between(p.random, 0, 1) == 1) x = p.graph.add_node({"causal_mask", {}}, {x}, "masked").at(0);
    p.weigh(p.graph.add_node({"softmax", {}}, {x}, "y").at(0));
  });
}

TEST(Gradients, MultiplyAndBiasAdd) {
  check([](Problem& p) {
    const Shape shape = random_shape(p.random, 2 + p.random.below(3));
    const ValueId a = p.parameter("a", shape);
    const ValueId b = between(p.random, 0, 1) == 1 ? a : p.parameter("b", shape);
    const ValueId product = p.graph.add_node({"multiply", {}}, {a, b}, "product").at(0);
    p.weigh(p.graph.add_node({"bias_add", {}}, {product, p.parameter("bias", {shape[1]})}, "y").at(0));
  });
}

TEST(Gradients, SplitConcatenateAndTranspose) {
  check([](Problem& p) {
    Random& r = p.random;
    const std::size_t rank = 1 + r.below(4);
    const std::int64_t axis = between(r, 0, static_cast<std::int64_t>(rank) - 1);
    const auto with_extent = [&](Integers extents, std::int64_t extent) {
      extents[static_cast<std::size_t>(axis)] = extent;
      return Shape(extents);
    };
    const Integers extents = random_shape(r, rank).extents();
    std::vector<ValueId> inputs;
    Integers sizes;
    for (int i = 0; i < 3; ++i) {
      sizes.push_back(between(r, 1, 3));
      inputs.push_back(p.parameter(fmt::format("x{}", i), with_extent(extents, sizes.back())));
    }
    const ValueId whole = p.graph.add_node({"concatenate", {{"axis", axis}}}, inputs, "whole").at(0);
    std::swap(sizes[0], sizes[1]);
    const auto parts = p.graph.add_node({"split", {{"axis", axis}, {"sizes", sizes}}}, {whole}, "parts");
    // Not all parts are used.
    const Op turn{"transpose", {{"permutation", shuffled_axes(r, rank)}}};
    p.weigh(p.graph.add_node(turn, {parts[r.below(3)]}, "turned").at(0));
  });
}

TEST(Gradients, MatMul) {
  check([](Problem& p) {
    Random& r = p.random;
    const std::int64_t batch = between(r, 1, 3);
    const std::int64_t rows = between(r, 1, 4);
    const std::int64_t inner = between(r, 1, 4);
    const std::int64_t columns = between(r, 1, 4);
    const bool ta = between(r, 0, 1) == 1;
    const bool tb = between(r, 0, 1) == 1;
    const ValueId a = p.parameter("a", ta ? Shape{batch, inner, rows} : Shape{batch, rows, inner});
    const ValueId b = p.parameter("b", tb ? Shape{batch, columns, inner} : Shape{batch, inner, columns});
    const Op op{"matmul", {{"transpose_a", std::int64_t{ta}}, {"transpose_b", std::int64_t{tb}}}};
    p.weigh(p.graph.add_node(op, {a, b}, "y").at(0));
  });
}

TEST(Gradients, Embedding) {
  check([](Problem& p) {
    const std::int64_t rows = between(p.random, 1, 5);
    const Shape shape = random_shape(p.random, 1 + p.random.below(2));
    const ValueId ids = p.graph.add_input("ids", {shape, DType::kInt32});
    for (std::int64_t i = 0; i < shape.elements(); ++i) {
      p.values[ids].push_back(static_cast<double>(between(p.random, 0, rows - 1)));
    }
    const ValueId weight = p.parameter("weight", {rows, between(p.random, 1, 4)});
    p.weigh(p.graph.add_node({"embedding", {}}, {weight, ids}, "y").at(0));
  });
}

TEST(Gradients, EmbeddingDense) {
  check([](Problem& p) {
    const std::int64_t rows = between(p.random, 1, 5);
    const std::int64_t width = between(p.random, 1, 4);
    const std::int64_t units = between(p.random, 1, 4);
    const Shape shape = random_shape(p.random, 1 + p.random.below(2));
    const ValueId ids = p.graph.add_input("ids", {shape, DType::kInt32});
    for (std::int64_t i = 0; i < shape.elements(); ++i) {
      p.values[ids].push_back(static_cast<double>(between(p.random, 0, rows - 1)));
    }
    std::vector<ValueId> inputs{p.parameter("table", {rows, width}), ids, p.parameter("weight", {units, width})};
    if (p.random.below(2) == 0) inputs.push_back(p.parameter("bias", {units}));
    p.weigh(p.graph.add_node({"embedding_dense", {}}, inputs, "y").at(0));
  });
}

TEST(Gradients, Dropout) {
  check([](Problem& p) {
    const ValueId x = p.parameter("x", {between(p.random, 1, 4), between(p.random, 1, 9)});
    p.weigh(p.graph.add_node({"dropout", {{"rate", 0.4}, {"stream", std::int64_t{3}}}}, {x}, "y").at(0));
  });
}

TEST(Gradients, TransposedConvolution) {
  check([](Problem& p) {
    Random& r = p.random;
    const std::int64_t groups = between(r, 1, 2);
    const Shape weight{groups * between(r, 1, 2), between(r, 1, 2), between(r, 1, 3), between(r, 1, 3)};
    const Integers strides{between(r, 1, 3), between(r, 1, 2)};
    const Integers padding{between(r, 0, 1), between(r, 0, 1), between(r, 0, 2), between(r, 0, 1)};
    const Integers dilations{between(r, 1, 2), 1};
    const Integers image{between(r, 1, 2), groups * weight[1], between(r, 6, 8), between(r, 5, 8)};
    const auto extent = [&](std::size_t axis) {
      const std::int64_t span = dilations[axis] * (weight[axis + 2] - 1) + 1;
      return (image[axis + 2] + padding[axis] + padding[axis + 2] - span) / strides[axis] + 1;
    };
    Op op = conv2d(strides, padding, dilations, groups);
    op.type = "conv2d_backward_data";
    op.attributes.set("input_shape", image);
    const ValueId x = p.parameter("x", {image[0], weight[0], extent(0), extent(1)});
    p.weigh(p.graph.add_node(op, {x, p.parameter("weight", weight)}, "y").at(0));
  });
}

TEST(Gradients, AveragePool2d) {
  check([](Problem& p) {
    Random& r = p.random;
    const Integers window{between(r, 1, 4), between(r, 1, 4)};
    const Integers strides{between(r, 1, 3), between(r, 1, 3)};
    const Integers padding{between(r, 0, window[0] - 1), between(r, 0, window[1] - 1), between(r, 0, window[0] - 1),
                           between(r, 0, window[1] - 1)};
    Op op = max_pool2d(window, strides, padding);
    op.type = "average_pool2d";
    const Shape x{between(r, 1, 2), between(r, 1, 3), window[0] + between(r, 0, 4), window[1] + between(r, 0, 4)};
    p.weigh(p.graph.add_node(op, {p.parameter("x", x)}, "pool").at(0));
  });
}

TEST(Gradients, Normalization) {
  for (const std::string type : {"batch_norm", "layer_norm"}) {
    SCOPED_TRACE(type);
    check([&](Problem& p) {
      Random& r = p.random;
      const bool image = between(r, 0, 1) == 1;
      Shape shape{between(r, 2, 4), between(r, 2, 4)};
      if (image) shape = Shape{between(r, 2, 3), between(r, 1, 3), between(r, 1, 3), between(r, 2, 3)};
      const Shape weights{type == "batch_norm" ? shape[1] : shape[shape.rank() - 1]};
      const std::vector<ValueId> inputs{p.parameter("x", shape), p.parameter("weight", weights),
                                        p.parameter("bias", weights)};
      p.weigh(p.graph.add_node({type, {{"epsilon", 0.1}}}, inputs, "y").at(0));
    });
  }
}

// y, and the last states, each in the loss or not.
TEST(Gradients, Recurrences) {
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
    check([&](Problem& p) {
      Random& r = p.random;
      const std::int64_t batch = between(r, 1, 3);
      const std::int64_t steps = between(r, 1, 4);
      const std::int64_t units = between(r, 1, 3);
      Op op = c.op;
      op.attributes.set("reverse", between(r, 0, 1));
      std::vector<ValueId> inputs{p.parameter("gates", {batch, steps, c.gates * units}),
                                  p.parameter("weight", {c.gates * units, units}),
                                  p.parameter("bias", {c.gates * units})};
      for (std::size_t s = 0; s < c.states; ++s) inputs.push_back(p.parameter(fmt::format("s{}", s), {batch, units}));
      if (between(r, 0, 1) == 1) {
        inputs.push_back(p.graph.add_input("mask", {{batch, steps}}));
        for (std::int64_t i = 0; i < batch * steps; ++i) {
          p.values[inputs.back()].push_back(static_cast<double>(between(r, 0, 1)));
        }
      }
      const auto outputs = p.graph.add_node(op, inputs, "rnn");
      const std::uint64_t used = 1 + r.below((std::uint64_t{1} << (1 + c.states)) - 1);
      std::vector<ValueId> rows;
      for (std::size_t o = 0; o < 1 + c.states; ++o) {
        if ((used >> o & 1) == 0) continue;
        const std::int64_t count = p.graph.value(outputs[o]).type.shape.elements();
        rows.push_back(p.graph.add_node(reshape({count}), {outputs[o]}, fmt::format("row{}", o)).at(0));
      }
      p.weigh(p.graph.add_node({"concatenate", {{"axis", std::int64_t{0}}}}, rows, "all").at(0));
    });
  }
}

TEST(Gradients, Losses) {
  const Op ops[] = {{"squared_error", {{"scale", 0.3}}},         {"absolute_error", {{"scale", 0.3}}},
                    {"huber", {{"scale", 0.3}, {"delta", 0.7}}}, {"binary_cross_entropy_with_logits", {{"scale", 0.3}}},
                    {"binary_cross_entropy", {{"scale", 0.3}}},  {"categorical_cross_entropy", {{"scale", 0.3}}}};
  for (const Op& op : ops) {
    SCOPED_TRACE(op.type);
    check([&](Problem& p) {
      const Shape shape{between(p.random, 1, 4), between(p.random, 1, 4)};
      const ValueId x = p.parameter("x", shape);
      const ValueId targets = p.graph.add_input("targets", {shape});
      for (std::int64_t i = 0; i < shape.elements(); ++i) p.values[targets].push_back(p.random.uniform());
      ValueId prediction = x;
      if (op.type == "binary_cross_entropy") prediction = p.graph.add_node({"sigmoid", {}}, {x}, "p").at(0);
      p.loss = p.graph.add_node(op, {prediction, targets}, "loss").at(0);
    });
  }
}

}  // namespace
}  // namespace skua::test
