// Names of CUDA devices: "cuda" and "cuda:all" are all GPUs, "cuda:0,1" two, "cuda:0/4" GPU 0 as four logical devices;
// any of them may end in ":tf32" or ":bfloat16".
#pragma once

#include <string>
#include <vector>

#include "libraries.h"

namespace skua::cuda {

struct DevicesSpec {
  std::vector<int> ordinals;  // empty: all GPUs
  int parts = 1;              // of each
  Precision precision = {};

  static constexpr int kMostParts = 16;
};

// Throws std::invalid_argument, also for a GPU that is named twice and for parts that are not 1 to kMostParts.
[[nodiscard]] DevicesSpec parse_devices_spec(const std::string& spec);

}  // namespace skua::cuda
