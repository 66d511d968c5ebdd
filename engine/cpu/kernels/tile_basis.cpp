#include "tile_basis.h"

#include <algorithm>

namespace skua::cpu {

Pieces<TileBasis> tile_pieces(const PhaseAxis& axis) {
  const std::int64_t outputs = tile_outputs(axis);
  const std::int64_t tiles = tile_count(axis);
  Pieces<TileBasis> pieces;
  for (std::int64_t t = 0; t < tiles; ++t) {
    pieces.y.push_back({t * outputs, {0, std::min(outputs, axis.out - t * outputs), outputs - 1}});
  }
  for (std::int64_t a = 0; a < axis.stride; ++a) {
    pieces.weight.push_back({0, {0, axis.taps(a), axis.most_taps() - 1}});
    pieces.x.emplace_back();
    for (std::int64_t t = 0; t < tiles; ++t) {
      const std::int64_t begin = t * outputs - axis.shift(a);
      const std::int64_t start = std::clamp<std::int64_t>(begin, 0, axis.pixels(a));
      const std::int64_t end = std::clamp<std::int64_t>(begin + kTilePoints, start, axis.pixels(a));
      pieces.x.back().push_back({start, {start - begin, end - begin, 0}});
    }
  }
  return pieces;
}

}  // namespace skua::cpu
