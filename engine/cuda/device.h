// The GPUs of a runtime as devices.
#pragma once

#include <memory>
#include <string>

#include "libraries.h"
#include "skua/engine/device.h"

namespace skua::cuda {

struct DeviceOptions {
  std::string name;  // "cuda:0", "cuda:0.1"
  MemoryId memory;
  bool part = false;  // of a GPU, whose memory it shares with others
  Precision precision = {};
};

[[nodiscard]] std::unique_ptr<Device> make_device(std::unique_ptr<Gpu> gpu, const DeviceOptions& options);

// As open_cuda_devices, on the GPUs of `runtime`, which must outlive them.
[[nodiscard]] DeviceSet open_devices(Runtime& runtime, const std::string& spec, std::string& warning);

}  // namespace skua::cuda
