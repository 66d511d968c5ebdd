// Some axes of an array, by value for kernels: from the index of an element in their order to where it lies.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <vector>

#include "skua/engine/elementwise.h"

namespace skua::cuda {

class Axes {
 public:
  // In front of those that there are. Axes that lie one behind the other become one. Throws std::invalid_argument where
  // there are more than a kernel takes.
  void push_outer(std::int64_t extent, std::int64_t stride) {
    if (extent == 1) return;
    if (count_ > 0 && strides_[count_ - 1] * extents_[count_ - 1] == stride) {
      extents_[count_ - 1] *= extent;
      return;
    }
    if (count_ == kMost) throw std::invalid_argument("expected at most 8 axes that do not lie side by side, got more");
    extents_[count_] = extent;
    strides_[count_++] = stride;
  }

  [[nodiscard]] std::int64_t inner_stride() const { return count_ == 0 ? 0 : strides_[0]; }
  [[nodiscard]] std::int64_t count() const {
    std::int64_t count = 1;
    for (int i = 0; i < count_; ++i) count *= extents_[i];
    return count;
  }
  [[nodiscard]] SKUA_HOST_DEVICE std::int64_t offset(std::int64_t index) const {
    std::int64_t offset = 0;
    for (int i = 0; i + 1 < count_; ++i) {
      offset += index % extents_[i] * strides_[i];
      index /= extents_[i];
    }
    return count_ == 0 ? 0 : offset + index * strides_[count_ - 1];
  }

 private:
  static constexpr int kMost = 8;
  int count_ = 0;
  std::int64_t extents_[kMost] = {};  // innermost first
  std::int64_t strides_[kMost] = {};
};

[[nodiscard]] inline bool is_among(std::size_t axis, const std::vector<std::int64_t>& axes) {
  for (const std::int64_t other : axes) {
    if (other == static_cast<std::int64_t>(axis)) return true;
  }
  return false;
}

}  // namespace skua::cuda
