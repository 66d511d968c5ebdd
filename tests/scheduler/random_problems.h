// Random steps and clusters.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "skua/graph/random.h"
#include "skua/scheduler/cluster.h"
#include "skua/scheduler/task_graph.h"

namespace skua::test {

// 1 to 4 devices of up to two kinds, in one memory or in memories of their own.
inline Cluster random_cluster(Random& random) {
  const bool own_memories = random.below(2) == 1;
  std::vector<DeviceSpec> devices;
  std::vector<MemorySpec> memories{{"host", 1e9}};
  std::vector<LinkSpec> links;
  const auto count = static_cast<int>(random.below(4)) + 1;
  for (int i = 0; i < count; ++i) {
    DeviceSpec device{fmt::format("d:{}", i), "", MemoryId(own_memories ? i + 1 : 0), 1e9, 1e9, 1e-6, false};
    const bool slow = random.below(3) == 0;
    device.kind = slow ? "slow" : "fast";
    device.flops_per_second *= slow ? 0.4 : 1;
    device.copy_engine = random.below(2) == 1;
    devices.push_back(device);
    if (!own_memories) continue;
    memories.push_back({device.name, 1e9});
    const double speed = 1e8 * (1 + static_cast<double>(random.below(30)));
    links.push_back({kHostMemory, device.memory, speed, 1e-6});
    links.push_back({device.memory, kHostMemory, speed, 1e-6});
  }
  return Cluster("random", devices, memories, links);
}

// 3 to 30 operators of one or two inputs, each input one of the latest `width` values.
inline Graph random_dag(Random& random) {
  Graph graph;
  const ValueType type{{1 + static_cast<std::int64_t>(random.below(100000))}};
  const std::size_t width = 1 + random.below(8);
  std::vector<ValueId> values{graph.add_input("x", type)};
  const auto recent = [&] { return values[values.size() - 1 - random.below(std::min(width, values.size()))]; };
  const std::uint64_t count = 3 + random.below(28);
  for (std::uint64_t i = 0; i < count; ++i) {
    const std::string name = fmt::format("n{}", i);
    const bool join = random.below(2) == 1;
    const std::vector<ValueId> inputs = join ? std::vector{recent(), recent()} : std::vector{recent()};
    values.push_back(graph.add_node({join ? "add" : "tanh", {}}, inputs, name).at(0));
  }
  return graph;
}

}  // namespace skua::test
