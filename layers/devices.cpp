#include "skua/layers/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include "skua/engine/cpu/cpu_device.h"
#include "skua/scheduler/cpu_spec.h"
#ifdef SKUA_HAS_CUDA
#include "skua/engine/cuda/cuda_device.h"
#include "skua/engine/cuda/gpus.h"
#endif

namespace skua {
namespace {

using Opener = std::function<DeviceSet(const std::string&)>;

struct Openers {
  std::mutex mutex;
  std::map<std::string, Opener> by_prefix;
};
Openers& openers() {
  static Openers all;
  return all;
}

}  // namespace

void register_devices(const std::string& prefix, Opener open) {
  const std::scoped_lock lock(openers().mutex);
  if (prefix == "cpu" || prefix == "cuda" || !openers().by_prefix.emplace(prefix, std::move(open)).second) {
    throw std::invalid_argument(fmt::format("[devices] expected a new name, got '{}', which is taken", prefix));
  }
}

DeviceSet open_devices(const std::string& spec, [[maybe_unused]] std::string* warning) {
  Opener registered;
  {
    const std::scoped_lock lock(openers().mutex);
    const auto found = openers().by_prefix.find(spec.substr(0, spec.find(':')));
    if (found != openers().by_prefix.end()) registered = found->second;
  }
  if (registered) return registered(spec);
  if (spec == "cpu") return make_cpu_devices(std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
  if (const auto cpu = parse_cpu_spec(spec)) return make_cpu_devices(cpu->devices, cpu->threads);
  if (spec.starts_with("cuda")) {
#ifdef SKUA_HAS_CUDA
    return open_cuda_devices(spec, warning);
#else
    throw std::invalid_argument(
        fmt::format("[devices] expected cpu, cpu:N or cpu:NxT: this build has no CUDA devices, got '{}'", spec));
#endif
  }
  throw std::invalid_argument(
      fmt::format("[devices] expected cpu, cpu:N (N devices of one thread) or cpu:NxT (N of T threads), at most {} "
                  "threads in all, got '{}'",
                  CpuSpec::kMostThreads, spec));
}

GpuList machine_gpus() {
#ifdef SKUA_HAS_CUDA
  return list_gpus();
#else
  return {.gpus = {}, .why = "this build has no CUDA devices", .versions = ""};
#endif
}

}  // namespace skua
