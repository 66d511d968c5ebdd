// Integers that must lie in a range: looked at on the GPU, told of when the node has ended.
#pragma once

#include "../kernel.h"
#include "launch.h"
#include "skua/engine/elementwise.h"

namespace skua::cuda {

struct BadInts {
  std::int64_t count;
  std::int64_t first;

  struct Join {
    SKUA_HOST_DEVICE BadInts operator()(const BadInts& a, const BadInts& b) const {
      return {a.count + b.count, a.first < b.first ? a.first : b.first};
    }
  };
};

// Notes those of `count` ints that are outside [0, limit), unless the fault has been noted before.
inline void check_range(const Arguments& arguments, const std::int32_t* ints, std::int64_t count, std::int64_t limit) {
  Fault* const fault = arguments.fault;
  for_each_row(arguments.stream, 1, count, [=] SKUA_DEVICE(std::int64_t, const Block& block) {
    const BadInts bad = block.reduce(
        count, BadInts{0, count},
        [=](std::int64_t i) {
          const bool inside = ints[i] >= 0 && ints[i] < limit;
          return BadInts{inside ? 0 : 1, inside ? count : i};
        },
        BadInts::Join());
    if (!block.first() || bad.count == 0 || fault->count != 0) return;
    fault->value = ints[bad.first];
    fault->position = bad.first;
    fault->count = static_cast<std::int32_t>(bad.count < INT32_MAX ? bad.count : INT32_MAX);
  });
}

}  // namespace skua::cuda
