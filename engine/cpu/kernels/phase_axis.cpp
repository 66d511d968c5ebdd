#include "phase_axis.h"

#include <algorithm>

namespace skua::cpu {

std::int64_t PhaseAxis::pairs() const {
  std::int64_t pairs = 0;
  for (std::int64_t o = 0; o < out; ++o) {
    const std::int64_t first = o * stride - padding;
    pairs += std::max<std::int64_t>(0, std::min(image, first + kernel) - std::max<std::int64_t>(0, first));
  }
  return pairs;
}

PhaseAxes phase_axes(const Window2d& w) {
  return {PhaseAxis{w.height, w.kernel_height, w.out_height, w.stride_height, w.pad_top},
          PhaseAxis{w.width, w.kernel_width, w.out_width, w.stride_width, w.pad_left}};
}

}  // namespace skua::cpu
