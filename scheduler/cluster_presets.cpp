#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "cluster_file.h"
#include "skua/scheduler/cluster.h"
#include "skua/scheduler/cpu_spec.h"

namespace skua {

namespace {

// Models: a CPU thread's figures are those of a common server core, a GPU's are fractions of its data sheet that
// kernels of training steps keep up. Measured times replace them where there are any.
constexpr double kThreadFlops = 60e9;
constexpr double kThreadBytesPerSecond = 12e9;
constexpr double kCpuMemoryBytes = 16e9;
constexpr double kGpuHostBytes = 512e9;
constexpr double kLaunchSeconds = 5e-6;
constexpr double kSustainedFlops = 0.6;
constexpr double kSustainedMemory = 0.8;
constexpr double kSustainedLink = 0.8;
constexpr double kPcieLatency = 10e-6;
constexpr double kNvlinkLatency = 5e-6;
constexpr double kNetworkLatency = 10e-6;
constexpr std::string_view kCpuPrefix = "cpu:";

// Data sheet figures; float32, links per direction.
struct GpuModel {
  std::string kind;
  double flops_per_second;
  double bytes_per_second;
  double memory_bytes;
  double pcie_bytes_per_second;
  double nvlink_bytes_per_second;  // 0: none
};

// NVIDIA's data sheets "H100 Tensor Core GPU" (SXM, PCIe), "H200 Tensor Core GPU" (SXM) and "A100 80GB" (SXM, PCIe):
// both directions of NVLink together move 900 and 600 GB/s, of PCIe 128 (gen5) and 64 GB/s (gen4).
const GpuModel kH100{"h100", 67e12, 3.35e12, 80e9, 64e9, 450e9};
const GpuModel kH200{"h200", 67e12, 4.8e12, 141e9, 64e9, 450e9};
const GpuModel kA100{"a100", 19.5e12, 2.039e12, 80e9, 32e9, 300e9};
const GpuModel kH100Pcie{"h100-pcie", 51e12, 2e12, 80e9, 64e9, 0};
const GpuModel kA100Pcie{"a100-pcie", 19.5e12, 1.935e12, 80e9, 32e9, 0};

// InfiniBand NDR, a port of 400 Gb/s for every GPU: NVIDIA's "ConnectX-7" data sheet.
constexpr double kNetworkBytesPerSecond = 50e9;

struct GpuGroup {
  const GpuModel* model;
  int count;
  int node = 0;  // the host's memory is node 0's
};

struct GpuMachine {
  ClusterPreset preset;
  std::vector<GpuGroup> groups;
};

const std::vector<GpuMachine>& gpu_machines() {
  static const std::vector<GpuMachine> machines = {
      {{"h100x8-nvlink", "8 H100 SXM with NVLink and PCIe gen5; a model after NVIDIA's H100 data sheet"},
       {{&kH100, 8}}},
      {{"h200x8-nvlink", "8 H200 SXM with NVLink and PCIe gen5; a model after NVIDIA's H200 data sheet"},
       {{&kH200, 8}}},
      {{"a100x8-nvlink", "8 A100 SXM 80 GB with NVLink and PCIe gen4; a model after NVIDIA's A100 data sheet"},
       {{&kA100, 8}}},
      {{"a100x4-pcie",
        "4 A100 PCIe 80 GB, linked through the host by PCIe gen4; a model after NVIDIA's A100 data sheet"},
       {{&kA100Pcie, 4}}},
      {{"h100x4-a100x4-pcie",
        "4 H100 PCIe and 4 A100 PCIe 80 GB, linked through the host; a model after NVIDIA's data sheets"},
       {{&kH100Pcie, 4}, {&kA100Pcie, 4}}},
      {{"2x-h100x4-nvlink",
        "two nodes of 4 H100 SXM with NVLink, InfiniBand NDR between them; a model after NVIDIA's data sheets"},
       {{&kH100, 4, 0}, {&kH100, 4, 1}}},
  };
  return machines;
}

Cluster gpu_cluster(const GpuMachine& machine) {
  std::vector<GpuGroup> gpus;  // one each
  for (const GpuGroup& group : machine.groups) {
    gpus.insert(gpus.end(), static_cast<std::size_t>(group.count), {group.model, 1, group.node});
  }
  std::vector<DeviceSpec> devices;
  std::vector<MemorySpec> memories{{"host", kGpuHostBytes}};
  std::vector<LinkSpec> links;
  for (std::size_t i = 0; i < gpus.size(); ++i) {
    const GpuModel& model = *gpus[i].model;
    const std::string name = fmt::format("gpu:{}", i);
    const MemoryId memory(static_cast<std::int64_t>(i) + 1);
    memories.push_back({name, model.memory_bytes});
    devices.push_back({name, model.kind, memory, model.flops_per_second * kSustainedFlops,
                       model.bytes_per_second * kSustainedMemory, kLaunchSeconds, true});
    const bool remote = gpus[i].node != 0;
    const double to_host = remote ? kNetworkBytesPerSecond : model.pcie_bytes_per_second;
    const double host_latency = remote ? kNetworkLatency : kPcieLatency;
    links.push_back({kHostMemory, memory, to_host * kSustainedLink, host_latency});
    links.push_back({memory, kHostMemory, to_host * kSustainedLink, host_latency});
    for (std::size_t other = 0; other < gpus.size(); ++other) {
      const bool apart = gpus[other].node != gpus[i].node;
      const double direct = apart ? kNetworkBytesPerSecond : model.nvlink_bytes_per_second;
      if (other == i || direct == 0) continue;
      links.push_back({memory, MemoryId(static_cast<std::int64_t>(other) + 1), direct * kSustainedLink,
                       apart ? kNetworkLatency : kNvlinkLatency});
    }
  }
  return Cluster(machine.preset.name, std::move(devices), std::move(memories), std::move(links));
}

Cluster cpu_cluster(const std::string& preset) {
  const std::optional<CpuSpec> spec = parse_cpu_spec(preset);
  if (!spec) {
    throw std::invalid_argument(
        fmt::format("[cluster {}] expected cpu:N or cpu:NxT, N devices of T threads, at least 1 of each and at most {} "
                    "threads in all, got '{}'",
                    preset, CpuSpec::kMostThreads, preset.substr(kCpuPrefix.size())));
  }
  const int count = spec->devices;
  const int threads = spec->threads;
  std::vector<DeviceSpec> devices;
  for (int i = 0; i < count; ++i) {
    devices.push_back({fmt::format("cpu:{}", i), fmt::format("cpux{}", threads), kHostMemory, threads * kThreadFlops,
                       threads * kThreadBytesPerSecond, kLaunchSeconds, false});
  }
  std::string name = threads == 1 ? fmt::format("cpu:{}", count) : fmt::format("cpu:{}x{}", count, threads);
  return Cluster(std::move(name), std::move(devices), {{"host", kCpuMemoryBytes}}, {});
}

}  // namespace

std::vector<ClusterPreset> cluster_presets() {
  std::vector<ClusterPreset> presets{
      {"cpu:N", "N devices of one CPU thread each in the host's memory; a model of a common server core"},
      {"cpu:NxT", "N devices of T CPU threads each in the host's memory; a model of a common server core"}};
  for (const GpuMachine& machine : gpu_machines()) presets.push_back(machine.preset);
  return presets;
}

Cluster make_cluster(const std::string& preset_or_file) {
  if (preset_or_file.starts_with(kCpuPrefix)) return cpu_cluster(preset_or_file);
  for (const GpuMachine& machine : gpu_machines()) {
    if (machine.preset.name == preset_or_file) return gpu_cluster(machine);
  }
  if (std::filesystem::is_regular_file(preset_or_file)) return load_cluster(preset_or_file);
  std::vector<std::string> names;
  for (const ClusterPreset& preset : cluster_presets()) names.push_back(preset.name);
  throw std::invalid_argument(
      fmt::format("[cluster {}] expected a preset ({}) or the path of a cluster file, got neither", preset_or_file,
                  fmt::join(names, ", ")));
}

}  // namespace skua
