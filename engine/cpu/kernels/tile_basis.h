// Minimal filtering: convolutions of small tiles by evaluating polynomials at six points (Toom and Cook; Winograd,
// 1980; Lavin and Gray, "Fast algorithms for convolutional neural networks", 2016). Plain values; safe from any thread.
#pragma once

#include <algorithm>

#include "phase_axis.h"

namespace skua::cpu {

// Of an axis: r taps at most in a phase make m = kTilePoints + 1 - r outputs of kTilePoints samples.
inline constexpr std::int64_t kTilePoints = 6;
inline constexpr std::int64_t kMaxTileTaps = kTilePoints - 1;

// The points are 0, +-kPointA, +-kPointB and infinity. Of those with few binary digits, so that all coefficients are
// exact, these have the least errors: twice those of a direct sum (0, +-1, +-2: four times).
inline constexpr float kPointA = 0.625F;
inline constexpr float kPointB = 1.5F;

// Samples `first` to `end` of a tile; the others are zeros.
struct TileBasis {
  std::int64_t first;
  std::int64_t end;
  std::int64_t highest;  // of outputs and taps: the coefficient at infinity

  [[nodiscard]] std::int64_t extent() const { return end - first; }
  // Else the value at infinity is zero, or not needed.
  [[nodiscard]] bool reaches_infinity() const { return highest < end; }
};

[[nodiscard]] inline std::int64_t tile_outputs(const PhaseAxis& axis) {
  return kTilePoints + 1 - axis.most_taps();
}
[[nodiscard]] inline std::int64_t tile_count(const PhaseAxis& axis) {
  return (axis.out + tile_outputs(axis) - 1) / tile_outputs(axis);
}
// Images whose matrices are worked at together: the products' are long, and stay in a core's share of the last cache.
// `floats`: of an image, for one point.
[[nodiscard]] inline std::int64_t tile_images(std::int64_t batch, std::int64_t floats) {
  constexpr std::int64_t kMostBytes = 3 << 20;
  const std::int64_t bytes = kTilePoints * kTilePoints * floats * std::int64_t{sizeof(float)};
  return std::clamp<std::int64_t>(kMostBytes / bytes, 1, batch);
}
// The image's pieces overlap. REQUIRES: most_taps() is 2 to kMaxTileTaps.
[[nodiscard]] Pieces<TileBasis> tile_pieces(const PhaseAxis& axis);

}  // namespace skua::cpu
