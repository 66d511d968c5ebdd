// Which parts of a step's gradient sums a collective can do: where each memory that takes part makes one partial sum,
// the copies between memories and the reduces that read them become one sum over devices.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "skua/scheduler/trace.h"

namespace skua {

// Ranks are devices by id, each with a memory to itself.
struct CrossingSum {
  std::vector<DeviceId> devices;  // by rank
  std::vector<DatumId> partials;  // by rank: what its device has summed, in its memory
  std::size_t root = 0;           // the rank whose partial becomes the sum, in place
  std::size_t floats = 0;
  StepTaskId last;                // the reduce that makes the sum
  std::vector<StepTaskId> tasks;  // what it stands for: copies and reduces, `last` among them
};

// Sums that are done together when what the last of them stands for would run.
struct SumBucket {
  std::vector<CrossingSum> sums;  // of the same devices
};

// No bucket of several sums is larger: at 50e9 bytes a second, a fair link between GPUs, so much takes 84e-6 s, in
// which the 10e-6 s that a collective takes to start are lost once; larger ones would keep more updates waiting.
inline constexpr std::size_t kBucketBytes = std::size_t{4} << 20;

// In the order of `predicted`. Adds dependencies to the schedule: what follows a task that a sum stands for waits for
// its bucket, whose tasks have nothing to do but the last sum's `last`. Sums for which that would be a circle are left
// as they are.
[[nodiscard]] std::vector<SumBucket> plan_collectives(Schedule& schedule, const StepTrace& predicted,
                                                      std::size_t bucket_bytes = kBucketBytes);

}  // namespace skua
