// Softmax of one row, shared by losses and activations.
#pragma once

#include <cmath>
#include <cstdint>

#include "skua/engine/elementwise.h"

namespace skua::cpu {

// Lanes that a row is folded in, each in order, then the lanes in order: loops over them are vectorised, and what comes
// out does not depend on the width of the processor's vectors.
constexpr std::int64_t kLanes = 32;

// A NaN in front stays; others are passed over.
inline float largest_of(const float* x, std::int64_t count) {
  float lanes[kLanes];
  for (float& lane : lanes) lane = x[0];
  std::int64_t c = 0;
  for (; c + kLanes <= count; c += kLanes) {
#pragma omp simd
    for (std::int64_t k = 0; k < kLanes; ++k) lanes[k] = x[c + k] > lanes[k] ? x[c + k] : lanes[k];
  }
  float largest = x[0];
  for (const float lane : lanes) largest = lane > largest ? lane : largest;
  for (; c < count; ++c) largest = x[c] > largest ? x[c] : largest;
  return largest;
}

inline double sum_of(const float* x, std::int64_t count) {
  double lanes[kLanes] = {};
  std::int64_t c = 0;
  for (; c + kLanes <= count; c += kLanes) {
#pragma omp simd
    for (std::int64_t k = 0; k < kLanes; ++k) lanes[k] += static_cast<double>(x[c + k]);
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; c < count; ++c) sum += static_cast<double>(x[c]);
  return sum;
}

// p = softmax(x), about the largest element: Blanchard, Higham, Higham, "Accurately computing the
// log-sum-exp and softmax functions", IMA J. Numer. Anal. 41 (2021).
inline elementwise::LogSum softmax_row(const float* x, std::int64_t count, float* p) {
  const float largest = largest_of(x, count);
#pragma omp simd
  for (std::int64_t c = 0; c < count; ++c) p[c] = elementwise::exponential(x[c] - largest);
  const double sum = sum_of(p, count);
  const auto inverse = static_cast<float>(1 / sum);
  for (std::int64_t c = 0; c < count; ++c) p[c] *= inverse;
  return {std::log(sum), static_cast<double>(largest)};
}

}  // namespace skua::cpu
