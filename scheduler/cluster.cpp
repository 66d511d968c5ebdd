#include "skua/scheduler/cluster.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <stdexcept>

#include "cluster_file.h"
#include "graph/message_file.h"
#include "scheduler.pb.h"

namespace skua {

namespace {

// Times of what they measure, and sums of those, are finite.
constexpr double kLeastFigure = 1e-30;
constexpr double kMostFigure = 1e30;
constexpr std::size_t kMostMemories = 2048;  // there is a route between any two

void expect_positive(const std::string& owner, const char* what, double figure) {
  if (!(std::isfinite(figure) && figure > 0)) {
    throw std::invalid_argument(fmt::format("[{}] expected {} above 0, got {}", owner, what, figure));
  }
  if (figure < kLeastFigure || figure > kMostFigure) {
    throw std::invalid_argument(
        fmt::format("[{}] expected {} from {} to {}, got {}", owner, what, kLeastFigure, kMostFigure, figure));
  }
}

void expect_not_negative(const std::string& owner, const char* what, double figure) {
  if (!(std::isfinite(figure) && figure >= 0)) {
    throw std::invalid_argument(fmt::format("[{}] expected {} of 0 or more, got {}", owner, what, figure));
  }
  if (figure > kMostFigure) {
    throw std::invalid_argument(fmt::format("[{}] expected {} up to {}, got {}", owner, what, kMostFigure, figure));
  }
}

template <class Specs>
void expect_new_names(const Specs& specs, const char* what) {
  std::set<std::string> names;
  for (const auto& spec : specs) {
    if (spec.name.empty()) throw std::invalid_argument(fmt::format("[{}] expected a name, got an empty one", what));
    if (!names.insert(spec.name).second) {
      throw std::invalid_argument(fmt::format("[{} {}] expected a new name, got that of another one", what, spec.name));
    }
  }
}

void expect_memory(const std::string& owner, MemoryId memory, std::size_t count) {
  if (!memory.valid() || memory.index() >= count) {
    throw std::invalid_argument(fmt::format("[{}] expected a memory in [0,{}), got {}", owner, count, memory.value));
  }
}

void check_devices(const std::vector<DeviceSpec>& devices, std::size_t memory_count) {
  if (devices.empty()) throw std::invalid_argument("[cluster] expected 1 device or more, got none");
  expect_new_names(devices, "device");
  for (const DeviceSpec& device : devices) {
    const std::string owner = "device " + device.name;
    if (device.kind.empty()) throw std::invalid_argument(fmt::format("[{}] expected a kind, got an empty one", owner));
    expect_memory(owner, device.memory, memory_count);
    expect_positive(owner, "flops_per_second", device.flops_per_second);
    expect_positive(owner, "bytes_per_second", device.bytes_per_second);
    expect_not_negative(owner, "launch_seconds", device.launch_seconds);
    const bool limited = device.most_busy_seconds != std::numeric_limits<double>::infinity();
    if (limited) expect_positive(owner, "most_busy_seconds", device.most_busy_seconds);
  }
}

void check_memories(const std::vector<MemorySpec>& memories) {
  if (memories.empty()) throw std::invalid_argument("[cluster] expected the host's memory, got no memory");
  if (memories.size() > kMostMemories) {
    throw std::invalid_argument(
        fmt::format("[cluster] expected at most {} memories, got {}", kMostMemories, memories.size()));
  }
  expect_new_names(memories, "memory");
  for (const MemorySpec& memory : memories) {
    expect_positive("memory " + memory.name, "capacity_bytes", memory.capacity_bytes);
  }
}

}  // namespace

Cluster::Cluster(std::string name, std::vector<DeviceSpec> devices, std::vector<MemorySpec> memories,
                 std::vector<LinkSpec> links)
    : name_(std::move(name)), devices_(std::move(devices)), memories_(std::move(memories)), links_(std::move(links)) {
  check_memories(memories_);
  const std::size_t count = memories_.size();
  check_devices(devices_, count);

  std::vector<std::optional<Route>> direct(count * count);
  for (const LinkSpec& link : links_) {
    expect_memory("link", link.from, count);
    expect_memory("link", link.to, count);
    const std::string owner = fmt::format("link {}>{}", memory(link.from).name, memory(link.to).name);
    expect_positive(owner, "bytes_per_second", link.bytes_per_second);
    expect_not_negative(owner, "latency_seconds", link.latency_seconds);
    std::optional<Route>& route = direct[link.from.index() * count + link.to.index()];
    if (link.from == link.to || route) {
      throw std::invalid_argument(fmt::format("[{}] expected one link between two memories, got {}", owner,
                                              route ? "two" : "one from a memory to itself"));
    }
    route = Route{link.latency_seconds, 1 / link.bytes_per_second};
  }
  for (std::size_t m = 1; m < count; ++m) {
    if (direct[m] && direct[m * count]) continue;
    throw std::invalid_argument(
        fmt::format("[memory {}] expected a link {} the host, got none", memories_[m].name, direct[m] ? "to" : "from"));
  }
  routes_.resize(count * count);
  for (std::size_t from = 0; from < count; ++from) {
    for (std::size_t to = 0; to < count; ++to) {
      if (from == to) continue;
      const auto& route = direct[from * count + to];
      routes_[from * count + to] = route ? *route
                                         : Route{direct[from * count]->latency_seconds + direct[to]->latency_seconds,
                                                 direct[from * count]->seconds_per_byte + direct[to]->seconds_per_byte};
    }
  }
}

Cluster without_device(const Cluster& cluster, DeviceId lost) {
  std::vector<DeviceSpec> devices = cluster.devices();
  const DeviceSpec gone = cluster.device(lost);
  if (devices.size() == 1) {
    throw std::invalid_argument(
        fmt::format("[cluster {}] expected a device beside {}, which is lost, got none", cluster.name(), gone.name));
  }
  devices.erase(devices.begin() + static_cast<std::ptrdiff_t>(lost.index()));
  std::vector<MemorySpec> memories = cluster.memories();
  std::vector<LinkSpec> links = cluster.links();
  const MemoryId memory = gone.memory;
  const bool shared =
      std::any_of(devices.begin(), devices.end(), [&](const DeviceSpec& d) { return d.memory == memory; });
  if (memory != kHostMemory && !shared) {
    memories.erase(memories.begin() + static_cast<std::ptrdiff_t>(memory.index()));
    std::erase_if(links, [&](const LinkSpec& link) { return link.from == memory || link.to == memory; });
    const auto move_up = [&](MemoryId& id) { id = MemoryId(id > memory ? id.value - 1 : id.value); };
    for (DeviceSpec& device : devices) move_up(device.memory);
    for (LinkSpec& link : links) {
      move_up(link.from);
      move_up(link.to);
    }
  }
  return Cluster(fmt::format("{} without {}", cluster.name(), gone.name), std::move(devices), std::move(memories),
                 std::move(links));
}

Cluster cluster_from(const proto::Cluster& file) {
  std::vector<DeviceSpec> devices;
  for (const auto& device : file.devices()) {
    devices.push_back({device.name(), device.kind(), MemoryId(device.memory()), device.flops_per_second(),
                       device.bytes_per_second(), device.launch_seconds(), device.copy_engine()});
    if (device.has_most_busy_seconds()) devices.back().most_busy_seconds = device.most_busy_seconds();
  }
  std::vector<MemorySpec> memories;
  for (const auto& memory : file.memories()) memories.push_back({memory.name(), memory.capacity_bytes()});
  std::vector<LinkSpec> links;
  for (const auto& link : file.links()) {
    links.push_back(
        {MemoryId(link.from()), MemoryId(link.to()), link.bytes_per_second(), link.latency_seconds(), link.parallel()});
  }
  return Cluster(file.name(), std::move(devices), std::move(memories), std::move(links));
}

Cluster load_cluster(const std::string& path) {
  return load_message<proto::Cluster>(path, FileForm::kJson, "cluster", "a cluster", cluster_from);
}

void save_cluster(const Cluster& cluster, const std::string& path) {
  proto::Cluster file;
  file.set_name(cluster.name());
  for (const DeviceSpec& device : cluster.devices()) {
    auto& to = *file.add_devices();
    to.set_name(device.name);
    to.set_kind(device.kind);
    to.set_memory(device.memory.value);
    to.set_flops_per_second(device.flops_per_second);
    to.set_bytes_per_second(device.bytes_per_second);
    to.set_launch_seconds(device.launch_seconds);
    to.set_copy_engine(device.copy_engine);
    if (std::isfinite(device.most_busy_seconds)) to.set_most_busy_seconds(device.most_busy_seconds);
  }
  for (const MemorySpec& memory : cluster.memories()) {
    auto& to = *file.add_memories();
    to.set_name(memory.name);
    to.set_capacity_bytes(memory.capacity_bytes);
  }
  for (const LinkSpec& link : cluster.links()) {
    auto& to = *file.add_links();
    to.set_from(link.from.value);
    to.set_to(link.to.value);
    to.set_bytes_per_second(link.bytes_per_second);
    to.set_latency_seconds(link.latency_seconds);
    to.set_parallel(link.parallel);
  }
  write_message(file, path, FileForm::kJson, "save_cluster");
}

}  // namespace skua
