#include "skua/scheduler/constraints.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "constraints_file.h"
#include "graph/message_file.h"
#include "scheduler.pb.h"

namespace skua {
namespace {

double checked(const Constraints::Limit& limit, const char* what, double figure) {
  if (std::isfinite(figure) && figure > 0) return figure;
  throw std::invalid_argument(fmt::format("[limit {}] expected {} above 0, got {}", limit.device, what, figure));
}

}  // namespace

Constraints constraints_from(const proto::Constraints& file) {
  Constraints constraints;
  for (const auto& pin : file.pins()) {
    constraints.pins.push_back({pin.layer(), {pin.devices().begin(), pin.devices().end()}});
  }
  for (const auto& colocation : file.colocations()) {
    constraints.colocations.push_back({{colocation.layers().begin(), colocation.layers().end()}});
  }
  for (const auto& priority : file.priorities()) {
    constraints.priorities.push_back({priority.layer(), priority.priority()});
  }
  for (const auto& deadline : file.deadlines()) {
    constraints.deadlines.push_back({deadline.layer(), deadline.seconds()});
  }
  for (const auto& limit : file.limits()) {
    Constraints::Limit& added = constraints.limits.emplace_back();
    added.device = limit.device();
    if (limit.has_memory_bytes()) added.memory_bytes = limit.memory_bytes();
    if (limit.has_busy_seconds()) added.busy_seconds = limit.busy_seconds();
  }
  return constraints;
}

Constraints load_constraints(const std::string& path) {
  return load_message<proto::Constraints>(path, FileForm::kJson, "constraints", "constraints", constraints_from);
}

Cluster with_limits(const Cluster& cluster, const Constraints& constraints) {
  std::vector<DeviceSpec> devices = cluster.devices();
  std::vector<MemorySpec> memories = cluster.memories();
  for (const Constraints::Limit& limit : constraints.limits) {
    const auto device =
        std::find_if(devices.begin(), devices.end(), [&](const DeviceSpec& d) { return d.name == limit.device; });
    if (device == devices.end()) {
      throw std::invalid_argument(
          fmt::format("[limit] expected a device of {}, got '{}'", cluster.name(), limit.device));
    }
    if (limit.memory_bytes) {
      double& capacity = memories[device->memory.index()].capacity_bytes;
      capacity = std::min(capacity, checked(limit, "memory bytes", *limit.memory_bytes));
    }
    if (limit.busy_seconds) {
      device->most_busy_seconds =
          std::min(device->most_busy_seconds, checked(limit, "busy seconds", *limit.busy_seconds));
    }
  }
  return Cluster(cluster.name(), std::move(devices), std::move(memories), cluster.links());
}

}  // namespace skua
