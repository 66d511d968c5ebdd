// The machine that a plan is for: devices, the memories that they compute in, and the links between memories.
// Knows no hardware: figures come from a preset, a file, or a device that describes itself. A plain value.
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "skua/graph/ids.h"

namespace skua {

using DeviceId = Id<struct DeviceTag>;
using MemoryId = Id<struct MemoryTag>;

inline constexpr MemoryId kHostMemory{0};  // every cluster's memory 0: where batches come from and results go

struct DeviceSpec {
  std::string name;               // unique: "cpu:0"
  std::string kind;               // devices of one kind give the same bits and share measured times: "cpux1", "h100"
  MemoryId memory = kHostMemory;  // where its kernels read and write
  double flops_per_second = 0;    // sustained, float32
  double bytes_per_second = 0;    // sustained, of its memory
  double launch_seconds = 0;      // fixed cost of one kernel
  bool copy_engine = false;       // copies into its memory run beside its kernels; else the device does them itself
  double most_busy_seconds = std::numeric_limits<double>::infinity();  // with tasks, in one step
};

struct MemorySpec {
  std::string name;
  double capacity_bytes = 0;
};

// One direction. A pair of memories with no link of its own is served through the host: both links' times add up.
struct LinkSpec {
  MemoryId from;
  MemoryId to;
  double bytes_per_second = 0;
  double latency_seconds = 0;
  bool parallel = false;  // any number of copies at once, each at full speed, as scheduling theory has it; else one
};

class Cluster {
 public:
  Cluster() = default;
  // Throws std::invalid_argument naming what is wrong: no device, a duplicate name, an id out of range, a figure that
  // is not in [1e-30,1e30] (launch_seconds and latency_seconds may be 0, most_busy_seconds infinite), a memory that no
  // link connects to the host, more than 2048 memories.
  Cluster(std::string name, std::vector<DeviceSpec> devices, std::vector<MemorySpec> memories,
          std::vector<LinkSpec> links);

  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::size_t device_count() const { return devices_.size(); }
  [[nodiscard]] std::size_t memory_count() const { return memories_.size(); }
  [[nodiscard]] const DeviceSpec& device(DeviceId id) const { return devices_.at(id.index()); }
  [[nodiscard]] const MemorySpec& memory(MemoryId id) const { return memories_.at(id.index()); }
  [[nodiscard]] const std::vector<DeviceSpec>& devices() const { return devices_; }
  [[nodiscard]] const std::vector<MemorySpec>& memories() const { return memories_; }
  [[nodiscard]] const std::vector<LinkSpec>& links() const { return links_; }

  // How many devices share the memory, where there is only one; else 1.
  [[nodiscard]] int sharers() const { return memory_count() == 1 ? static_cast<int>(device_count()) : 1; }

  // Seconds to move `bytes` over an idle link; 0 where from == to.
  [[nodiscard]] double copy_seconds(double bytes, MemoryId from, MemoryId to) const {
    const Route& route = routes_[from.index() * memories_.size() + to.index()];
    return route.latency_seconds + bytes * route.seconds_per_byte;
  }

 private:
  struct Route {
    double latency_seconds = 0;
    double seconds_per_byte = 0;
  };

  std::string name_;
  std::vector<DeviceSpec> devices_;
  std::vector<MemorySpec> memories_;
  std::vector<LinkSpec> links_;
  std::vector<Route> routes_;
};

// What is left where a device is lost: its memory goes with it, and that memory's links, unless it is the host's or
// another device computes in it; the ids that follow move up. Throws std::invalid_argument where it is the only device.
[[nodiscard]] Cluster without_device(const Cluster& cluster, DeviceId device);

// Presets: "cpu:N", "cpu:NxT" (N devices of T threads in the host's memory), "h100x8-nvlink", "a100x4-pcie", ...
struct ClusterPreset {
  std::string name;
  std::string description;  // one line, with the source of the figures
};
[[nodiscard]] std::vector<ClusterPreset> cluster_presets();

// A preset's name, or the path of a cluster file (protobuf's JSON form). Throws std::invalid_argument naming both
// possibilities where it is neither.
[[nodiscard]] Cluster make_cluster(const std::string& preset_or_file);
void save_cluster(const Cluster& cluster, const std::string& path);  // JSON; throws std::runtime_error

}  // namespace skua
