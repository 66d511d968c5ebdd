// Rewritten graphs against the graphs before: the same losses and gradients, by the reference in double.
#include "skua/graph/passes.h"

#include <set>

#include "graph/gradient_check.h"
#include "skua/graph/element_steps.h"
#include "skua/graph/op_registry.h"

namespace skua::test {
namespace {

using Names = std::vector<std::string>;

// Each pass alone, and all together.
std::vector<Names> selections() {
  std::vector<Names> selections{pass_names()};
  for (const std::string& name : pass_names()) selections.push_back({name});
  return selections;
}

struct ForwardProblem : Problem {
  using Problem::Problem;

  ValueId node(const std::string& type, Attributes attributes, std::vector<ValueId> inputs) {
    return graph.add_node({type, std::move(attributes)}, std::move(inputs), fmt::format("n{}", graph.node_count()))
        .at(0);
  }
  ValueId activation(ValueId x) {
    const auto list = {"relu", "sigmoid", "tanh", "leaky_relu", "elu", "softplus", "gelu"};
    const std::string type = *(list.begin() + random.below(list.size()));
    Attributes attributes;
    if (type == "leaky_relu" || type == "elu") attributes.set("alpha", random.uniform(0.1, 0.8));
    return node(type, std::move(attributes), {x});
  }
  ValueId bias(std::int64_t channels) { return parameter(fmt::format("b{}", graph.value_count()), {channels}); }
  ValueId convolution(ValueId x) {
    const Shape shape = graph.value(x).type.shape;
    const std::int64_t kernel = between(random, 1, std::min<std::int64_t>({3, shape[2], shape[3]}));
    const std::int64_t out = between(random, 1, 3);
    const std::int64_t stride = between(random, 1, 2);
    const Integers padding{between(random, 0, 1), between(random, 0, 1), between(random, 0, 1), between(random, 0, 1)};
    std::vector<ValueId> inputs{x, parameter(fmt::format("w{}", graph.value_count()), {out, shape[1], kernel, kernel})};
    if (random.below(2) == 1) inputs.push_back(bias(out));
    return node("conv2d", conv2d({stride, between(random, 1, 2)}, padding).attributes, inputs);
  }
  ValueId pool(ValueId x) {
    const Shape shape = graph.value(x).type.shape;
    const Integers window{std::min<std::int64_t>(shape[2], between(random, 1, 3)),
                          std::min<std::int64_t>(shape[3], between(random, 1, 3))};
    const Integers strides = random.below(3) == 0 ? Integers{1, 2} : window;
    const auto pad = [&](std::size_t axis) { return between(random, 0, window[axis] / 2); };
    Attributes attributes = max_pool2d(window, strides, {pad(0), pad(1), 0, 0}).attributes;
    return node(random.below(4) == 0 ? "average_pool2d" : "max_pool2d", attributes, {x});
  }
  ValueId dense(ValueId x) {
    const Shape shape = graph.value(x).type.shape;
    const std::int64_t columns = shape.elements() / shape[0];
    const ValueId rows = node("reshape", reshape({shape[0], columns}).attributes, {x});
    std::vector<ValueId> inputs{rows, parameter(fmt::format("w{}", graph.value_count()), {3, columns})};
    if (random.below(2) == 1) inputs.push_back(bias(3));
    return node("dense", {}, inputs);
  }

  // Rows of a table, of which one occurs twice, through a dense layer that may be read elsewhere as well.
  ValueId embedded() {
    const ValueId ids = graph.add_input("ids", {{2}, DType::kInt32});
    values[ids] = {1, random.below(2) == 0 ? 1.0 : 0.0};
    const ValueId rows = node("embedding", {}, {parameter("table", {3, 4}), ids});
    std::vector<ValueId> inputs{rows, parameter("embedded_w", {3, 4})};
    if (random.below(2) == 1) inputs.push_back(bias(3));
    const ValueId y = node("dense", {}, inputs);
    return random.below(4) == 0 ? node("add", {}, {y, node("dense", {}, inputs)}) : y;
  }

  // Layers of images, now and then one that is read twice, then of rows.
  void build() {
    ValueId x = graph.add_input("x", {{2, between(random, 1, 2), between(random, 7, 11), between(random, 7, 11)}});
    values[x] = spaced_array(graph.value(x).type.shape, random);
    for (int layer = 0; layer < 2; ++layer) {
      x = convolution(x);
      if (random.below(4) != 0) x = activation(x);
      if (random.below(4) == 0) x = node("add", {}, {x, activation(x)});
      if (random.below(3) == 0) x = node("bias_add", {}, {x, bias(graph.value(x).type.shape[1])});
      if (random.below(3) == 0) x = activation(x);
      if (random.below(3) != 0) x = pool(x);
      if (random.below(3) == 0) x = activation(x);
    }
    x = activation(dense(x));
    if (random.below(2) == 0) x = node("add", {}, {x, embedded()});
    weigh(x);
  }
};

// By parameter, as autodiff gives them.
std::map<std::string, Array> gradients_of(Graph graph, ValueId loss, const Values& leaves, const Names& passes = {}) {
  const auto gradients = append_gradients(graph, loss);
  std::vector<ValueId> kept;
  for (const auto& [parameter, gradient] : gradients) kept.push_back(gradient);
  const Rewritten whole = rewrite_whole(graph, kept, passes);
  Values values;
  for (const auto& [id, array] : leaves) values[whole.values[id.index()]] = array;
  reference::run(whole.graph, values);
  std::map<std::string, Array> arrays;
  for (const auto& [parameter, gradient] : gradients) {
    arrays[graph.value(parameter).name] = values.at(whole.values[gradient.index()]);
  }
  return arrays;
}

// As a model's graph is rewritten before its gradients are appended, and after.
bool changes(const Graph& graph, ValueId loss, const std::string& pass) {
  const auto step = [&](const Names& names) {
    Rewritten rewritten = rewrite(graph, std::vector<ValueId>{loss}, names);
    append_gradients(rewritten.graph, rewritten.values[loss.index()]);
    return fingerprint(rewrite_whole(rewritten.graph, {}, names).graph);
  };
  return step({pass}) != step({});
}

// Up to what sums in another order round in double.
void expect_same_gradients(const std::map<std::string, Array>& got, const std::map<std::string, Array>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (const auto& [name, array] : expected) {
    const Array& other = got.at(name);
    ASSERT_EQ(other.size(), array.size());
    for (std::size_t i = 0; i < array.size(); ++i) {
      ASSERT_NEAR(other[i], array[i], 1e-12 * std::max(1.0, largest(array))) << name << " " << i;
    }
  }
}

TEST(Passes, LeaveLossesAndGradients) {
  std::set<std::string> changed;
  for (int seed = 0; seed < 4 * kCases; ++seed) {
    ForwardProblem p(seed);
    p.build();
    const double loss = loss_of(p.graph, p.loss, p.values);
    const auto gradients = gradients_of(p.graph, p.loss, p.values);
    for (const Names& names : selections()) {
      SCOPED_TRACE(fmt::format("case {}, {}", seed, names.size() == 1 ? names[0] : "all"));
      const Rewritten rewritten = rewrite(p.graph, std::vector<ValueId>{p.loss}, names);
      Values values;
      for (const auto& [id, array] : p.values) values[rewritten.values[id.index()]] = array;
      const ValueId to = rewritten.values[p.loss.index()];
      EXPECT_NEAR(loss_of(rewritten.graph, to, values), loss, 1e-12 * std::max(1.0, std::abs(loss)));
      expect_same_gradients(gradients_of(rewritten.graph, to, values, names), gradients);
      if (seed < kCases) expect_gradients(rewritten.graph, to, values);
      if (names.size() == 1 && changes(p.graph, p.loss, names[0])) changed.insert(names[0]);
    }
  }
  EXPECT_EQ(changed.size(), pass_names().size()) << "a pass that never does anything";
}

TEST(Passes, LeavesKeepNamesOrderAndTypes) {
  for (int seed = 0; seed < kCases; ++seed) {
    ForwardProblem p(seed);
    p.build();
    for (const Names& names : selections()) {
      const Rewritten rewritten = rewrite(p.graph, std::vector<ValueId>{p.loss}, names);
      for (const ValueKind kind : {ValueKind::kInput, ValueKind::kParameter}) {
        const auto before = p.graph.values_of(kind);
        const auto after = rewritten.graph.values_of(kind);
        ASSERT_EQ(after.size(), before.size());
        for (std::size_t i = 0; i < before.size(); ++i) {
          EXPECT_EQ(rewritten.values[before[i].index()], after[i]);
          EXPECT_EQ(rewritten.graph.value(after[i]).name, p.graph.value(before[i]).name);
          EXPECT_EQ(rewritten.graph.value(after[i]).type, p.graph.value(before[i]).type);
        }
      }
      for (std::size_t i = 0; i < p.graph.value_count(); ++i) {
        const ValueId id(static_cast<std::int64_t>(i));
        const ValueId now = rewritten.values[i];
        if (!now.valid()) continue;
        EXPECT_EQ(rewritten.graph.value(now).name, p.graph.value(id).name);
      }
    }
  }
}

TEST(Passes, NothingToDoIsTheSameGraph) {
  ForwardProblem p(3);
  p.build();
  EXPECT_EQ(fingerprint(rewrite(p.graph, {}, {}).graph), fingerprint(p.graph));
}

TEST(Passes, NamesAndPhasesAreChecked) {
  EXPECT_EQ(passes_of("all"), pass_names());
  EXPECT_EQ(passes_of("none"), Names());
  EXPECT_EQ(passes_of("activations"), Names({"activations"}));
  const auto message = [](auto action) {
    try {
      action();
    } catch (const std::invalid_argument& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  EXPECT_NE(message([] { (void)passes_of("activations,fast"); }).find("got 'fast'"), std::string::npos);
  EXPECT_NE(message([] { (void)passes_of(""); }).find("got ''"), std::string::npos);
  EXPECT_NE(message([] { (void)rewrite(Graph(), {}, {"fast"}); }).find("got 'fast'"), std::string::npos);
  EXPECT_NE(message([] { (void)rewrite(training_graph(sgd(0)), {}, {}); }).find("forward"), std::string::npos);
}

TEST(Passes, WholeGraphsWithNothingToDoStayTheSame) {
  for (const Op& optimizer : {sgd(0), sgd(0.5), adam()}) {
    const Graph graph = training_graph(optimizer);
    EXPECT_EQ(fingerprint(rewrite_whole(graph, {}, {}).graph), fingerprint(graph));
    EXPECT_EQ(fingerprint(rewrite_whole(graph, {}, {"activations"}).graph), fingerprint(graph));
  }
}

TEST(FuseEmbeddings, OneOperatorWhereTheRowsAreReadByOneDenseLayerAlone) {
  Graph graph;
  const ValueId ids = graph.add_input("ids", {{2, 5}, DType::kInt32});
  const ValueId table = graph.add_parameter("table", {9, 4});
  const ValueId rows = graph.add_node({"embedding", {}}, {table, ids}, "rows").at(0);
  const ValueId weight = graph.add_parameter("weight", {3, 4});
  const ValueId y = graph.add_node({"dense", {}}, {rows, weight}, "project").at(0);
  const Rewritten rewritten = rewrite(graph, {}, {"embeddings"});
  ASSERT_EQ(rewritten.graph.node_count(), 1U);
  const Node& node = rewritten.graph.nodes()[0];
  EXPECT_EQ(node.op.type, "embedding_dense");
  EXPECT_EQ(node.name, "project");
  EXPECT_EQ(node.inputs, (std::vector<ValueId>{rewritten.values[table.index()], rewritten.values[ids.index()],
                                               rewritten.values[weight.index()]}));
  EXPECT_EQ(rewritten.values[y.index()], node.outputs[0]);
  EXPECT_EQ(rewrite(graph, std::vector<ValueId>{rows}, {"embeddings"}).graph.node_count(), 2U);
  graph.add_node({"dense", {}}, {rows, weight}, "again");
  EXPECT_EQ(rewrite(graph, {}, {"embeddings"}).graph.node_count(), 3U);
}

struct Pair {
  Graph graph;
  ValueId conv;
  ValueId y;
  Pair() {
    const ValueId x = graph.add_input("x", {{1, 1, 5, 5}});
    conv = graph.add_node(conv2d(), {x, graph.add_parameter("w", {2, 1, 3, 3})}, "conv").at(0);
    y = graph.add_node({"leaky_relu", {{"alpha", 0.3}}}, {conv}, "conv.leaky_relu").at(0);
  }
  [[nodiscard]] Rewritten fused(std::vector<ValueId> kept = {}) const { return rewrite(graph, kept, {"activations"}); }
};

TEST(FuseActivations, OneOperatorWithTheActivationsAttributes) {
  const Rewritten rewritten = Pair().fused();
  ASSERT_EQ(rewritten.graph.node_count(), 1U);
  const Node& node = rewritten.graph.nodes()[0];
  EXPECT_EQ(node.name, "conv");
  EXPECT_EQ(node.op.attributes.text("activation"), "leaky_relu");
  EXPECT_EQ(node.op.attributes.real("alpha"), 0.3);
  EXPECT_EQ(rewritten.graph.value(node.outputs[0]).name, "conv.leaky_relu");
  EXPECT_FALSE(rewritten.values[Pair().conv.index()].valid());
}

TEST(FuseActivations, LeavesWhatIsReadTwiceOrKept) {
  const Pair kept;
  EXPECT_EQ(kept.fused({kept.conv}).graph.node_count(), 2U);
  Pair output;
  output.graph.mark_output(output.conv);
  EXPECT_EQ(output.fused().graph.node_count(), 2U);
  Pair twice;
  twice.graph.add_node({"add", {}}, {twice.y, twice.conv}, "sum");
  EXPECT_EQ(twice.fused().graph.node_count(), 3U);
}

TEST(FuseActivations, BackwardPassIsByTheResult) {
  Rewritten rewritten = Pair().fused();
  Graph& graph = rewritten.graph;
  const ValueId y = graph.find_value("conv.leaky_relu");
  const ValueId loss = graph.add_node({"reduce_sum", {{"axes", Integers{0, 1, 2, 3}}}}, {y}, "loss").at(0);
  append_gradients(graph, loss);
  const Node& backward = graph.node(graph.find_node("conv.backward_activation"));
  EXPECT_EQ(backward.op.type, "leaky_relu_backward");
  EXPECT_EQ(backward.inputs[0], y);
  EXPECT_EQ(graph.node(graph.find_node("conv.backward_weight")).inputs[1], backward.outputs[0]);
}

TEST(FuseActivations, ShapeRuleRefusesWhatIsNoActivation) {
  Graph graph;
  const ValueId x = graph.add_input("x", {{1, 1, 5, 5}});
  const ValueId w = graph.add_parameter("w", {2, 1, 3, 3});
  const auto with = [&](Attribute activation, bool alpha) {
    Op op = conv2d();
    op.attributes.set("activation", std::move(activation));
    if (alpha) op.attributes.set("alpha", 0.5);
    graph.add_node(op, {x, w}, "conv");
  };
  EXPECT_THROW(with("gelu", false), std::invalid_argument);
  EXPECT_THROW(with("add", false), std::invalid_argument);
  EXPECT_THROW(with("leaky_relu", false), std::invalid_argument);
  EXPECT_THROW(with("relu", true), std::invalid_argument);
  EXPECT_THROW(with(std::int64_t{1}, false), std::invalid_argument);
  EXPECT_NO_THROW(with("leaky_relu", true));
  const Op plain = conv2d();
  graph.add_node(plain, {x, w}, "plain");
  EXPECT_EQ(cost_of(graph, graph.nodes()[0]).flops, cost_of(graph, graph.nodes()[1]).flops + 2 * 2 * 9);
}

struct Pooled {
  Graph graph;
  std::vector<ValueId> pooled;
  Pooled(const std::string& activation, Integers strides) {
    const ValueId x = graph.add_input("x", {{1, 2, 8, 8}});
    const ValueId y = graph.add_node({activation, {}}, {x}, "y").at(0);
    pooled = graph.add_node(max_pool2d({2, 2}, std::move(strides)), {y}, "pool");
  }
  [[nodiscard]] bool changes() const { return rewrite(graph, {}, {"pool_first"}).graph.node_count() == 1; }
};

TEST(PoolFirst, OnlyWhereGradientsStay) {
  EXPECT_TRUE(Pooled("relu", {2, 2}).changes());
  EXPECT_TRUE(Pooled("relu", {1, 2}).changes());
  EXPECT_TRUE(Pooled("tanh", {2, 3}).changes());
  EXPECT_FALSE(Pooled("tanh", {1, 2}).changes());      // windows overlap
  EXPECT_FALSE(Pooled("gelu", {2, 2}).changes());      // falls below 0 and rises again
  EXPECT_FALSE(Pooled("softplus", {2, 2}).changes());  // falls in the last bit
  Pooled indices("relu", {2, 2});
  indices.graph.mark_output(indices.pooled[1]);
  EXPECT_FALSE(indices.changes());
}

TEST(PoolFirst, OneOperatorBothWays) {
  const Rewritten rewritten = rewrite(Pooled("sigmoid", {2, 2}).graph, {}, {"pool_first"});
  const Node& node = rewritten.graph.nodes()[0];
  EXPECT_EQ(node.name, "pool");
  EXPECT_EQ(node.op.attributes.text("activation"), "sigmoid");
  EXPECT_EQ(rewritten.graph.value(node.inputs[0]).name, "x");
}

// Of the windows' positions that f gives one number, the first took the gradient; now the largest does.
TEST(PoolFirst, TiesOfReluHaveNoGradient) {
  Graph graph;
  const ValueId x = graph.add_parameter("x", {1, 1, 2, 2});
  const ValueId y = graph.add_node({"relu", {}}, {x}, "y").at(0);
  const ValueId pool = graph.add_node(max_pool2d({2, 2}, {2, 2}), {y}, "pool").at(0);
  const ValueId loss = graph.add_node({"reduce_sum", {{"axes", Integers{0, 1, 2, 3}}}}, {pool}, "loss").at(0);
  const Array ties{-3, -1, -2, -1};
  EXPECT_EQ(gradients_of(graph, loss, {{x, ties}}).at("x"), Array(4, 0.0));
  const Rewritten rewritten = rewrite(graph, std::vector<ValueId>{loss}, {"pool_first"});
  EXPECT_EQ(
      gradients_of(rewritten.graph, rewritten.values[loss.index()], {{rewritten.values[x.index()], ties}}).at("x"),
      Array(4, 0.0));
}

// An 11x11 image, of which a pool reads 10x10; so do what comes before it, and the convolutions before that.
struct Chain {
  Graph graph;
  ValueId x = graph.add_input("x", {{2, 1, 28, 28}});
  ValueId conv2;
  ValueId y;
  Chain() {
    ValueId z = graph.add_node(conv2d(), {x, graph.add_parameter("w1", {4, 1, 3, 3})}, "conv1").at(0);
    z = graph.add_node(max_pool2d({2, 2}, {2, 2}), {z}, "pool1").at(0);
    conv2 = graph.add_node(conv2d(), {z, graph.add_parameter("w2", {4, 4, 3, 3})}, "conv2").at(0);
    z = graph.add_node({"tanh", {}}, {conv2}, "tanh").at(0);
    y = graph.add_node(max_pool2d({2, 2}, {2, 2}), {z}, "pool2").at(0);
    graph.mark_output(y);
  }
  // Extents of the first output.
  static Integers size(const Graph& graph, const std::string& node) {
    const Shape& shape = graph.value(graph.node(graph.find_node(node)).outputs[0]).type.shape;
    return {shape[2], shape[3]};
  }
};

TEST(DeadRegions, ShrinkBackToTheInput) {
  const Chain chain;
  const Graph graph = rewrite(chain.graph, {}, {"dead_regions"}).graph;
  EXPECT_EQ(Chain::size(graph, "pool2"), Integers({5, 5}));
  EXPECT_EQ(Chain::size(graph, "tanh"), Integers({10, 10}));
  EXPECT_EQ(Chain::size(graph, "conv2"), Integers({10, 10}));
  EXPECT_EQ(Chain::size(graph, "pool1"), Integers({12, 12}));
  EXPECT_EQ(Chain::size(graph, "conv1"), Integers({24, 24}));
  EXPECT_EQ(Chain::size(graph, "x.crop"), Integers({26, 26}));
  EXPECT_EQ(graph.value(graph.find_value("x")).type.shape, Shape({2, 1, 28, 28}));
}

TEST(DeadRegions, WhatIsKeptOrReadElsewhereStaysWhole) {
  const Chain chain;
  const Rewritten kept = rewrite(chain.graph, std::vector<ValueId>{chain.conv2}, {"dead_regions"});
  EXPECT_EQ(fingerprint(kept.graph), fingerprint(chain.graph));
  Chain other;
  other.graph.add_node({"reduce_sum", {{"axes", Integers{0, 1, 2, 3}}}}, {other.conv2}, "sum");
  EXPECT_EQ(fingerprint(rewrite(other.graph, {}, {"dead_regions"}).graph), fingerprint(other.graph));
}

TEST(DeadRegions, NoCropThatSavesNothing) {
  Graph graph;
  const ValueId x = graph.add_input("x", {{1, 1, 6, 7}});
  graph.mark_output(graph.add_node(max_pool2d({2, 2}, {2, 2}), {x}, "pool").at(0));
  EXPECT_EQ(fingerprint(rewrite(graph, {}, {"dead_regions"}).graph), fingerprint(graph));
}

TEST(DeadRegions, PaddingIsWhatIsReached) {
  Graph graph;
  const ValueId x = graph.add_input("x", {{1, 1, 7, 7}});
  const ValueId y =
      graph.add_node(conv2d({1, 1}, {1, 1, 1, 1}), {x, graph.add_parameter("w", {1, 1, 3, 3})}, "conv").at(0);
  graph.mark_output(graph.add_node(max_pool2d({2, 3}, {2, 3}), {y}, "pool").at(0));
  const Graph after = rewrite(graph, {}, {"dead_regions"}).graph;
  EXPECT_EQ(Chain::size(after, "conv"), Integers({6, 6}));
  EXPECT_EQ(after.node(after.find_node("conv")).op.attributes.integers("padding"), Integers({1, 1, 0, 0}));
}

// relu(x) + tanh(x), doubled.
struct Diamond {
  Graph graph;
  ValueId x = graph.add_input("x", {{4, 3}});
  ValueId relu = add("relu", {x});
  ValueId tanh = add("tanh", {x});
  ValueId sum = add("add", {relu, tanh});
  ValueId y = add("add", {sum, sum}, "y");

  ValueId add(const std::string& type, std::vector<ValueId> inputs, const std::string& name = "",
              Phase phase = Phase::kForward) {
    return graph.add_node({type, {}}, std::move(inputs), name.empty() ? type : name, phase).at(0);
  }
  [[nodiscard]] std::size_t nodes(const std::vector<ValueId>& kept = {}) const {
    return rewrite_whole(graph, kept, {"element_wise"}).graph.node_count();
  }
};

TEST(FuseElementWise, OneOperatorOfAllSteps) {
  const Diamond diamond;
  const Rewritten rewritten = rewrite_whole(diamond.graph, {}, {"element_wise"});
  ASSERT_EQ(rewritten.graph.node_count(), 1U);
  const Node& node = rewritten.graph.nodes()[0];
  EXPECT_EQ(node.name, "y");
  EXPECT_EQ(node.inputs, std::vector<ValueId>({rewritten.values[diamond.x.index()]}));
  EXPECT_EQ(node.op.to_string(),
            R"(element_wise{0="relu",0.from=[0],1="tanh",1.from=[0],2="add",2.from=[1,2],3="add",3.from=[3,3]})");
  EXPECT_FALSE(rewritten.values[diamond.sum.index()].valid());
  const OpCost cost = cost_of(rewritten.graph, node);
  EXPECT_EQ(cost.flops, 4 * 12);
  EXPECT_EQ(cost.bytes, 2 * 4 * 12);
}

TEST(FuseElementWise, LeavesWhatIsReadElsewhereOrKept) {
  EXPECT_EQ(Diamond().nodes({Diamond().sum}), 2U);
  EXPECT_EQ(Diamond().nodes({Diamond().relu}), 2U);
  Diamond output;
  output.graph.mark_output(output.tanh);
  EXPECT_EQ(output.nodes(), 2U);
  Diamond other;
  other.graph.add_node({"reduce_sum", {{"axes", Integers{0}}}}, {other.relu}, "other");
  EXPECT_EQ(other.nodes(), 3U);
  Diamond two;  // relu's readers end in different groups
  two.add("tanh", {two.relu}, "second");
  EXPECT_EQ(two.nodes(), 3U);
  Diamond parameter;
  parameter.graph.set_mirrors(parameter.sum, parameter.graph.add_parameter("w", {4, 3}));
  EXPECT_EQ(parameter.nodes(), 2U);
}

TEST(FuseElementWise, LeavesOtherOperatorsAndPhases) {
  Diamond biased;
  const ValueId z =
      biased.graph.add_node({"bias_add", {}}, {biased.y, biased.graph.add_parameter("b", {3})}, "z").at(0);
  biased.add("relu", {z}, "last");
  EXPECT_EQ(biased.nodes(), 3U);
  Diamond backward;
  backward.add("relu", {backward.y}, "after", Phase::kBackward);
  EXPECT_EQ(backward.nodes(), 2U);
  Graph update;
  const ValueId x = update.add_input("x", {{4}});
  ValueId y = update.add_node({"relu", {}}, {x}, "relu").at(0);
  for (const char* name : {"a", "b"}) y = update.add_node({"add", {}}, {y, y}, name, Phase::kUpdate).at(0);
  EXPECT_EQ(rewrite_whole(update, {}, {"element_wise"}).graph.node_count(), 3U);
}

TEST(FuseElementWise, AtMostSixteenSteps) {
  Diamond longer;
  for (int i = 0; i < 29; ++i) longer.add("add", {ValueId(longer.y.value + i), longer.x}, fmt::format("n{}", i));
  EXPECT_EQ(longer.graph.node_count(), 33U);
  EXPECT_EQ(longer.nodes(), 3U);
}

TEST(FuseElementWise, BackwardChainsOfDropoutAndActivation) {
  Graph graph;
  const ValueId x = graph.add_input("x", {{2, 1, 5, 5}});
  Op conv = conv2d();
  conv.attributes.set("activation", std::string("leaky_relu"));
  conv.attributes.set("alpha", 0.25);
  ValueId y = graph.add_node(conv, {x, graph.add_parameter("w", {2, 1, 3, 3})}, "conv").at(0);
  y = graph.add_node({"dropout", {{"rate", 0.5}, {"stream", std::int64_t{3}}}}, {y}, "drop").at(0);
  const ValueId loss = graph.add_node({"reduce_sum", {{"axes", Integers{0, 1, 2, 3}}}}, {y}, "loss").at(0);
  append_updates(graph, append_gradients(graph, loss), adam());
  const Graph after = rewrite_whole(graph, std::vector<ValueId>{loss}, {"element_wise"}).graph;
  EXPECT_EQ(after.node_count(), graph.node_count() - 1);
  const Node& node = after.node(after.find_node("conv.backward_activation"));
  EXPECT_EQ(node.phase, Phase::kBackward);
  EXPECT_EQ(node.op.to_string(), R"(element_wise{0="dropout",0.from=[0],0.rate=0.5,0.stream=3,)"
                                 R"(1="leaky_relu_backward",1.alpha=0.25,1.from=[1,2]})");
  const ValueId gradient = after.find_value("grad(w)");
  EXPECT_EQ(after.value(gradient).mirrors, after.find_value("w"));
}

TEST(FuseElementWise, ShapeRuleRefusesWhatIsNoStep) {
  Graph graph;
  const ValueId x = graph.add_input("x", {{4, 3}});
  const auto with = [&](const std::vector<ElementStep>& steps, const std::string& extra = "") {
    Op op = element_wise(steps);
    if (!extra.empty()) op.attributes.set(extra, 0.5);
    graph.add_node(op, {x}, "y" + std::to_string(graph.node_count()));
  };
  const Op relu{"relu", {}};
  EXPECT_THROW(with({}), std::invalid_argument);
  EXPECT_THROW(with({{{"reduce_sum", {{"axes", Integers{0}}}}, {0}}}), std::invalid_argument);
  EXPECT_THROW(with({{{"bias_add", {}}, {0, 0}}}), std::invalid_argument);
  EXPECT_THROW(with({{relu, {1}}}), std::invalid_argument);
  EXPECT_THROW(with({{relu, {-1}}}), std::invalid_argument);
  EXPECT_THROW(with({{relu, {}}}), std::invalid_argument);
  EXPECT_THROW(with({{relu, {0, 0}}}), std::invalid_argument);
  EXPECT_THROW(with({{{"add", {}}, {0, 0, 0}}}), std::invalid_argument);
  EXPECT_THROW(with({{{"leaky_relu", {}}, {0}}}), std::invalid_argument);
  EXPECT_THROW(with({{relu, {0}}}, "1.alpha"), std::invalid_argument);
  EXPECT_THROW(with({{relu, {0}}}, "0.alpha"), std::invalid_argument);
  EXPECT_THROW(with(std::vector<ElementStep>(kMostElementSteps + 1, {relu, {0}})), std::invalid_argument);
  EXPECT_NO_THROW(with(std::vector<ElementStep>(kMostElementSteps, {relu, {0}})));
}

TEST(ElementSteps, ComeBackFromTheirAttributes) {
  std::vector<ElementStep> steps;
  for (std::int64_t i = 0; i < 12; ++i) steps.push_back({{"elu", {{"alpha", 0.1 * static_cast<double>(i)}}}, {i}});
  const std::vector<ElementStep> again = element_steps(element_wise(steps));
  ASSERT_EQ(again.size(), steps.size());
  for (std::size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(again[i].op, steps[i].op);
    EXPECT_EQ(again[i].from, steps[i].from);
  }
}

TEST(ElementSteps, BuffersAreFreeWhereTheirLastReaderWrites) {
  const Op add{"add", {}};
  EXPECT_EQ(step_buffers({{add, {0, 0}}, {add, {1, 0}}, {add, {2, 2}}}, 1), std::vector<std::size_t>({0, 0, 0}));
  EXPECT_EQ(step_buffers({{add, {0, 0}}, {add, {1, 0}}, {add, {1, 2}}}, 1), std::vector<std::size_t>({0, 1, 0}));
}

}  // namespace
}  // namespace skua::test
