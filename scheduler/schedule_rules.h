// Where a plan's placement puts data and copies. Pure.
#pragma once

#include "skua/scheduler/schedule.h"

namespace skua {

// The task in whose memory the datum lives; invalid: in the host's.
[[nodiscard]] TaskId home_task(const TaskGraph& graph, DatumId datum);
// Whose copy engine copies from one memory to another; invalid: the first reader's device does so itself.
[[nodiscard]] DeviceId copy_device(const Cluster& cluster, MemoryId from, MemoryId to);
[[nodiscard]] bool is_parallel_link(const Cluster& cluster, MemoryId from, MemoryId to);

}  // namespace skua
