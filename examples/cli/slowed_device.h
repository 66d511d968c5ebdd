// A device that takes so many times as long for each kernel as it needs, while it is told to: for measuring what the
// scheduler does about it.
#pragma once

#include <atomic>
#include <memory>

#include "skua/engine/device.h"

namespace skua::cli {

// `factor`: 1 is the device as it is. It keeps its processor busy for the rest. REQUIRES: a device that works
// synchronously.
[[nodiscard]] std::unique_ptr<Device> slowed(std::unique_ptr<Device> device,
                                             std::shared_ptr<const std::atomic<double>> factor);

}  // namespace skua::cli
