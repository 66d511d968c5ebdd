// Operators that carry an activation: as close to the reference as without one, and the bits of the two operators.
#include "engine/operators/problem.h"
#include "skua/graph/op_registry.h"

namespace skua::test {
namespace {

// Activations by their result whose slope is at most 1.
Op random_activation(Random& random) {
  const auto list = {"relu", "sigmoid", "tanh", "leaky_relu", "elu", "softplus"};
  Op op{*(list.begin() + random.below(list.size())), {}};
  if (op.type == "leaky_relu" || op.type == "elu") op.attributes.set("alpha", 0.25);
  return op;
}

Op carrying(Op op, const Op& activation) {
  for (const auto& [name, value] : activation.attributes.values()) op.attributes.set(name, value);
  op.attributes.set("activation", activation.type);
  return op;
}

Tensor result_of(const Problem& p, ValueId value) {
  const auto device = make_test_device(p.threads);
  Runner runner(*device, p.graph);
  for (const auto& [id, array] : p.values) runner.set(id, reference::to_tensor(array, p.graph.value(id).type));
  runner.run();
  return runner.get(value);
}

// `plain` is a node of sums of products.
void expect_as_two(Problem& p, ValueId plain) {
  const Op activation = random_activation(p.random);
  const Node node = p.graph.node(p.graph.value(plain).producer);
  const ValueId two = p.node(activation, {plain}, "two");
  const ValueId one = p.node(carrying(node.op, activation), node.inputs, "one");
  Expected expected = p.rounded(one, 8, 1);
  const Array tolerance = p.sum_of_products(plain).tolerance;
  for (std::size_t i = 0; i < tolerance.size(); ++i) expected.tolerance[i] += tolerance[i];
  p.expect({{one, expected}, {two, expected}});
  const Tensor a = result_of(p, one);
  const Tensor b = result_of(p, two);
  EXPECT_EQ(std::memcmp(a.data(), b.data(), a.bytes()), 0) << activation.type;
}

TEST(CarriedActivations, OfConvolutions) {
  for_each_problem([](Problem& p) {
    Random& r = p.random;
    const std::int64_t in = one_of(r, {1, 3, 8, 10, 16});
    const std::int64_t out = one_of(r, {1, 3, 8, 10, 16, 33});
    const ValueId x = p.any_layout(p.input("x", {between(r, 1, 3), in, between(r, 3, 12), between(r, 3, 12)}));
    std::vector<ValueId> inputs{x, p.parameter("weight", {out, in, 3, 3})};
    if (r.below(2) == 1) inputs.push_back(p.parameter("bias", {out}));
    expect_as_two(p, p.node(conv2d({1, 1}, {1, 0, 0, 1}), inputs, "plain"));
  });
}

TEST(CarriedActivations, OfProducts) {
  for_each_problem([](Problem& p) {
    const Integers extents{1, 2, 5, 10, 16, 63, 100};
    const std::int64_t in = one_of(p.random, extents);
    const std::int64_t out = one_of(p.random, extents);
    std::vector<ValueId> inputs{p.input("x", {one_of(p.random, extents), in}), p.parameter("weight", {out, in})};
    if (p.random.below(2) == 1) inputs.push_back(p.parameter("bias", {out}));
    expect_as_two(p, p.node({"dense", {}}, inputs, "plain"));
  });
}

TEST(CarriedActivations, OfSumsWithBiases) {
  for_each_problem([](Problem& p) {
    const Shape shape = random_shape(p.random, 2 + p.random.below(3));
    const ValueId x = p.any_layout(p.input("x", shape));
    expect_as_two(p, p.node({"bias_add", {}}, {x, p.input("bias", {shape[1]})}, "plain"));
  });
}

// Forward and backward, where windows overlap too; few different numbers, so that maxima are often equal.
TEST(CarriedActivations, OfMaxPools) {
  for_each_problem([](Problem& p) {
    Random& r = p.random;
    const bool usual = r.below(2) == 0;
    const Integers window = usual ? Integers{2, 2} : Integers{between(r, 1, 3), between(r, 1, 3)};
    const Integers strides = usual ? Integers{2, 2} : Integers{between(r, 1, 3), between(r, 1, 3)};
    const Integers padding = usual ? Integers{0, 0, 0, between(r, 0, 1)}
                                   : Integers{between(r, 0, window[0] - 1), between(r, 0, window[1] - 1), 0, 0};
    const Shape shape{between(r, 1, 3), one_of(r, {1, 3, 10, 16, 33}), window[0] + between(r, 0, 9),
                      window[1] + between(r, 0, 9)};
    const ValueId x = p.input("x", shape, -2, 2);
    for (double& v : p.values[x]) v = std::round(v * 4) / 4;
    const Op activation = random_activation(r);
    const Op op = carrying(max_pool2d(window, strides, padding), activation);
    const auto pooled = p.graph.add_node(op, {p.any_layout(x)}, "pool");
    Op backward{"max_pool2d_backward", op.attributes};
    backward.attributes.set("input_shape", shape.extents());
    const ValueId dy = p.any_layout(p.input("dy", p.graph.value(pooled.at(0)).type.shape));
    const ValueId dx = p.node(backward, {dy, pooled.at(1), pooled.at(0)}, "dx");
    const double overlapping = static_cast<double>(window[0] * window[1]);
    p.expect({{pooled.at(0), p.rounded(pooled.at(0), 8, 1)}, {dx, p.rounded(dx, 16 * overlapping, overlapping)}});
  });
}

// What OpTraits::increasing says of float32, over numbers next to each other around random ones.
TEST(CarriedActivations, IncreasingOnesNeverFall) {
  for (const std::string& type : op_types()) {
    if (!op_definition(type).traits.increasing) continue;
    SCOPED_TRACE(type);
    for_each_problem([&](Problem& p) {
      const ValueId x = p.input("x", {1, 1000});
      float at = static_cast<float>(p.random.uniform(-1, 1) * std::exp2(between(p.random, -20, 6)));
      for (double& element : p.values[x]) element = at = std::nextafter(at, 100.0F);
      Op op{type, {}};
      if (type == "leaky_relu" || type == "elu") op.attributes.set("alpha", 0.3);
      const Tensor y = result_of(p, p.node(op, {x}, "y"));
      EXPECT_TRUE(std::is_sorted(y.floats().begin(), y.floats().end()));
    });
  }
}

}  // namespace
}  // namespace skua::test
