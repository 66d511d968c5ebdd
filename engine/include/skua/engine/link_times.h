// How fast data move between the memories of devices, by copying.
#pragma once

#include "skua/engine/device.h"

namespace skua {

// The devices' cluster with the latency and the bandwidth of each of its links as measured: of copies one behind
// another that are short, and what more bytes add to that. Takes tens of milliseconds a link; nothing else may use the
// devices. Passes on what they throw, std::bad_alloc included.
[[nodiscard]] Cluster measure_links(DeviceSet& devices);

}  // namespace skua
