// Where every datum of a step lives: one arena per memory with offsets computed before the first step. Storage is used
// again within a micro-batch and between micro-batches, and an output takes the place of an input that nothing else
// needs any more; the plan adds the dependencies that make that safe under any order of execution and any stealing.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "skua/scheduler/in_place.h"
#include "skua/scheduler/schedule.h"
#include "skua/scheduler/trace.h"

namespace skua {

struct MemorySizes {
  std::function<std::size_t(ValueId, MemoryId)> value_bytes;  // storage of one instance, in the devices' layout
  std::function<std::size_t(LaneId)> scratch_bytes;           // working space of a lane
  bool saves_updates = false;                                 // room for what updates change
  // What a node may make in the place of what, the best first; null: nothing.
  std::function<std::span<const InPlace>(NodeId)> in_place = nullptr;
};
// Plain layouts and no scratch: for planning without devices.
[[nodiscard]] MemorySizes plain_sizes(const Schedule& schedule);

// Whether MemoryPlan finds room for the schedule, without stealing; faster than making one.
[[nodiscard]] bool fits_in_memory(const Schedule& schedule, const StepTrace& predicted, const MemorySizes& sizes);

inline constexpr std::size_t kNoOffset = static_cast<std::size_t>(-1);

class MemoryPlan {
 public:
  // `predicted` is the simulation of the schedule, which tells what is alive at the same time. Adds dependencies to
  // the schedule. With `stealing`, room for stolen tasks whose data live in another memory, and, where that fits, one
  // more set of micro-batch buffers per device than the prediction needs, so that an idle device can run ahead. Throws
  // std::invalid_argument "memory gpu:0 needs 90.1 GB, has 80.0 GB" where the step does not fit.
  MemoryPlan(Schedule& schedule, const StepTrace& predicted, const MemorySizes& sizes, bool stealing);

  [[nodiscard]] std::size_t arena_bytes(MemoryId memory) const { return arena_bytes_[memory.index()]; }
  // Offset in the memory's arena; kNoOffset where the datum never lies there (inputs in host memory stay with the
  // caller).
  [[nodiscard]] std::size_t offset(DatumId datum, MemoryId memory) const {
    return offsets_[datum.index() * arena_bytes_.size() + memory.index()];
  }
  [[nodiscard]] std::size_t scratch_offset(LaneId lane) const { return scratch_offsets_[lane.index()]; }
  // Working space for the inputs and outputs of one stolen task whose data live in another memory. kNoOffset where
  // there are no thefts or no other memories.
  [[nodiscard]] std::size_t staging_offset(LaneId lane) const { return staging_offsets_[lane.index()]; }

  // Where what an update changes is saved, one after another, each at an aligned place, in the memory where it is
  // planned; kNoOffset for other tasks, and where sizes ask for no such room.
  [[nodiscard]] std::size_t undo_offset(TaskId task) const { return undo_offsets_[task.index()]; }

  static constexpr std::size_t kAlignment = 64;
  [[nodiscard]] static constexpr std::size_t align(std::size_t bytes) {
    return (bytes + kAlignment - 1) / kAlignment * kAlignment;
  }

 private:
  std::vector<std::size_t> arena_bytes_;
  std::vector<std::size_t> offsets_;
  std::vector<std::size_t> scratch_offsets_;
  std::vector<std::size_t> staging_offsets_;
  std::vector<std::size_t> undo_offsets_;  // by task
};

}  // namespace skua
