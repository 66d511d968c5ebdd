// The GPUs of a communicator.
#pragma once

#include <vector>

#include "runtime.h"

namespace skua::cuda {

// By rank. Throws std::invalid_argument where two are one GPU or parts of one.
[[nodiscard]] std::vector<int> distinct_ordinals(const std::vector<const Gpu*>& gpus);

}  // namespace skua::cuda
