// Valid plans without much sense: what every schedule must stand.
#pragma once

#include <vector>

#include "skua/graph/random.h"
#include "skua/scheduler/plan.h"

namespace skua::test {

// A plan with no placements yet.
inline Plan empty_plan(const TaskGraph& graph, const Cluster& cluster) {
  Plan plan;
  plan.policy = "test";
  plan.micro_batches = graph.micro_batches();
  plan.graph_fingerprint = graph.fingerprint();
  for (const DeviceSpec& device : cluster.devices()) plan.device_names.push_back(device.name);
  return plan;
}

// Everything on the first device, in order of ids.
inline Plan one_device_plan(const TaskGraph& graph, const Cluster& cluster) {
  Plan plan = empty_plan(graph, cluster);
  plan.placements.assign(graph.task_count(), {DeviceId(0), 0});
  return plan;
}

// Any device for any task, but for sums, which stay in the memory of their left operand.
inline Plan random_plan(const TaskGraph& graph, const Cluster& cluster, Random& random) {
  Plan plan = empty_plan(graph, cluster);
  const auto any_device = [&] { return DeviceId(static_cast<std::int64_t>(random.below(cluster.device_count()))); };
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    DeviceId device = any_device();
    if (graph.task(id).kind == TaskKind::kReduce) {
      const Datum& left = graph.datum(graph.inputs(id)[0]);
      const MemoryId memory = cluster.device(plan.placements[graph.datum(left.storage).producer.index()].device).memory;
      while (cluster.device(device).memory != memory) device = any_device();
    }
    plan.placements.push_back({device, random.uniform()});
  }
  return plan;
}

}  // namespace skua::test
