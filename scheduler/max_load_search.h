// Proves or refutes that a pipeline stays below a load.
#pragma once

#include "max_load_problem.h"

namespace skua::max_load {

struct Found {
  std::vector<DeviceId> devices;  // by item; empty: none
  bool complete = true;           // whether all pipelines have been ruled out or one found
  std::size_t steps = 0;          // taken
};

// A pipeline whose devices all have loads below `target`, to within rounding, by a depth-first search over its parts.
// It gives up after `most_steps`, which are about the times that it looks at an item.
[[nodiscard]] Found find_pipeline(const Problem& problem, double target, std::size_t most_steps);

}  // namespace skua::max_load
