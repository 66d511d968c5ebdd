// Steps of a few operators with round times, so that schedules can be worked out by hand.
#pragma once

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "skua/scheduler/plan.h"

namespace skua::test {

inline const ValueType kThousandFloats{{1000}};  // 4000 bytes: kCopySeconds over a link of tiny_cluster

// x -> relu -> sigmoid -> tanh.
inline Graph chain_graph() {
  Graph graph;
  ValueId y = graph.add_input("x", kThousandFloats);
  for (const char* type : {"relu", "sigmoid", "tanh"}) y = graph.add_node({type, {}}, {y}, type).at(0);
  return graph;
}

// add(relu(x), sigmoid(x)).
inline Graph fork_join_graph() {
  Graph graph;
  const ValueId x = graph.add_input("x", kThousandFloats);
  const ValueId a = graph.add_node({"relu", {}}, {x}, "relu").at(0);
  const ValueId b = graph.add_node({"sigmoid", {}}, {x}, "sigmoid").at(0);
  graph.add_node({"add", {}}, {a, b}, "add");
  return graph;
}

inline Graph relu_graph() {
  Graph graph;
  graph.add_node({"relu", {}}, {graph.add_input("x", kThousandFloats)}, "relu");
  return graph;
}

// As if the operator had been measured often enough to count.
inline void measured(CostModel& model, const std::string& signature, const std::string& kind, double seconds) {
  for (std::size_t i = 0; i < CostModel::kMinSamples; ++i) model.observe(signature, kind, seconds);
}

// With devices that were measured to wake after so long.
inline CostModel waking_after(double seconds, CostModel model, const std::string& kind = "k") {
  for (std::size_t i = 0; i < CostModel::kMinSamples; ++i) model.observe_wake(kind, seconds);
  return model;
}

// Measured: relu 1 s, sigmoid 2 s, tanh 3 s, add 4 s, sums of gradients 5 s, updates 6 s.
inline CostModel tiny_costs(const TaskGraph& graph) {
  CostModel model;
  for (const CostKey& key : graph.cost_keys()) {
    double seconds = 0;
    for (const char* type : {"relu(", "sigmoid(", "tanh(", "add(", "reduce(", "sgd_update{"}) {
      ++seconds;
      if (!key.signature.starts_with(type)) continue;
      measured(model, key.signature, "k", seconds);
    }
  }
  return model;
}

inline constexpr double kCopySeconds = 1.5;  // 0.5 s latency, 4000 bytes at 4000 bytes a second

// Devices "a", "b" of kind "k", each with a memory of its own, or both in the host's.
inline Cluster tiny_cluster(bool own_memories, bool direct_link = true, bool copy_engines = false) {
  const auto device = [&](const char* name, int memory) {
    return DeviceSpec{name, "k", MemoryId(own_memories ? memory : 0), 1, 1, 0, copy_engines};
  };
  std::vector<MemorySpec> memories{{"host", 1e9}};
  std::vector<LinkSpec> links;
  const auto link = [&](int from, int to) {
    links.push_back({MemoryId(from), MemoryId(to), 4000, 0.5});
    links.push_back({MemoryId(to), MemoryId(from), 4000, 0.5});
  };
  if (own_memories) {
    memories.push_back({"a", 1e9});
    memories.push_back({"b", 1e9});
    link(0, 1);
    link(0, 2);
    if (direct_link) link(1, 2);
  }
  return Cluster("tiny", {device("a", 1), device("b", 2)}, memories, links);
}

// Task i on device devices[i], all of one priority.
inline Plan plan_on(const std::vector<int>& devices) {
  Plan plan;
  for (const int device : devices) plan.placements.push_back({DeviceId(device), 0});
  return plan;
}

// tiny_cluster with a second device of a kind of its own, "b".
inline Cluster two_kinds(bool own_memories) {
  const Cluster base = tiny_cluster(own_memories);
  std::vector<DeviceSpec> devices = base.devices();
  devices[1].kind.assign(1, 'b');  // GCC 12 warns of an assignment
  return Cluster("two kinds", devices, base.memories(), base.links());
}

// By task, its seconds on the kinds "k" and "b". REQUIRES: no two tasks do the same.
inline CostModel costs_by_task(const TaskGraph& graph, const std::vector<std::pair<double, double>>& seconds) {
  CostModel model;
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    const Task& task = graph.task(TaskId(static_cast<std::int64_t>(i)));
    const std::string& signature = graph.cost_keys()[task.cost_key.index()].signature;
    measured(model, signature, "k", seconds[i].first);
    measured(model, signature, "b", seconds[i].second);
  }
  return model;
}

}  // namespace skua::test
