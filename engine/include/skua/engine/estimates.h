// What tasks take before anything was measured, as the devices themselves know it.
#pragma once

#include "skua/engine/device.h"
#include "skua/scheduler/cost_model.h"

namespace skua {

// Sets the times of the nodes that a device runs with fewer FLOPs than the operators count (Device::flops_share): the
// roofline of those.
void add_estimates(const TaskGraph& graph, const DeviceSet& devices, CostModel& costs);

}  // namespace skua
