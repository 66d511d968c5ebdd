#include <algorithm>

#include "builtin.h"

namespace skua {
namespace {

// How many micro-batches each device gets: one after another to the device that would end its share first.
std::vector<int> block_sizes(const CostTable& costs, const std::vector<DeviceId>& devices) {
  const TaskGraph& graph = costs.graph();
  std::vector<double> seconds(devices.size(), 0);  // of one micro-batch
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    if (graph.task(id).kind != TaskKind::kCompute || graph.task(id).micro_batch != 0) continue;
    for (std::size_t d = 0; d < devices.size(); ++d) seconds[d] += seconds_here_or_elsewhere(costs, id, devices[d]);
  }
  std::vector<int> sizes(devices.size(), 0);
  for (int m = 0; m < graph.micro_batches(); ++m) {
    std::size_t best = 0;
    for (std::size_t d = 1; d < devices.size(); ++d) {
      if ((sizes[d] + 1) * seconds[d] < (sizes[best] + 1) * seconds[best]) best = d;
    }
    ++sizes[best];
  }
  return sizes;
}

// Updates in one shared memory can run anywhere: the longest first, each to the device with the least to do. Parts of
// sums go around.
void spread_updates(Plan& plan, const CostTable& costs, const std::vector<DeviceId>& devices) {
  const TaskGraph& graph = costs.graph();
  std::vector<TaskId> updates;
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    const Task& task = graph.task(id);
    if (task.kind == TaskKind::kUpdate) updates.push_back(id);
    if (task.kind != TaskKind::kReduce || task.part.count == 1) continue;
    plan.placements[i].device = devices[static_cast<std::size_t>(task.part.index) % devices.size()];
  }
  std::stable_sort(updates.begin(), updates.end(),
                   [&](TaskId a, TaskId b) { return costs.mean_seconds(a) > costs.mean_seconds(b); });
  std::vector<double> busy(devices.size(), 0);
  for (TaskId id : updates) {
    std::size_t best = 0;
    for (std::size_t d = 1; d < devices.size(); ++d) {
      if (busy[d] + costs.seconds(id, devices[d]) < busy[best] + costs.seconds(id, devices[best])) best = d;
    }
    busy[best] += costs.seconds(id, devices[best]);
    plan.placements[id.index()].device = devices[best];
  }
}

class DataParallel final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    return data_parallel_plan(costs, fastest_devices(costs));
  }
};

}  // namespace

Plan data_parallel_plan(const CostTable& costs, const std::vector<DeviceId>& devices) {
  const TaskGraph& graph = costs.graph();
  const Cluster& cluster = costs.cluster();
  Plan plan = blank_plan(costs);
  std::vector<DeviceId> owners;  // by micro-batch
  const std::vector<int> sizes = block_sizes(costs, devices);
  for (std::size_t d = 0; d < devices.size(); ++d) {
    owners.insert(owners.end(), static_cast<std::size_t>(sizes[d]), devices[d]);
  }
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    const Task& task = graph.task(id);
    // An update without a place of its own runs where the sums of gradients end up, with micro-batch 0.
    const std::size_t micro_batch = task.kind == TaskKind::kUpdate ? 0 : static_cast<std::size_t>(task.micro_batch);
    plan.placements[i].device = owners[micro_batch];
  }
  const MemoryId memory = cluster.device(devices.front()).memory;
  if (std::all_of(devices.begin(), devices.end(), [&](DeviceId d) { return cluster.device(d).memory == memory; })) {
    spread_updates(plan, costs, devices);
  }
  prioritize_depth_first(plan, graph);
  return plan;
}

std::unique_ptr<Policy> make_data_parallel_policy(const PolicyOptions&) {
  return std::make_unique<DataParallel>();
}

}  // namespace skua
