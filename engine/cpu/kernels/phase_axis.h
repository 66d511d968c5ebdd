// One axis of a convolution, cut into phases that know no stride. Plain values; safe from any thread.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "skua/graph/window.h"

namespace skua::cpu {

// With stride s, pixels i = s * i' + a and taps k = s * k' + b with b = (a + padding) mod s meet only each other: s
// phases, each a convolution of stride 1.
struct PhaseAxis {
  std::int64_t image = 0;
  std::int64_t kernel = 0;
  std::int64_t out = 0;
  std::int64_t stride = 1;
  std::int64_t padding = 0;  // before the first pixel

  // Of phase a: what the output o = i' - k' + shift(a) needs.
  [[nodiscard]] std::int64_t shift(std::int64_t a) const { return (a + padding) / stride; }
  [[nodiscard]] std::int64_t first_tap(std::int64_t a) const { return (a + padding) % stride; }
  [[nodiscard]] std::int64_t pixels(std::int64_t a) const { return samples(image, a); }
  [[nodiscard]] std::int64_t taps(std::int64_t a) const { return samples(kernel, first_tap(a)); }
  [[nodiscard]] std::int64_t most_taps() const { return samples(kernel, 0); }

  // Pairs (o, k) with a pixel inside the image.
  [[nodiscard]] std::int64_t pairs() const;

 private:
  [[nodiscard]] std::int64_t samples(std::int64_t extent, std::int64_t first) const {
    return extent > first ? (extent - first + stride - 1) / stride : 0;
  }
};
using PhaseAxes = std::array<PhaseAxis, 2>;  // rows, then columns
[[nodiscard]] PhaseAxes phase_axes(const Window2d& window);

// Consecutive samples of a phase, or outputs, that are transformed together.
template <class Basis>
struct Piece {
  std::int64_t start;  // the first one
  Basis basis;
};
// All pieces of one axis: the image's and the outputs' are as many.
template <class Basis>
struct Pieces {
  std::vector<std::vector<Piece<Basis>>> x;  // by phase
  std::vector<Piece<Basis>> weight;          // by phase
  std::vector<Piece<Basis>> y;
};

}  // namespace skua::cpu
