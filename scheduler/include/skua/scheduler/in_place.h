// That a node may make an output in the place of an input, which is lost by that. A plain value.
#pragma once

#include <cstddef>

namespace skua {

struct InPlace {
  std::size_t input = 0;  // positions in the node's order
  std::size_t output = 0;
};

}  // namespace skua
