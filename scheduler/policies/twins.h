// Devices that can change places.
#pragma once

#include "builtin.h"

namespace skua {

// twins[d]: the largest device before d that could change places with it in any schedule: same times, same links, same
// memory or memories of their own of one size; invalid: none.
[[nodiscard]] std::vector<DeviceId> twins(const CostTable& costs);

}  // namespace skua
