// Steps of small models, for fuzzing: a CNN, an RNN with dropout, two layers of LSTM, a GAN whose two losses train
// parameters of their own, and a layer so wide that its sums and updates come in parts where devices share a memory.
#pragma once

#include <string>
#include <vector>

#include "graph/small_graphs.h"

namespace skua::test {

inline ValueId add_dense(Graph& graph, ValueId x, std::int64_t in, std::int64_t out, const std::string& name) {
  const ValueId weight = graph.add_parameter(name + ".weight", {out, in});
  const ValueId bias = graph.add_parameter(name + ".bias", {out});
  return graph.add_node({"dense", {}}, {x, weight, bias}, name).at(0);
}

inline ValueId add_fill(Graph& graph, const Integers& shape, double value, const std::string& name) {
  return graph.add_node({"fill", {{"shape", shape}, {"value", value}}}, {}, name).at(0);
}

// What a recurrence adds from its input (N,T,in): (N,T,out).
inline ValueId add_gates(Graph& graph, ValueId x, std::int64_t in, std::int64_t out, const std::string& name) {
  const std::int64_t batch = graph.value(x).type.shape.extents()[0];
  const std::int64_t time = graph.value(x).type.shape.extents()[1];
  const ValueId rows = graph.add_node(reshape({batch * time, in}), {x}, name + ".rows").at(0);
  const ValueId gates = add_dense(graph, rows, in, out, name);
  return graph.add_node(reshape({batch, time, out}), {gates}, name + ".steps").at(0);
}

inline ValueId add_words(Graph& graph, std::int64_t width) {
  const ValueId ids = graph.add_input("ids", {{2, 4}, DType::kInt32});
  const ValueId table = graph.add_parameter("words.weight", {5, width});
  return graph.add_node({"embedding", {}}, {table, ids}, "words").at(0);
}

inline Graph trained_to_classify(Graph graph, ValueId x, std::int64_t width, const Op& optimizer) {
  const ValueId labels = graph.add_input("labels", {{2}, DType::kInt32});
  const ValueId logits = add_dense(graph, x, width, 4, "classes");
  const ValueId loss = graph.add_node(cross_entropy(0.5), {logits, labels}, "loss").at(0);
  graph.mark_output(loss);
  append_updates(graph, append_gradients(graph, loss), optimizer);
  return graph;
}

// A weight of 925,876 bytes, which is no whole number of cache lines.
inline Graph wide_step() {
  Graph graph;
  const ValueId x = graph.add_input("x", {{2, 301}});
  const ValueId wide = graph.add_node({"relu", {}}, {add_dense(graph, x, 301, 769, "wide")}, "relu").at(0);
  return trained_to_classify(graph, wide, 769, adam());
}

inline Graph rnn_step() {
  Graph graph;
  const ValueId gates = add_gates(graph, add_words(graph, 3), 3, 4, "gates");
  const ValueId weight = graph.add_parameter("rnn.weight", {4, 4});
  const ValueId bias = graph.add_parameter("rnn.bias", {4});
  const Op rnn{"simple_rnn", {{"activation", std::string("tanh")}, {"reverse", std::int64_t{0}}}};
  const ValueId start = add_fill(graph, {2, 4}, 0, "start");
  const ValueId last = graph.add_node(rnn, {gates, weight, bias, start}, "rnn").at(1);
  const Op dropout{"dropout", {{"rate", 0.3}, {"stream", std::int64_t{1}}}};
  const ValueId kept = graph.add_node(dropout, {last}, "dropout").at(0);
  return trained_to_classify(graph, kept, 4, sgd(0.9));
}

inline Graph lstm_step() {
  Graph graph;
  ValueId x = add_words(graph, 3);
  ValueId last;
  for (std::int64_t layer = 0; layer < 2; ++layer) {
    const std::string name = "lstm" + std::to_string(layer);
    const ValueId gates = add_gates(graph, x, 3, 12, name + ".gates");
    const ValueId weight = graph.add_parameter(name + ".weight", {12, 3});
    const ValueId bias = graph.add_parameter(name + ".bias", {12});
    const ValueId start = add_fill(graph, {2, 3}, 0, name + ".start");
    const Op lstm{"lstm", {{"reverse", layer}}};
    const std::vector<ValueId> outputs = graph.add_node(lstm, {gates, weight, bias, start, start}, name);
    x = outputs.at(0);
    last = outputs.at(1);
  }
  return trained_to_classify(graph, last, 3, adam());
}

inline Graph gan_step() {
  Graph graph;
  const ValueId real = graph.add_input("real", {{4, 4}});
  const Op normal{"random_normal", {{"shape", Integers{4, 3}}, {"stream", std::int64_t{1}}}};
  ValueId y = graph.add_node(normal, {}, "noise").at(0);
  y = add_dense(graph, y, 3, 6, "make1");
  const ValueId weight = graph.add_parameter("norm.weight", {6});
  const ValueId bias = graph.add_parameter("norm.bias", {6});
  y = graph.add_node({"batch_norm", {{"epsilon", 1e-5}}}, {y, weight, bias}, "norm").at(0);
  const ValueId fake = add_dense(graph, y, 6, 4, "make2");
  std::vector<ValueId> makers = graph.values_of(ValueKind::kParameter);

  std::vector<ValueId> judges;
  const auto parameter = [&](const std::string& name, const Shape& shape) {
    judges.push_back(graph.add_parameter(name, shape));
    return judges.back();
  };
  const ValueId weight1 = parameter("judge1.weight", {5, 4});
  const ValueId bias1 = parameter("judge1.bias", {5});
  const ValueId weight2 = parameter("judge2.weight", {1, 5});
  const ValueId bias2 = parameter("judge2.bias", {1});
  const auto judged = [&](ValueId x, const std::string& name) {
    ValueId logit = graph.add_node({"dense", {}}, {x, weight1, bias1}, name + "1").at(0);
    logit = graph.add_node({"leaky_relu", {{"alpha", 0.2}}}, {logit}, name + ".relu").at(0);
    return graph.add_node({"dense", {}}, {logit, weight2, bias2}, name + "2").at(0);
  };
  const ValueId ones = add_fill(graph, {4, 1}, 1, "ones");
  const ValueId zeros = add_fill(graph, {4, 1}, 0, "zeros");
  const Op loss{"binary_cross_entropy_with_logits", {{"scale", 0.25}}};
  const ValueId on_fake = judged(fake, "fake");
  const ValueId on_real = judged(real, "real_judged");
  const ValueId made = graph.add_node(loss, {on_fake, ones}, "made").at(0);
  const ValueId seen_fake = graph.add_node(loss, {on_fake, zeros}, "seen_fake").at(0);
  const ValueId seen_real = graph.add_node(loss, {on_real, ones}, "seen_real").at(0);
  const ValueId seen = graph.add_node({"add", {}}, {seen_fake, seen_real}, "seen").at(0);
  graph.mark_output(made);
  graph.mark_output(seen);
  append_updates(graph, append_gradients(graph, made, makers), adam());
  append_updates(graph, append_gradients(graph, seen, judges), adam());
  return graph;
}

}  // namespace skua::test
