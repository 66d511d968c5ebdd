// The task graph against one built by name, task by task and without any index.
#include "skua/scheduler/task_graph.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/fuzz_graphs.h"
#include "skua/graph/op_registry.h"

namespace skua::test {
namespace {

constexpr int kMicroBatches[] = {1, 2, 3, 5, 8};

struct ExpectedTask {
  std::string name;
  std::set<std::string> predecessors;
};

struct Sum {
  int distance;
  int left;
  friend auto operator<=>(const Sum&, const Sum&) = default;
};

// The sum of micro-batches [begin, end) is the sum of its largest aligned half and of the rest.
void add_sums(int begin, int end, int half, std::set<Sum>& sums) {
  if (end - begin <= 1 || half == 0) return;
  add_sums(begin, std::min(end, begin + half), half / 2, sums);
  add_sums(begin + half, end, half / 2, sums);
  if (begin + half < end) sums.insert({half, begin});
}

class Expected {
 public:
  Expected(const Graph& graph, int micro_batches) : graph_(graph), micro_batches_(micro_batches) {
    for (int m = 0; m < micro_batches; ++m) {
      for (const Node& node : graph.nodes()) {
        if (node.phase == Phase::kUpdate) continue;
        add_node(micro_batches == 1 ? node.name : fmt::format("{} [mb {}]", node.name, m), node, m);
      }
    }
    for (const Node& node : graph.nodes()) {
      if (node.phase == Phase::kUpdate) add_sums_of(node.inputs[1]);
    }
    for (const Node& node : graph.nodes()) {
      if (node.phase == Phase::kUpdate) add_node(node.name, node, 0);
    }
  }

  std::vector<ExpectedTask> tasks;

 private:
  using Instance = std::pair<ValueId, int>;

  void add_node(const std::string& name, const Node& node, int m) {
    ExpectedTask task{name, {}};
    for (const ValueId input : node.inputs) {
      if (made_.count({input, m}) != 0) task.predecessors.insert(made_.at({input, m}));
      const ValueKind kind = graph_.value(input).kind;
      if (kind != ValueKind::kParameter && kind != ValueKind::kState) continue;
      if (node.phase == Phase::kUpdate) task.predecessors.insert(readers_[input].begin(), readers_[input].end());
      readers_[input].insert(name);
    }
    for (const ValueId output : node.outputs) made_[{output, m}] = name;
    tasks.push_back(task);
  }

  void add_sums_of(ValueId gradient) {
    if (!summed_.insert(gradient).second) return;
    std::set<Sum> sums;
    add_sums(0, micro_batches_, 8, sums);
    for (const auto& [distance, left] : sums) {
      const int right = left + distance;
      const std::string name = fmt::format("reduce {} [mb {}+{}]", graph_.value(gradient).name, left, right);
      tasks.push_back({name, {made_.at({gradient, left}), made_.at({gradient, right})}});
      made_[{gradient, left}] = name;
    }
  }

  const Graph& graph_;
  int micro_batches_;
  std::map<Instance, std::string> made_;
  std::map<ValueId, std::set<std::string>> readers_;
  std::set<ValueId> summed_;
};

// Two losses, as in a GAN: the first parameter's update is followed by a second one of the same parameter.
Graph two_updates_graph() {
  Graph graph = training_graph(sgd(0.9));
  const ValueId weight = graph.find_value("fc.weight");
  graph.add_node(sgd(0.0), {weight, graph.find_value("grad(fc.weight)")}, "again", Phase::kUpdate);
  return graph;
}

// A value that one node reads twice.
Graph doubling_graph() {
  Graph graph;
  const ValueId y = graph.add_node({"relu", {}}, {graph.add_input("x", {{8}})}, "relu").at(0);
  graph.add_node({"add", {}}, {y, y}, "double");
  return graph;
}

std::vector<Graph> graphs() {
  return {LittleCnn().graph, training_graph(sgd(0.9)), training_graph(adam()), two_updates_graph(), doubling_graph()};
}

template <class Action>
void for_each_task(const TaskGraph& graph, Action action) {
  for (std::size_t i = 0; i < graph.task_count(); ++i) action(TaskId(static_cast<std::int64_t>(i)));
}

template <class Action>
void for_each_case(Action action) {
  for (const Graph& graph : graphs()) {
    for (const int m : kMicroBatches) {
      SCOPED_TRACE(fmt::format("{} nodes, {} micro-batches", graph.node_count(), m));
      action(TaskGraph(graph, m));
    }
  }
}

TEST(TaskGraph, HasTheExpectedTasksInOrder) {
  for_each_case([](const TaskGraph& graph) {
    const Expected expected(graph.graph(), graph.micro_batches());
    ASSERT_EQ(graph.task_count(), expected.tasks.size());
    for_each_task(graph, [&](TaskId id) {
      const ExpectedTask& task = expected.tasks[id.index()];
      EXPECT_EQ(graph.name(id), task.name);
      std::set<std::string> predecessors;
      for (const TaskId before : graph.predecessors(id)) {
        EXPECT_LT(before, id);
        EXPECT_TRUE(predecessors.insert(graph.name(before)).second);
      }
      EXPECT_EQ(predecessors, task.predecessors) << task.name;
    });
  });
}

TEST(TaskGraph, SuccessorsAndConsumersAreTheOtherDirection) {
  for_each_case([](const TaskGraph& graph) {
    std::vector<std::vector<TaskId>> successors(graph.task_count());
    std::vector<std::vector<TaskId>> consumers(graph.datum_count());
    for_each_task(graph, [&](TaskId id) {
      for (const TaskId before : graph.predecessors(id)) successors[before.index()].push_back(id);
      const auto inputs = graph.inputs(id);
      for (const DatumId input : std::set<DatumId>(inputs.begin(), inputs.end())) {
        consumers[input.index()].push_back(id);
      }
      for (const DatumId output : graph.outputs(id)) EXPECT_EQ(graph.datum(output).producer, id);
    });
    for_each_task(graph, [&](TaskId id) {
      EXPECT_TRUE(std::ranges::equal(graph.successors(id), successors[id.index()])) << graph.name(id);
    });
    for (std::size_t d = 0; d < consumers.size(); ++d) {
      EXPECT_TRUE(std::ranges::equal(graph.consumers(DatumId(static_cast<std::int64_t>(d))), consumers[d]));
    }
  });
}

TEST(TaskGraph, InputsAreTheValuesOfTheNode) {
  for_each_case([](const TaskGraph& graph) {
    for_each_task(graph, [&](TaskId id) {
      const Task& task = graph.task(id);
      if (task.kind == TaskKind::kReduce) return;
      std::vector<ValueId> values;
      for (const DatumId input : graph.inputs(id)) {
        const Datum& datum = graph.datum(input);
        values.push_back(datum.value);
        const ValueKind kind = graph.graph().value(datum.value).kind;
        const bool whole_step = kind == ValueKind::kParameter || kind == ValueKind::kState;
        EXPECT_EQ(datum.micro_batch, whole_step ? kWholeStep : std::max(task.micro_batch, 0));
        EXPECT_TRUE(task.kind == TaskKind::kUpdate || graph.datum_of(datum.value, task.micro_batch) == input);
      }
      EXPECT_EQ(values, graph.graph().node(task.node).inputs);
      EXPECT_EQ(graph.outputs(id).size(), graph.graph().node(task.node).outputs.size());
    });
  });
}

// The micro-batches whose gradients a datum is the sum of, left to right, and the storage it was made in.
void leaves(const TaskGraph& graph, DatumId id, std::vector<int>& found) {
  const Datum& datum = graph.datum(id);
  if (graph.task(datum.producer).kind == TaskKind::kCompute) {
    EXPECT_EQ(datum.storage, id);
    found.push_back(datum.micro_batch);
    return;
  }
  const auto operands = graph.inputs(datum.producer);
  ASSERT_EQ(operands.size(), 2U);
  EXPECT_EQ(datum.storage, graph.datum(operands[0]).storage);
  EXPECT_EQ(datum.micro_batch, graph.datum(operands[0]).micro_batch);
  leaves(graph, operands[0], found);
  leaves(graph, operands[1], found);
}

TEST(TaskGraph, SumsCoverEachMicroBatchOnce) {
  for_each_case([](const TaskGraph& graph) {
    std::vector<int> all;
    for (int m = 0; m < graph.micro_batches(); ++m) all.push_back(m);
    for_each_task(graph, [&](TaskId id) {
      if (graph.task(id).kind != TaskKind::kUpdate) return;
      const DatumId gradient = graph.inputs(id)[1];
      std::vector<int> found;
      leaves(graph, gradient, found);
      EXPECT_EQ(found, all) << graph.name(id);
      EXPECT_EQ(graph.datum(gradient).storage, graph.datum_of(graph.datum(gradient).value, 0));
    });
  });
}

TEST(TaskGraph, DataOfTheBoundaryAndOutputs) {
  const Graph graph = training_graph(adam());
  const TaskGraph tasks(graph, 3);
  const auto datum = [&](const char* name, int m) { return tasks.datum(tasks.datum_of(graph.find_value(name), m)); };
  EXPECT_EQ(tasks.datum_of(graph.find_value("fc.weight"), kWholeStep),
            tasks.datum_of(graph.find_value("fc.weight"), 2));
  EXPECT_EQ(datum("fc.weight", kWholeStep).micro_batch, kWholeStep);
  EXPECT_EQ(datum("fc.weight.m", kWholeStep).bytes, 4 * 4 * 27);
  EXPECT_EQ(datum("x", 2).micro_batch, 2);
  EXPECT_FALSE(datum("x", 2).producer.valid());
  EXPECT_EQ(datum("labels", 0).bytes, 2 * 4);
  int outputs = 0;
  for (std::size_t d = 0; d < tasks.datum_count(); ++d) outputs += tasks.datum(DatumId(static_cast<int>(d))).output;
  EXPECT_EQ(outputs, 3);
  for (int m = 0; m < 3; ++m) EXPECT_TRUE(datum("loss", m).output);
}

TEST(TaskGraph, CostKeysAreThoseOfTheOperators) {
  const Graph graph = training_graph(sgd(0.0));
  const TaskGraph tasks(graph, 2);
  const auto key = [&](const char* name) -> const CostKey& {
    for (std::size_t i = 0; i < tasks.task_count(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      if (tasks.name(id) == name) return tasks.cost_keys()[tasks.task(id).cost_key.index()];
    }
    throw std::invalid_argument(name);
  };
  EXPECT_EQ(key("relu1 [mb 1]").signature, "relu(float32(2,3,7,7))");
  EXPECT_EQ(key("fc [mb 0]").signature, "dense(float32(2,27),float32(4,27),float32(4))");
  EXPECT_EQ(key("fc [mb 0]").flops, cost_of(graph, graph.node(graph.find_node("fc"))).flops);
  EXPECT_EQ(key("fc [mb 0]").bytes, 4 * (2 * 27 + 4 * 27 + 4 + 2 * 4));
  EXPECT_EQ(key("reduce grad(fc.weight) [mb 0+1]").signature, "reduce(float32(4,27))");
  EXPECT_EQ(key("reduce grad(fc.weight) [mb 0+1]").flops, 4 * 27);
  EXPECT_EQ(key("reduce grad(fc.weight) [mb 0+1]").bytes, 3 * 4 * 4 * 27);
  EXPECT_EQ(key("fc.bias.update").signature,
            "sgd_update{momentum=0.0,nesterov=0,rate_factor=1.0,weight_decay=0.0}(float32(4),float32(4))");
  EXPECT_EQ(&key("relu1 [mb 0]"), &key("relu1 [mb 1]"));
  std::set<std::string> signatures;
  for (const CostKey& each : tasks.cost_keys()) EXPECT_TRUE(signatures.insert(each.signature).second);
}

TEST(TaskGraph, PartsOfArraysJoinAtCacheLines) {
  for (const std::size_t bytes : {0, 4, 60, 64, 68, 4096, 925876}) {
    for (int count = 1; count <= 5; ++count) {
      std::size_t end = 0;
      for (int index = 0; index < count; ++index) {
        const Part::Range range = Part{index, count}.of(bytes);
        EXPECT_EQ(range.begin, end);
        EXPECT_TRUE(range.end % 64 == 0 || range.end == bytes);
        EXPECT_LE(range.size(), bytes / static_cast<std::size_t>(count) + 64);
        end = range.end;
      }
      EXPECT_EQ(end, bytes);
    }
  }
}

std::set<std::string> names_of(const TaskGraph& graph, std::span<const TaskId> ids) {
  std::set<std::string> names;
  for (const TaskId id : ids) names.insert(graph.name(id));
  return names;
}

TEST(TaskGraph, LargeSumsAndUpdatesComeInParts) {
  Graph graph = wide_step();
  graph.add_node(sgd(0.0), {graph.find_value("wide.weight"), graph.find_value("grad(wide.weight)")}, "again",
                 Phase::kUpdate);
  const TaskGraph whole(graph, 2);
  const TaskGraph parts(graph, 2, {}, 4);
  EXPECT_EQ(parts.task_count(), whole.task_count() + 3 * 2);  // a sum and two updates, in three parts each
  std::map<std::string, TaskId> tasks;
  std::map<std::string, std::pair<double, double>> costs;  // flops and bytes by what the whole is called
  const auto add_costs = [&](const TaskGraph& of, double sign) {
    for_each_task(of, [&](TaskId id) {
      const std::string name = of.name(id);
      const CostKey& key = of.cost_keys()[of.task(id).cost_key.index()];
      auto& [flops, bytes] = costs[name.substr(0, name.find(" ["))];
      flops += sign * key.flops;
      bytes += sign * key.bytes;
    });
  };
  add_costs(whole, 1);
  add_costs(parts, -1);
  for (const auto& [name, cost] : costs) {
    EXPECT_NEAR(cost.first, 0, 1e-3) << name;
    EXPECT_NEAR(cost.second, 0, 1e-3) << name;
  }
  for_each_task(parts, [&](TaskId id) { tasks[parts.name(id)] = id; });
  const std::string sum = "reduce grad(wide.weight) [mb 0+1]";
  const std::set<std::string> sums{sum + " [1/3]", sum + " [2/3]", sum + " [3/3]"};
  for (int part = 0; part < 3; ++part) {
    const std::string suffix = fmt::format(" [{}/3]", part + 1);
    const TaskId update = tasks.at("wide.weight.update" + suffix);
    EXPECT_EQ(parts.task(update).part, (Part{part, 3}));
    EXPECT_EQ(parts.datum(parts.inputs(update)[1]).producer, tasks.at(sum + suffix));
    EXPECT_EQ(parts.datum(parts.inputs(update)[1]).storage, parts.datum_of(graph.find_value("grad(wide.weight)"), 0));
    std::set<std::string> before = sums;
    for (const char* reader : {"wide [mb 0]", "wide [mb 1]"}) before.insert(reader);
    EXPECT_EQ(names_of(parts, parts.predecessors(update)), before);
    for (int first = 1; first <= 3; ++first) before.insert(fmt::format("wide.weight.update [{}/3]", first));
    EXPECT_EQ(names_of(parts, parts.predecessors(tasks.at("again" + suffix))), before);
  }
}

TEST(TaskGraph, FingerprintTellsGraphAndMicroBatches) {
  std::set<std::string> fingerprints;
  for (const Graph& graph : graphs()) {
    for (const int m : kMicroBatches) {
      EXPECT_EQ(TaskGraph(graph, m).fingerprint(), TaskGraph(graph, m).fingerprint());
      fingerprints.insert(TaskGraph(graph, m).fingerprint());
    }
  }
  EXPECT_EQ(fingerprints.size(), graphs().size() * std::size(kMicroBatches));
  EXPECT_EQ(TaskGraph(graphs()[0], 2, {}, 4).fingerprint(), TaskGraph(graphs()[0], 2).fingerprint());
  for (const int sharers : {1, 2, 3}) fingerprints.insert(TaskGraph(wide_step(), 2, {}, sharers).fingerprint());
  EXPECT_EQ(fingerprints.size(), graphs().size() * std::size(kMicroBatches) + 3);
}

TEST(TaskGraph, RefusesWhatItCannotSplit) {
  Graph graph = training_graph(sgd(0.0));
  for (const int m : {0, -1}) {
    EXPECT_EQ(message_of([&] { TaskGraph(graph, m); }),
              fmt::format("[TaskGraph] expected 1 micro-batch or more, got {}", m));
  }
  EXPECT_EQ(message_of([&] { TaskGraph(graph, 1 << 30); }),
            fmt::format("[TaskGraph] expected fewer micro-batches of {} nodes, got {}", graph.node_count(), 1 << 30));
  EXPECT_EQ(message_of([&] { TaskGraph(graph, 1, {}, 0); }), "[TaskGraph] expected 1 sharer or more, got 0");
  graph.mark_output(graph.find_value("grad(fc.bias)"));
  EXPECT_EQ(TaskGraph(graph, 1).micro_batches(), 1);
  EXPECT_EQ(message_of([&] { TaskGraph(graph, 2); }),
            "[value grad(fc.bias)] expected a gradient that is summed over micro-batches to be read by updates alone, "
            "got another reader or a mark as output");
}

}  // namespace
}  // namespace skua::test
