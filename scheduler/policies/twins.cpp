#include "twins.h"

#include <algorithm>

namespace skua {
namespace {

bool same_times(const CostTable& costs, DeviceId a, DeviceId b) {
  for (std::size_t i = 0; i < costs.graph().task_count(); ++i) {
    const TaskId task(static_cast<std::int64_t>(i));
    if (costs.seconds(task, a) != costs.seconds(task, b)) return false;
  }
  return true;
}

// From each to the other, and between them and all other memories.
bool same_links(const Cluster& cluster, MemoryId x, MemoryId y) {
  const auto same = [&](MemoryId a, MemoryId b, MemoryId c, MemoryId d) {
    const auto seconds = [&](double bytes, MemoryId from, MemoryId to) {
      return cluster.copy_seconds(bytes, from, to);
    };
    return seconds(0, a, b) == seconds(0, c, d) && seconds(1e6, a, b) == seconds(1e6, c, d);
  };
  if (!same(x, y, y, x)) return false;
  for (std::size_t m = 0; m < cluster.memory_count(); ++m) {
    const MemoryId other(static_cast<std::int64_t>(m));
    if (other == x || other == y) continue;
    if (!same(x, other, y, other) || !same(other, x, other, y)) return false;
  }
  return true;
}

bool are_twins(const CostTable& costs, DeviceId a, DeviceId b) {
  const Cluster& cluster = costs.cluster();
  const auto alone = [&](MemoryId memory) {
    return std::count_if(cluster.devices().begin(), cluster.devices().end(),
                         [&](const DeviceSpec& d) { return d.memory == memory; }) == 1;
  };
  if (cluster.device(a).most_busy_seconds != cluster.device(b).most_busy_seconds) return false;
  if (!same_times(costs, a, b)) return false;
  const MemoryId x = cluster.device(a).memory;
  const MemoryId y = cluster.device(b).memory;
  if (x == y) return true;
  if (!alone(x) || !alone(y) || x == kHostMemory || y == kHostMemory) return false;
  return cluster.memory(x).capacity_bytes == cluster.memory(y).capacity_bytes && same_links(cluster, x, y);
}

}  // namespace

std::vector<DeviceId> twins(const CostTable& costs) {
  std::vector<DeviceId> twins(costs.cluster().device_count());
  for (std::size_t d = 0; d < twins.size(); ++d) {
    for (std::size_t e = d; e-- > 0 && !twins[d].valid();) {
      const DeviceId before(static_cast<std::int64_t>(e));
      if (are_twins(costs, before, DeviceId(static_cast<std::int64_t>(d)))) twins[d] = before;
    }
  }
  return twins;
}

}  // namespace skua
