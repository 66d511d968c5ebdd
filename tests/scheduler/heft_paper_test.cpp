// HEFT on the example of its paper: 10 tasks, 3 processors. Source: Topcuoglu, Hariri, Wu, "Performance-effective and
// low-complexity task scheduling for heterogeneous computing", IEEE TPDS 13(3), 2002, figures 2 and 3.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "scheduler/tiny_step.h"
#include "skua/graph/op_registry.h"
#include "skua/scheduler/policy.h"

namespace skua::test {
namespace {

constexpr int kTasks = 10;
constexpr int kProcessors = 3;

constexpr double kSeconds[kTasks][kProcessors] = {{14, 16, 9}, {13, 19, 18}, {11, 13, 19}, {13, 8, 17},  {12, 13, 10},
                                                  {13, 16, 9}, {7, 15, 11},  {5, 11, 14},  {18, 12, 20}, {21, 7, 16}};

struct Edge {
  int from;
  int to;
  std::int64_t copy_seconds;
};
constexpr Edge kEdges[] = {{0, 1, 18}, {0, 2, 12}, {0, 3, 9},  {0, 4, 11}, {0, 5, 14},
                           {1, 7, 19}, {1, 8, 16}, {2, 6, 23}, {3, 7, 27}, {3, 8, 23},
                           {4, 8, 13}, {5, 7, 15}, {6, 9, 17}, {7, 9, 11}, {8, 9, 13}};

// One output per edge, with as many elements as its copy takes seconds.
void register_example_op() {
  OpDefinition definition;
  definition.type = "heft_example";
  definition.infer = [](const Op& op, TypeSpan) {
    std::vector<ValueType> outputs;
    for (std::int64_t elements : op.attributes.integers("outputs")) outputs.push_back({Shape({elements})});
    return outputs;
  };
  register_op(std::move(definition));
}

Graph example_graph() {
  static const bool registered = (register_example_op(), true);
  EXPECT_TRUE(registered);
  Graph graph;
  std::map<std::pair<int, int>, ValueId> values;
  for (int task = 0; task < kTasks; ++task) {
    std::vector<ValueId> inputs;
    std::vector<std::int64_t> outputs;
    std::vector<std::pair<int, int>> edges;
    for (const Edge& edge : kEdges) {
      if (edge.to == task) inputs.push_back(values.at({edge.from, edge.to}));
      if (edge.from != task) continue;
      outputs.push_back(edge.copy_seconds);
      edges.emplace_back(edge.from, edge.to);
    }
    const Op op{"heft_example", {{"outputs", outputs}, {"task", std::int64_t{task}}}};
    const std::vector<ValueId> made = graph.add_node(op, inputs, fmt::format("n{}", task + 1));
    for (std::size_t i = 0; i < edges.size(); ++i) values[edges[i]] = made[i];
  }
  return graph;
}

// Four bytes a second and direction, so that an element takes a second.
Cluster example_cluster() {
  std::vector<DeviceSpec> devices;
  std::vector<MemorySpec> memories{{"host", 1e9}};
  std::vector<LinkSpec> links;
  for (int p = 0; p <= kProcessors; ++p) {
    if (p > 0) {
      const std::string name = fmt::format("P{}", p);
      devices.push_back({name, name, MemoryId(p), 1, 1, 0, false});
      memories.push_back({name, 1e9});
    }
    for (int q = 0; q <= kProcessors; ++q) {
      if (p != q) links.push_back({MemoryId(p), MemoryId(q), 4, 0});
    }
  }
  return Cluster("example", devices, memories, links);
}

// The example with its times.
struct Example {
  Example() {
    for (int task = 0; task < kTasks; ++task) {
      const CostKey& key = graph.cost_keys()[graph.task(TaskId(task)).cost_key.index()];
      for (int p = 0; p < kProcessors; ++p) {
        measured(model, key.signature, cluster.devices()[static_cast<std::size_t>(p)].kind, kSeconds[task][p]);
      }
    }
  }
  TaskGraph graph{example_graph(), 1};
  Cluster cluster = example_cluster();
  CostModel model;
};

// Priorities are the starts, negated.
double makespan_of(const Plan& plan) {
  double makespan = 0;
  for (std::size_t i = 0; i < kTasks; ++i) {
    const Placement& placement = plan.placements[i];
    makespan = std::max(makespan, -placement.priority + kSeconds[i][placement.device.index()]);
  }
  return makespan;
}

TEST(HeftPaper, MakespanIsEighty) {
  const Example example;
  const Plan plan = make_policy("heft")->make_plan(example.graph, example.cluster, example.model);
  // Figure 3(a): the processor and the start of each task.
  const std::pair<int, double> expected[kTasks] = {{3, 0},  {1, 27}, {3, 9},  {2, 18}, {3, 28},
                                                   {2, 26}, {3, 38}, {1, 57}, {2, 56}, {2, 73}};
  for (std::size_t i = 0; i < kTasks; ++i) {
    EXPECT_EQ(plan.placements[i].device.value + 1, expected[i].first) << "n" << i + 1;
    EXPECT_DOUBLE_EQ(-plan.placements[i].priority, expected[i].second) << "n" << i + 1;
  }
  EXPECT_DOUBLE_EQ(makespan_of(plan), 80);
}

// Figure 3(b): n1, n2, n9 and n10 are the critical path, and P2 is the fastest at it.
TEST(HeftPaper, CpopTakesEightySix) {
  const Example example;
  const Plan plan = make_policy("cpop")->make_plan(example.graph, example.cluster, example.model);
  for (const std::size_t critical : {0U, 1U, 8U, 9U}) EXPECT_EQ(plan.placements[critical].device.value + 1, 2);
  EXPECT_DOUBLE_EQ(makespan_of(plan), 86);
}

}  // namespace
}  // namespace skua::test
