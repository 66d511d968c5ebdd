// Placing by the earliest start, which several policies share.
#pragma once

#include "builtin.h"

namespace skua {

// Of all ready tasks and devices again and again the pair that can start first; among equals the task with the longest
// way to the end. `favourites`: by task the successor that its device then waits for (invalid: none); empty: none have
// one. Meanwhile the device takes another task only once that one's inputs could be on any device: it is urgent.
[[nodiscard]] Plan earliest_task_first(const CostTable& costs, const std::vector<TaskId>& favourites);

// Likewise, passing over devices whose memory has no room for what a task reads and makes. What this takes for alive is
// an estimate; where the step needs more of a memory, the room there is taken to be smaller, and the tasks are placed
// anew. Throws std::invalid_argument where no plan is found that fits.
[[nodiscard]] Plan earliest_task_first_in_memory(const CostTable& costs, const std::vector<TaskId>& favourites);

}  // namespace skua
