// Strips: samples of one plane, each of kLanes neighbouring channels, as the transforms of a convolution read and write
// them.
#pragma once

#include <cstdint>

namespace skua::cpu {

// Vectors of lanes, `stride` floats from one to the next.
template <class Float>
struct Lanes {
  Float* data;
  std::int64_t stride;
};

// Samples of a plane: that of row u, column v at data + u * row_stride + v * column_stride.
template <class Float>
struct Plane {
  Float* data;
  std::int64_t row_stride;
  std::int64_t column_stride;
};

template <class Basis>
struct Bases {
  const Basis* rows;
  const Basis* columns;
};

inline constexpr float kZeroLanes[16] = {};

// f(pointer to its lanes) for each sample.
template <class Float, class Function>
void for_each_sample(const Plane<Float>& plane, std::int64_t rows, std::int64_t columns, Function f) {
  for (std::int64_t u = 0; u < rows; ++u) {
    for (std::int64_t v = 0; v < columns; ++v) f(plane.data + u * plane.row_stride + v * plane.column_stride);
  }
}

}  // namespace skua::cpu
