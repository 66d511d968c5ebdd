// Steps in one operator: the bits of the operators one after another, in every layout, and close to the reference.
#include "engine/operators/problem.h"
#include "skua/graph/element_steps.h"

namespace skua::test {
namespace {

Op random_step(Random& random) {
  const auto list = {"relu",          "sigmoid",           "tanh",          "leaky_relu",
                     "elu",           "softplus",          "gelu",          "add",
                     "multiply",      "dropout",           "relu_backward", "sigmoid_backward",
                     "tanh_backward", "softplus_backward", "elu_backward",  "leaky_relu_backward",
                     "gelu_backward"};
  Op op{*(list.begin() + random.below(list.size())), {}};
  if (op.type.starts_with("leaky_relu") || op.type.starts_with("elu")) op.attributes.set("alpha", 0.3);
  if (op.type == "dropout") {
    op.attributes.set("rate", random.uniform(0, 0.9));
    op.attributes.set("stream", between(random, 0, 5));
  }
  return op;
}

bool is_binary(const Op& op) {
  return op.type == "add" || op.type == "multiply" || op.type.ends_with("_backward");
}

// Each step reads the one before, and now and then another.
std::vector<ElementStep> random_steps(Random& random, std::int64_t inputs) {
  std::vector<ElementStep> steps;
  const std::int64_t count = between(random, 1, 6);
  for (std::int64_t i = 0; i < count; ++i) {
    ElementStep step{random_step(random), {i == 0 ? between(random, 0, inputs - 1) : inputs + i - 1}};
    if (is_binary(step.op)) step.from.push_back(between(random, 0, inputs + i - 1));
    if (random.below(2) == 0) std::reverse(step.from.begin(), step.from.end());
    steps.push_back(std::move(step));
  }
  return steps;
}

struct Chain {
  ValueId one;   // all steps in one operator
  ValueId last;  // and one operator each
};

Chain add_chain(Problem& p, const std::vector<ElementStep>& steps, std::vector<ValueId> values) {
  Chain chain;
  chain.one = p.graph.add_node(element_wise(steps), values, "one").at(0);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    std::vector<ValueId> operands;
    for (const std::int64_t from : steps[i].from) operands.push_back(values.at(static_cast<std::size_t>(from)));
    values.push_back(p.node(steps[i].op, operands, fmt::format("step{}", i)));
  }
  chain.last = values.back();
  return chain;
}

// The bits of both, and zeros in their padding.
void expect_same_bits(const Problem& p, const Chain& chain) {
  p.expect({});
  const auto device = make_test_device(p.threads);
  Runner runner(*device, p.graph);
  for (const auto& [id, array] : p.values) runner.set(id, reference::to_tensor(array, p.graph.value(id).type));
  runner.run(p.context, 3);
  const Tensor one = runner.get(chain.one);
  const Tensor last = runner.get(chain.last);
  EXPECT_EQ(std::memcmp(one.data(), last.data(), one.bytes()), 0);
}

TEST(ElementWise, HasTheBitsOfItsSteps) {
  for_each_problem([](Problem& p) {
    Random& r = p.random;
    p.context = {between(r, 0, 1000), 0, r.below(std::uint64_t{1} << 60)};
    Shape shape = random_shape(r, 1 + r.below(4));
    if (r.below(3) == 0) {
      shape = {between(r, 1, 3), one_of(r, {1, 8, 12, 16, 24, 32, 40}), between(r, 1, 14), between(r, 1, 14)};
    }
    const std::int64_t inputs = between(r, 1, 3);
    std::vector<ValueId> values;
    for (std::int64_t i = 0; i < inputs; ++i) values.push_back(p.any_layout(p.input(fmt::format("x{}", i), shape)));
    expect_same_bits(p, add_chain(p, random_steps(r, inputs), values));
  });
}

// More elements than a block, in one thread and in two; sizes that end within one.
TEST(ElementWise, OfLargeArrays) {
  for_each_problem([](Problem& p) {
    if (p.random.below(4) != 0) return;
    const Shape shapes[] = {{40001}, {3, 9001}, {2, 20, 31, 37}, {2, 16, 40, 40}, {70, 130}};
    std::vector<ValueId> values;
    const Shape& shape = shapes[p.random.below(std::size(shapes))];
    for (const char* name : {"a", "b"}) values.push_back(p.any_layout(p.input(name, shape)));
    expect_same_bits(p, add_chain(p, random_steps(p.random, 2), values));
  });
}

// Dropout alone, whose draws are by an element's place in the plain sample, in whichever layout it comes.
TEST(ElementWise, DropoutOfImages) {
  for_each_problem([](Problem& p) {
    Random& r = p.random;
    p.context = {between(r, 0, 1000), 0, r.below(std::uint64_t{1} << 60)};
    const Shape shape{between(r, 1, 3), one_of(r, {1, 8, 12, 16, 24, 40}), between(r, 1, 40), between(r, 1, 12)};
    const Op dropout{"dropout", {{"rate", r.uniform(0, 0.9)}, {"stream", between(r, 0, 5)}}};
    const ValueId y = p.node(dropout, {p.any_layout(p.input("x", shape))}, "y");
    p.expect({{y, p.rounded(y, 2)}});
  });
}

TEST(ElementWise, IsWhatTheReferenceSays) {
  for_each_problem([](Problem& p) {
    const Shape shape = random_shape(p.random, 2);
    const std::vector<ValueId> inputs{p.input("y", shape), p.input("dy", shape)};
    const Op leaky{"leaky_relu_backward", {{"alpha", 0.25}}};
    const auto dropout = [](std::int64_t stream) { return Op{"dropout", {{"rate", 0.25}, {"stream", stream}}}; };
    const Op op = element_wise(
        {{dropout(2), {1}}, {leaky, {0, 2}}, {{"multiply", {}}, {3, 0}}, {dropout(5), {3}}, {{"add", {}}, {5, 4}}});
    const ValueId y = p.graph.add_node(op, inputs, "chain").at(0);
    p.expect({{y, p.rounded(y, 8, 4)}});
  });
}

}  // namespace
}  // namespace skua::test
