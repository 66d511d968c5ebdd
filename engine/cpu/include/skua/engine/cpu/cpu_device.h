// The CPU as logical devices: each a number of threads, kernels by oneDNN. Bits are equal at equal threads per device.
#pragma once

#include <memory>

#include "skua/engine/device.h"

namespace skua {

struct CpuDeviceOptions {
  int index = 0;    // in the name: "cpu:0"
  int threads = 1;  // of one kernel; >= 1
  // Not kHostMemory: the device computes in memory of its own, and data move to and from it by copies, as with an
  // accelerator. For measuring and testing transfers.
  MemoryId memory = kHostMemory;
};

[[nodiscard]] std::unique_ptr<Device> make_cpu_device(const CpuDeviceOptions& options);

// `count` devices of `threads` threads and their cluster. `private_memory`: each in a memory of its own.
[[nodiscard]] DeviceSet make_cpu_devices(int count, int threads = 1, bool private_memory = false);

}  // namespace skua
