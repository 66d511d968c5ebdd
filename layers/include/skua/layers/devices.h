// Devices by name.
#pragma once

#include <functional>
#include <string>

#include "skua/engine/device.h"
#include "skua/engine/gpu_list.h"

namespace skua {

// "cpu:N": N devices of one thread; "cpu:NxT": N of T threads; "cpu": one device of one thread per core.
// Where built with CUDA, "cuda:0": GPU 0; "cuda:0,1": two GPUs; "cuda:0/4": GPU 0 as four devices.
// With ":tf32" or ":bfloat16" behind it, products and convolutions are computed in that (docs/gpu.md).
// Throws std::invalid_argument saying what was expected. `warning`, where not null, gets what the devices lack, if
// anything.
[[nodiscard]] DeviceSet open_devices(const std::string& spec, std::string* warning = nullptr);

// The GPUs that "cuda:..." names. Any thread.
[[nodiscard]] GpuList machine_gpus();

// Devices of one's own: names that are `prefix`, or begin with it and a colon, are opened by `open`. Throws
// std::invalid_argument where the prefix is taken. Any thread.
void register_devices(const std::string& prefix, std::function<DeviceSet(const std::string& spec)> open);

}  // namespace skua
