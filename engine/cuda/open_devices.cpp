#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "device.h"
#include "device_spec.h"
#include "skua/engine/host_memory.h"

namespace skua::cuda {
namespace {

// Placeholders until links are measured: data sheets, in one direction, less what protocols take.
constexpr double kHostBytesPerSecond = 25e9;  // PCIe 5 x16 has 63e9, shared with others, PCIe 4 x16 31.5e9
constexpr double kPeerBytesPerSecond = 50e9;  // between GPUs over PCIe 5; NVLink has several times that
constexpr double kLatencySeconds = 10e-6;

std::vector<int> find_gpus(Runtime& runtime, const DevicesSpec& spec, const std::string& text) {
  std::string why;
  const int count = runtime.gpu_count(why);
  if (count == 0) {
    throw std::invalid_argument(fmt::format("[devices] expected a CUDA device, this machine has none: {}", why));
  }
  std::vector<int> ordinals = spec.ordinals;
  if (ordinals.empty()) {
    ordinals.resize(count);
    std::iota(ordinals.begin(), ordinals.end(), 0);
  }
  if (*std::max_element(ordinals.begin(), ordinals.end()) < count) return ordinals;
  const std::string there =
      count == 1 ? "GPU 0, the only one" : fmt::format("one of the {0} GPUs 0 to {1}", count, count - 1);
  throw std::invalid_argument(fmt::format("[devices] expected {}, got '{}'", there, text));
}

struct Opened {
  int ordinal;
  double bytes_per_second;  // of its GPU's memory
};

std::vector<LinkSpec> links_between(const std::vector<DeviceSpec>& specs, const std::vector<Opened>& opened) {
  std::vector<LinkSpec> links;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    links.push_back({kHostMemory, specs[i].memory, kHostBytesPerSecond, kLatencySeconds});
    links.push_back({specs[i].memory, kHostMemory, kHostBytesPerSecond, kLatencySeconds});
    for (std::size_t j = 0; j < specs.size(); ++j) {
      if (i == j) continue;
      // Within a GPU each byte is read and written.
      const bool same = opened[i].ordinal == opened[j].ordinal;
      const double bytes_per_second = same ? opened[i].bytes_per_second / 2 : kPeerBytesPerSecond;
      links.push_back({specs[i].memory, specs[j].memory, bytes_per_second, kLatencySeconds});
    }
  }
  return links;
}

}  // namespace

DeviceSet open_devices(Runtime& runtime, const std::string& text, std::string& warning) {
  const DevicesSpec wanted = parse_devices_spec(text);
  const std::vector<int> ordinals = find_gpus(runtime, wanted, text);
  DeviceSet set;
  std::vector<DeviceSpec> specs;
  std::vector<MemorySpec> memories{{"host", host_memory_bytes()}};
  std::vector<Opened> opened;
  for (const int ordinal : ordinals) {
    int part = 0;
    for (auto& gpu : runtime.open(ordinal, wanted.parts, warning)) {
      opened.push_back({ordinal, gpu->info().bytes_per_second * wanted.parts});
      const bool is_part = wanted.parts > 1;
      const std::string name = is_part ? fmt::format("cuda:{}.{}", ordinal, part++) : fmt::format("cuda:{}", ordinal);
      const MemoryId memory(static_cast<std::int64_t>(memories.size()));
      set.devices.push_back(make_device(std::move(gpu), {name, memory, is_part, wanted.precision}));
      specs.push_back(set.devices.back()->spec());
      memories.push_back({name, set.devices.back()->memory_bytes()});
    }
  }
  if (ordinals.size() > 1) runtime.enable_peers(ordinals);
  std::vector<LinkSpec> links = links_between(specs, opened);
  set.cluster = Cluster(text, std::move(specs), std::move(memories), std::move(links));
  return set;
}

}  // namespace skua::cuda
