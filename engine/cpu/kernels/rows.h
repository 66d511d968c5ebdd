// Rows of floats, as several kernels move them.
#pragma once

#include <cstdint>
#include <cstring>

namespace skua::cpu {

inline void copy_row(const float* from, std::int64_t width, float* to) {
  std::memcpy(to, from, static_cast<std::size_t>(width) * sizeof(float));
}

}  // namespace skua::cpu
