// Devices by name.
#pragma once

#include <string>

#include "skua/engine/device.h"

namespace skua {

// "cpu:N": N devices of one thread; "cpu:NxT": N of T threads; "cpu": one device of one thread per core.
// Throws std::invalid_argument saying what was expected.
[[nodiscard]] DeviceSet open_devices(const std::string& spec);

}  // namespace skua
