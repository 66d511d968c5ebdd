// Building graphs: names, kinds, gradients' structure, updates, fingerprints, DOT and operators from outside.
#include "skua/graph/graph.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "graph/small_graphs.h"
#include "skua/graph/op_registry.h"

namespace skua::test {
namespace {

TEST(Graph, NamesAreNew) {
  Graph graph;
  const ValueId x = graph.add_input("x", {{2, 3}});
  const auto pooled = graph.add_node({"relu", {}}, {x}, "y");
  EXPECT_EQ(graph.value(pooled.at(0)).name, "y");
  EXPECT_EQ(message_of([&] { graph.add_input("x", {{1}}); }),
            "[value x] expected a new name, got that of another value");
  EXPECT_EQ(message_of([&] { graph.add_parameter("", {1}); }), "[value] expected a name, got an empty one");
  EXPECT_EQ(message_of([&] {
              graph.add_node({"tanh", {}}, {x}, "y");
            }),
            "[tanh y] expected a new name, got that of another node");
  EXPECT_EQ(message_of([&] {
              graph.add_node({"tanh", {}}, {x}, "x");
            }),
            "[tanh x] [value x] expected a new name, got that of another value");
  EXPECT_EQ(message_of([&] {
              graph.add_node({"tanh", {}}, {ValueId(9)}, "z");
            }),
            "[tanh z] expected a value id in [0,2), got 9");
  EXPECT_EQ(message_of([&] { graph.rename_value(x, "y"); }),
            "[value y] expected a new name, got that of another value");
  EXPECT_EQ(graph.value_count(), 2U);
  EXPECT_EQ(graph.node_count(), 1U);
  graph.rename_value(x, "z");
  EXPECT_EQ(graph.find_value("z"), x);
  EXPECT_FALSE(graph.find_value("x").valid());
}

TEST(Graph, OutputNames) {
  Graph graph;
  const ValueId x = graph.add_input("x", {{1, 1, 2, 2}});
  const auto numbered = graph.add_node(max_pool2d({2, 2}, {1, 1}), {x}, "pool");
  EXPECT_EQ(graph.value(numbered.at(1)).name, "pool:1");
  const auto named = graph.add_node(max_pool2d({2, 2}, {1, 1}), {x}, "pool2", Phase::kForward, {"a", "b"});
  EXPECT_EQ(graph.value(named.at(0)).name, "a");
  EXPECT_EQ(graph.value(named.at(1)).name, "b");
  EXPECT_NE(message_of([&] { graph.add_node(max_pool2d({2, 2}, {1, 1}), {x}, "p", Phase::kForward, {"c", "c"}); }), "");
}

TEST(Graph, TheUpdatePhaseIsReadByItselfAlone) {
  Graph graph;
  const ValueId x = graph.add_input("x", {{2}});
  const ValueId p = graph.add_parameter("p", {2});
  const ValueId g = graph.add_node({"relu", {}}, {x}, "g").at(0);
  const ValueId clipped = graph.add_node({"tanh", {}}, {g}, "clipped", Phase::kUpdate).at(0);
  EXPECT_EQ(message_of([&] {
              graph.add_node({"relu", {}}, {clipped}, "late", Phase::kBackward);
            }),
            "[relu late] expected phase kUpdate to read clipped, got another phase");
  EXPECT_EQ(message_of([&] { graph.add_node(sgd(0), {p, clipped}, "p.update", Phase::kUpdate); }), "");
}

TEST(Graph, UpdatesTakeTheirParameterItsGradientAndItsStates) {
  Graph graph;
  const ValueId x = graph.add_input("x", {{2}});
  const ValueId p = graph.add_parameter("p", {2});
  const ValueId q = graph.add_parameter("q", {2});
  const ValueId velocity = graph.add_state("q.velocity", q);
  const ValueId g = graph.add_node({"relu", {}}, {x}, "g").at(0);
  const auto update = [&](const Op& op, std::vector<ValueId> inputs, Phase phase) {
    return message_of([&] { graph.add_node(op, std::move(inputs), "u", phase); });
  };
  EXPECT_EQ(update(sgd(0), {p, g}, Phase::kForward), "[sgd_update u] expected phase kUpdate, got another phase");
  EXPECT_EQ(update({"relu", {}}, {p}, Phase::kUpdate),
            "[relu u] [value p] expected what is read in phase kUpdate before updates to be an intermediate, got a "
            "parameter");
  EXPECT_EQ(update(sgd(0), {g, g}, Phase::kUpdate),
            "[sgd_update u] [value g] expected an update's first input to be a parameter, got an intermediate");
  EXPECT_EQ(update(sgd(0), {p, x}, Phase::kUpdate),
            "[sgd_update u] [value x] expected an update's gradient to be an intermediate, got an input");
  EXPECT_EQ(update(sgd(0.9), {p, g, velocity}, Phase::kUpdate), "[sgd_update u] expected a state of p, got q.velocity");
  EXPECT_EQ(update(sgd(0.9), {q, g}, Phase::kUpdate), "[sgd_update u] expected 3 inputs, got 2");
  EXPECT_EQ(update(sgd(-1), {q, g}, Phase::kUpdate), "[sgd_update u] expected 'momentum' in [0,inf), got -1");
  EXPECT_EQ(update(sgd(0.9), {q, g, velocity}, Phase::kUpdate), "");
  EXPECT_NE(message_of([&] { graph.add_state("x.m", x); }), "");
}

TEST(Graph, MirrorsAndOutputsAreChecked) {
  Graph graph;
  const ValueId x = graph.add_input("x", {{2}});
  const ValueId p = graph.add_parameter("p", {2});
  const ValueId q = graph.add_parameter("q", {3});
  const ValueId g = graph.add_node({"relu", {}}, {x}, "g").at(0);
  EXPECT_EQ(message_of([&] { graph.set_mirrors(g, q); }),
            "[value g] expected the type of q, float32(3), got float32(2)");
  EXPECT_NE(message_of([&] { graph.set_mirrors(x, p); }), "");
  EXPECT_NE(message_of([&] { graph.set_mirrors(g, x); }), "");
  graph.set_mirrors(g, p);
  EXPECT_EQ(graph.value(g).mirrors, p);
  EXPECT_NE(message_of([&] { graph.mark_output(p); }), "");
  EXPECT_NE(message_of([&] { graph.mark_output(ValueId()); }), "");
  graph.mark_output(g);
  graph.mark_output(g);
  EXPECT_EQ(graph.outputs(), std::vector<ValueId>{g});
}

TEST(Autodiff, NamesPhasesAndMirrors) {
  LittleCnn cnn;
  Graph& graph = cnn.graph;
  const std::size_t forward_nodes = graph.node_count();
  const auto gradients = append_gradients(graph, cnn.loss);
  EXPECT_EQ(gradients.size(), 6U);
  for (const auto& [parameter, gradient] : gradients) {
    EXPECT_EQ(graph.value(gradient).name, "grad(" + graph.value(parameter).name + ")");
    EXPECT_EQ(graph.value(gradient).mirrors, parameter);
    EXPECT_EQ(graph.value(gradient).type, graph.value(parameter).type);
  }
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    EXPECT_EQ(graph.nodes()[i].phase, i < forward_nodes ? Phase::kForward : Phase::kBackward);
  }
  const Node& seed = graph.nodes().at(forward_nodes);
  EXPECT_EQ(seed.op, (Op{"fill", {{"shape", Integers{}}, {"value", 1.0}}}));
  for (const char* name : {"conv1.backward_weight", "conv2.backward_data", "conv2_again.backward_weight",
                           "pool1.backward", "relu2.backward", "fc.backward_data", "loss.backward"}) {
    EXPECT_TRUE(graph.find_node(name).valid()) << name;
  }
  EXPECT_FALSE(graph.find_node("conv1.backward_data").valid());  // the images lead to no parameter
  // The shared weight's gradient is the last use's plus the first's.
  const Node& sum = graph.node(graph.find_node("grad(conv2.weight)"));
  EXPECT_EQ(sum.op.type, "add");
  EXPECT_EQ(graph.value(sum.inputs.at(0)).producer, graph.find_node("conv2_again.backward_weight"));
  EXPECT_EQ(graph.value(sum.inputs.at(1)).producer, graph.find_node("conv2.backward_weight"));
  for (const ValueId part : sum.inputs) EXPECT_EQ(graph.value(part).mirrors, graph.find_value("conv2.weight"));
}

// Sums over micro-batches are made in place, so that no gradient may be another value as well.
TEST(Autodiff, EveryParameterHasAGradientOfItsOwn) {
  Graph graph;
  const ValueId p = graph.add_parameter("p", {3});
  const ValueId q = graph.add_parameter("q", {3});
  const ValueId sum = graph.add_node({"add", {}}, {p, q}, "sum").at(0);
  const ValueId loss = graph.add_node({"reduce_sum", {{"axes", Integers{0}}}}, {sum}, "loss").at(0);
  const auto gradients = append_gradients(graph, loss);
  EXPECT_NE(gradients.at(p), gradients.at(q));
  Values values{{p, {1, 2, 3}}, {q, {4, 5, 6}}};
  reference::run(graph, values);
  for (const auto& [parameter, gradient] : gradients) {
    EXPECT_EQ(values.at(gradient), reference::Array({1, 1, 1}));
    EXPECT_EQ(graph.value(gradient).mirrors, parameter);
    for (const Node& node : graph.nodes()) {
      EXPECT_EQ(std::count(node.inputs.begin(), node.inputs.end(), gradient), 0) << node.name;
    }
  }
}

TEST(Autodiff, RefusesWhatItCannotDifferentiate) {
  LittleCnn cnn;
  Graph& graph = cnn.graph;
  const std::string before = fingerprint(graph);
  const ValueId logits = graph.node(graph.find_node("fc")).outputs.at(0);
  EXPECT_EQ(message_of([&] { append_gradients(graph, logits); }),
            "[append_gradients fc] expected a float32 scalar loss, got float32(2,4)");
  EXPECT_NE(message_of([&] { append_gradients(graph, ValueId()); }), "");
  EXPECT_EQ(fingerprint(graph), before);
  const ValueId correct = graph.add_node({"count_correct", {}}, {logits, cnn.labels}, "correct").at(0);
  const std::string with_count = fingerprint(graph);
  EXPECT_EQ(message_of([&] { append_gradients(graph, correct); }),
            "[count_correct correct] expected an operator with a gradient rule, got one without");
  EXPECT_EQ(fingerprint(graph), with_count);
}

TEST(Autodiff, ALossWithoutParametersHasNoGradients) {
  Graph graph;
  const ValueId x = graph.add_input("x", {{2}});
  const ValueId loss = graph.add_node({"reduce_sum", {{"axes", Integers{0}}}}, {x}, "loss").at(0);
  EXPECT_TRUE(append_gradients(graph, loss).empty());
  EXPECT_EQ(graph.node_count(), 1U);
}

TEST(Autodiff, Updates) {
  const Graph graph = training_graph(adam());
  std::size_t updates = 0;
  for (const Node& node : graph.nodes()) updates += node.phase == Phase::kUpdate ? 1 : 0;
  EXPECT_EQ(updates, 6U);
  const Node& update = graph.node(graph.find_node("fc.weight.update"));
  std::vector<std::string> names;
  for (const ValueId input : update.inputs) names.push_back(graph.value(input).name);
  EXPECT_EQ(names, (std::vector<std::string>{"fc.weight", "grad(fc.weight)", "fc.weight.m", "fc.weight.v"}));
  const Value& state = graph.value(graph.find_value("fc.weight.v"));
  EXPECT_EQ(state.kind, ValueKind::kState);
  EXPECT_EQ(state.mirrors, graph.find_value("fc.weight"));
  EXPECT_TRUE(training_graph(sgd(0.5)).find_value("conv1.bias.velocity").valid());
  EXPECT_TRUE(training_graph(sgd(0)).values_of(ValueKind::kState).empty());
  LittleCnn cnn;
  EXPECT_EQ(message_of([&] {
              append_updates(cnn.graph, {}, {"relu", {}});
            }),
            "[append_updates] expected an update operator, got 'relu'");
}

TEST(Graph, FingerprintTellsGraphsApart) {
  const auto build = [](const std::string& name, const Shape& shape, const Op& op, bool output) {
    Graph graph;
    const ValueId x = graph.add_input("x", {shape});
    const ValueId y = graph.add_node(op, {x}, name).at(0);
    if (output) graph.mark_output(y);
    return fingerprint(graph);
  };
  const Op axis0{"reduce_sum", {{"axes", Integers{0}}}};
  const Op axis1{"reduce_sum", {{"axes", Integers{1}}}};
  const std::string base = build("y", {2, 2}, axis0, false);
  EXPECT_EQ(base.size(), 64U);
  EXPECT_EQ(base, build("y", {2, 2}, axis0, false));
  EXPECT_NE(base, build("z", {2, 2}, axis0, false));
  EXPECT_NE(base, build("y", {2, 3}, axis0, false));
  EXPECT_NE(base, build("y", {2, 2}, axis1, false));
  EXPECT_NE(base, build("y", {2, 2}, axis0, true));
}

TEST(Graph, OpText) {
  EXPECT_EQ(max_pool2d({2, 2}, {1, 2}).to_string(), "max_pool2d{padding=[0,0,0,0],strides=[1,2],window=[2,2]}");
  EXPECT_EQ((Op{"relu", {}}).to_string(), "relu");
  EXPECT_EQ((Op{"a", {{"n", std::int64_t{1}}, {"s", "x\"y"}, {"x", 1.0}}}).to_string(), R"(a{n=1,s="x\"y",x=1.0})");
}

TEST(Graph, DotMentionsEveryNode) {
  const Graph graph = training_graph(adam());
  const std::string dot = to_dot(graph);
  for (const Node& node : graph.nodes()) {
    EXPECT_NE(dot.find("label=\"" + node.name + "\\n" + node.op.type + "\""), std::string::npos) << node.name;
  }
  for (const char* part : {"cluster_forward", "cluster_backward", "cluster_update", "float32(2,1,7,7)"}) {
    EXPECT_NE(dot.find(part), std::string::npos) << part;
  }
  EXPECT_EQ(std::count(dot.begin(), dot.end(), '{'), std::count(dot.begin(), dot.end(), '}'));
}

TEST(OpRegistry, TakesOperatorsFromOutside) {
  OpDefinition twice;
  twice.type = "test_twice";
  twice.infer = [](const Op&, TypeSpan inputs) { return std::vector<ValueType>{inputs[0]}; };
  register_op(twice);
  EXPECT_THROW(register_op(twice), std::invalid_argument);
  EXPECT_THROW(register_op({}), std::invalid_argument);
  Graph graph;
  const ValueId x = graph.add_input("x", {{4}});
  graph.add_node({"test_twice", {}}, {x}, "y");
  EXPECT_EQ(cost_of(graph, graph.nodes().at(0)).flops, 0);
  const auto types = op_types();
  EXPECT_TRUE(std::is_sorted(types.begin(), types.end()));
  EXPECT_EQ(std::count(types.begin(), types.end(), "test_twice"), 1);
  EXPECT_EQ(std::count(types.begin(), types.end(), "conv2d"), 1);
}

}  // namespace
}  // namespace skua::test
