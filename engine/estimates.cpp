#include "skua/engine/estimates.h"

namespace skua {

void add_estimates(const TaskGraph& graph, const DeviceSet& devices, CostModel& costs) {
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const Task& task = graph.task(TaskId(static_cast<std::int64_t>(i)));
    if (task.kind != TaskKind::kCompute || task.micro_batch != 0) continue;
    CostKey key = graph.cost_keys()[task.cost_key.index()];
    const double flops = key.flops;
    for (const auto& device : devices.devices) {
      const double share = device->flops_share(graph.graph(), graph.graph().node(task.node));
      if (share == 1) continue;
      key.flops = share * flops;
      costs.set(key.signature, device->spec().kind, CostModel::roofline_seconds(key, device->spec()));
    }
  }
}

}  // namespace skua
