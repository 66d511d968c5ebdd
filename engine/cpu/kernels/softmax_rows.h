// Softmax of one row, shared by losses and activations.
#pragma once

#include <cmath>
#include <cstdint>

#include "skua/engine/elementwise.h"

namespace skua::cpu {

// p = softmax(x), about the largest element: Blanchard, Higham, Higham, "Accurately computing the
// log-sum-exp and softmax functions", IMA J. Numer. Anal. 41 (2021).
inline elementwise::LogSum softmax_row(const float* x, std::int64_t count, float* p) {
  float largest = x[0];
  for (std::int64_t c = 1; c < count; ++c) largest = x[c] > largest ? x[c] : largest;
#pragma omp simd
  for (std::int64_t c = 0; c < count; ++c) p[c] = elementwise::exponential(x[c] - largest);
  double sum = 0;
  for (std::int64_t c = 0; c < count; ++c) sum += static_cast<double>(p[c]);
  const auto inverse = static_cast<float>(1 / sum);
  for (std::int64_t c = 0; c < count; ++c) p[c] *= inverse;
  return {std::log(sum), static_cast<double>(largest)};
}

}  // namespace skua::cpu
