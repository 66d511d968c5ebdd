// Rows of floats, as several kernels move them.
#pragma once

#include <cstdint>
#include <cstring>

#include "../parallel.h"

namespace skua::cpu {

inline void copy_row(const float* from, std::int64_t width, float* to) {
  std::memcpy(to, from, static_cast<std::size_t>(width) * sizeof(float));
}

// Adds so many rows to the sums of their columns, in order.
inline void add_rows(const float* rows, std::int64_t count, std::int64_t width, double* sums) {
  for (std::int64_t row = 0; row < count; ++row) {
    for_each_element(width,
                     [from = rows + row * width, sums](std::int64_t c) { sums[c] += static_cast<double>(from[c]); });
  }
}

}  // namespace skua::cpu
