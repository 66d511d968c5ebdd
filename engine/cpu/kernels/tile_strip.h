// The transforms of tile_basis.h on strips. With M(p) = p (p^2 - a^2) (p^2 - b^2), outputs and taps are evaluated as
// polynomials, taps over M'(p), and pixels weighed by the coefficients of M(p) / (p - point); each synthesis is the
// transpose of an analysis. What +a and -a (+b and -b) have in common is computed once. All is inlined into loops of
// parallel.h.
#pragma once

#include <algorithm>

#include "strip.h"
#include "tile_basis.h"

namespace skua::cpu {

// Samples `first` to `end` of a tile, `stride` floats from one to the next; all others are at `beside`.
template <class Float>
struct TileSamples {
  Float* data;
  std::int64_t stride;
  Float* beside = nullptr;
  std::int64_t first = 0;
  std::int64_t end = kTilePoints;

  [[nodiscard]] Float* at(std::int64_t i) const { return i >= first && i < end ? data + (i - first) * stride : beside; }
};

namespace tile {

using Samples = TileSamples<const float>;
using Results = TileSamples<float>;

inline constexpr float kA = kPointA;
inline constexpr float kB = kPointB;
inline constexpr float kA2 = kA * kA;
inline constexpr float kB2 = kB * kB;
inline constexpr float kSum = kA2 + kB2;
inline constexpr float kProduct = kA2 * kB2;
// 1 / M'(p), in the points' order: 0, a, -a, b, -b, infinity.
inline constexpr float kOverA = 1 / (2 * kA2 * (kA2 - kB2));
inline constexpr float kOverB = 1 / (2 * kB2 * (kB2 - kA2));
inline constexpr float kOver[kTilePoints] = {1 / kProduct, kOverA, kOverA, kOverB, kOverB, 1};

// Of a tile's pixels.
struct Weigh {
  template <int kLanes>
  static void analyse(const Samples& in, std::int64_t /*highest*/, const Results& out) {
    const float* const x[] = {in.at(0), in.at(1), in.at(2), in.at(3), in.at(4), in.at(5)};
#pragma omp simd
    for (int i = 0; i < kLanes; ++i) {
      const float even_a = x[4][i] - kB2 * x[2][i];
      const float odd_a = kA * (x[3][i] - kB2 * x[1][i]);
      const float even_b = x[4][i] - kA2 * x[2][i];
      const float odd_b = kB * (x[3][i] - kA2 * x[1][i]);
      const float zero = kProduct * x[0][i] - kSum * x[2][i] + x[4][i];
      const float infinity = kProduct * x[1][i] - kSum * x[3][i] + x[5][i];
      out.at(0)[i] = zero;
      out.at(1)[i] = even_a + odd_a;
      out.at(2)[i] = even_a - odd_a;
      out.at(3)[i] = even_b + odd_b;
      out.at(4)[i] = even_b - odd_b;
      out.at(5)[i] = infinity;
    }
  }
  template <int kLanes>
  static void synthesise(const Samples& in, std::int64_t /*highest*/, const Samples& start, const Results& out) {
    const float* const from[] = {start.at(0), start.at(1), start.at(2), start.at(3), start.at(4), start.at(5)};
    float* const to[] = {out.at(0), out.at(1), out.at(2), out.at(3), out.at(4), out.at(5)};
#pragma omp simd
    for (int i = 0; i < kLanes; ++i) {
      const float zero = in.at(0)[i];
      const float infinity = in.at(5)[i];
      const float even_a = in.at(1)[i] + in.at(2)[i];
      const float odd_a = kA * (in.at(1)[i] - in.at(2)[i]);
      const float even_b = in.at(3)[i] + in.at(4)[i];
      const float odd_b = kB * (in.at(3)[i] - in.at(4)[i]);
      to[0][i] = from[0][i] + kProduct * zero;
      to[1][i] = from[1][i] + (kProduct * infinity - (kB2 * odd_a + kA2 * odd_b));
      to[2][i] = from[2][i] - (kSum * zero + (kB2 * even_a + kA2 * even_b));
      to[3][i] = from[3][i] + (odd_a + odd_b - kSum * infinity);
      to[4][i] = from[4][i] + (zero + (even_a + even_b));
      to[5][i] = from[5][i] + infinity;
    }
  }
};

// Of outputs, and of taps, which are kScaled by kOver. Sample 5 is zero.
template <bool kScaled>
struct Evaluate {
  static float scaled(float value, int point) { return kScaled ? value * kOver[point] : value; }

  template <int kLanes>
  static void analyse(const Samples& in, std::int64_t highest, const Results& out) {
    const float* const x[] = {in.at(0), in.at(1), in.at(2), in.at(3), in.at(4)};
    const float* const at_infinity = in.at(highest);
#pragma omp simd
    for (int i = 0; i < kLanes; ++i) {
      const float zero = x[0][i];
      const float infinity = at_infinity[i];
      const float even_a = zero + kA2 * (x[2][i] + kA2 * x[4][i]);
      const float odd_a = kA * (x[1][i] + kA2 * x[3][i]);
      const float even_b = zero + kB2 * (x[2][i] + kB2 * x[4][i]);
      const float odd_b = kB * (x[1][i] + kB2 * x[3][i]);
      out.at(0)[i] = scaled(zero, 0);
      out.at(1)[i] = scaled(even_a + odd_a, 1);
      out.at(2)[i] = scaled(even_a - odd_a, 2);
      out.at(3)[i] = scaled(even_b + odd_b, 3);
      out.at(4)[i] = scaled(even_b - odd_b, 4);
      out.at(5)[i] = infinity;
    }
  }
  template <int kLanes>
  static void synthesise(const Samples& in, std::int64_t highest, const Samples& start, const Results& out) {
    const float* const from[] = {start.at(0), start.at(1), start.at(2), start.at(3), start.at(4)};
    float* const to[] = {out.at(0), out.at(1), out.at(2), out.at(3), out.at(4)};
#pragma omp simd
    for (int i = 0; i < kLanes; ++i) {
      const float plus_a = scaled(in.at(1)[i], 1);
      const float minus_a = scaled(in.at(2)[i], 2);
      const float plus_b = scaled(in.at(3)[i], 3);
      const float minus_b = scaled(in.at(4)[i], 4);
      const float even_a = plus_a + minus_a;
      const float odd_a = kA * (plus_a - minus_a);
      const float even_b = plus_b + minus_b;
      const float odd_b = kB * (plus_b - minus_b);
      to[0][i] = from[0][i] + (scaled(in.at(0)[i], 0) + (even_a + even_b));
      to[1][i] = from[1][i] + (odd_a + odd_b);
      to[2][i] = from[2][i] + (kA2 * even_a + kB2 * even_b);
      to[3][i] = from[3][i] + (kA2 * odd_a + kB2 * odd_b);
      to[4][i] = from[4][i] + (kA2 * kA2 * even_a + kB2 * kB2 * even_b);
    }
    float* const at_infinity = out.at(highest);
#pragma omp simd
    for (int i = 0; i < kLanes; ++i) at_infinity[i] += in.at(5)[i];
  }
};

}  // namespace tile

// Puts the values at the points, row by row, at to + point * stride.
template <class Transform, int kLanes>
void analyse_tile(const Plane<const float>& plane, const Bases<TileBasis>& bases, float* to, std::int64_t stride) {
  constexpr std::int64_t kRow = kTilePoints * kLanes;
  alignas(64) float by_row[kTilePoints * kRow];  // [row][point of the columns]
  const TileBasis& rows = *bases.rows;
  const TileBasis& columns = *bases.columns;
  for (std::int64_t p = 0; p < kTilePoints * kTilePoints; ++p) __builtin_prefetch(to + p * stride, 1);
  for (std::int64_t u = 0; u < rows.extent(); ++u) {
    Transform::template analyse<kLanes>(
        tile::Samples{plane.data + u * plane.row_stride, plane.column_stride, kZeroLanes, columns.first, columns.end},
        columns.highest, tile::Results{by_row + u * kRow, kLanes});
  }
  for (std::int64_t q = 0; q < kTilePoints; ++q) {
    Transform::template analyse<kLanes>(tile::Samples{by_row + q * kLanes, kRow, kZeroLanes, rows.first, rows.end},
                                        rows.highest, tile::Results{to + q * stride, kTilePoints * stride});
  }
}

// plane = start + what the values at the points give.
template <class Transform, int kLanes>
void synthesise_tile(const float* from, std::int64_t stride, const Bases<TileBasis>& bases,
                     const Plane<const float>& start, const Plane<float>& plane) {
  constexpr std::int64_t kRow = kTilePoints * kLanes;
  alignas(64) float by_row[kTilePoints * kRow];  // [row][point of the columns]
  alignas(64) float beside[kLanes] = {};
  const TileBasis& rows = *bases.rows;
  const TileBasis& columns = *bases.columns;
  for (std::int64_t q = 0; q < kTilePoints; ++q) {
    Transform::template synthesise<kLanes>(tile::Samples{from + q * stride, kTilePoints * stride}, rows.highest,
                                           tile::Samples{kZeroLanes, 0},
                                           tile::Results{by_row + q * kLanes, kRow, beside, rows.first, rows.end});
  }
  for (std::int64_t u = 0; u < rows.extent(); ++u) {
    Transform::template synthesise<kLanes>(
        tile::Samples{by_row + u * kRow, kLanes}, columns.highest,
        tile::Samples{start.data + u * start.row_stride, start.column_stride, kZeroLanes, columns.first, columns.end},
        tile::Results{plane.data + u * plane.row_stride, plane.column_stride, beside, columns.first, columns.end});
  }
}

}  // namespace skua::cpu
