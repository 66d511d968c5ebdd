// What both versions of launch.h agree on, so that sums have the same order in both.
#pragma once

#include <cstddef>
#include <cstdint>

namespace skua::cuda {

// Threads that share a row of `length` elements: a power of two.
[[nodiscard]] constexpr int lanes_for(std::int64_t length) {
  if (length <= 512) return 32;
  return length <= 16384 ? 256 : 1024;
}

inline constexpr std::size_t kLargestSum = 32;  // bytes of what a row is reduced to

}  // namespace skua::cuda
