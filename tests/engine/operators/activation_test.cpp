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

}  // namespace
}  // namespace skua::test
