#include "skua/layers/devices.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <thread>

#include "skua/engine/cpu/cpu_device.h"
#include "skua/scheduler/cpu_spec.h"

namespace skua {

DeviceSet open_devices(const std::string& spec) {
  if (spec == "cpu") return make_cpu_devices(std::max(1, static_cast<int>(std::thread::hardware_concurrency())));
  if (const auto cpu = parse_cpu_spec(spec)) return make_cpu_devices(cpu->devices, cpu->threads);
  if (spec.starts_with("cuda")) {
    throw std::invalid_argument(
        fmt::format("[devices] expected cpu, cpu:N or cpu:NxT: this build has no CUDA devices, got '{}'", spec));
  }
  throw std::invalid_argument(
      fmt::format("[devices] expected cpu, cpu:N (N devices of one thread) or cpu:NxT (N of T threads), at most {} "
                  "threads in all, got '{}'",
                  CpuSpec::kMostThreads, spec));
}

}  // namespace skua
