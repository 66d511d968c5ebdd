// Softmax of one row by the threads that share it.
#pragma once

#include "skua/engine/elementwise.h"
#include "sums.h"

namespace skua::cuda {

struct Largest {
  SKUA_HOST_DEVICE float operator()(float a, float b) const { return b > a ? b : a; }
};

// p = softmax(x), about the largest element, as on the CPU (engine/cpu/kernels/softmax_rows.h).
SKUA_DEVICE inline elementwise::LogSum softmax_row(const Block& block, const float* x, std::int64_t count, float* p) {
  const float largest = block.reduce(
      count, x[0], [=](std::int64_t c) { return x[c]; }, Largest());
  const double sum = block.reduce(
      count, 0.0,
      [=](std::int64_t c) {
        p[c] = elementwise::exponential(x[c] - largest);
        return static_cast<double>(p[c]);
      },
      Plus());
  const auto inverse = static_cast<float>(1 / sum);
  block.each(count, [=](std::int64_t c) { p[c] *= inverse; });
  return {log(sum), static_cast<double>(largest)};
}

}  // namespace skua::cuda
