#include "fourier_basis.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace skua::cpu {

std::int64_t fourier_length(const PhaseAxis& axis) {
  std::int64_t length = 1;
  for (std::int64_t a = 0; a < axis.stride; ++a) {
    if (axis.pixels(a) == 0 || axis.taps(a) == 0) continue;
    length = std::max({length, axis.pixels(a) + axis.shift(a), axis.out + axis.taps(a) - 1 - axis.shift(a)});
  }
  return length;
}

FourierBasis::FourierBasis(std::int64_t length, std::int64_t first, std::int64_t extent)
    : length_(length), extent_(extent) {
  const auto size = static_cast<std::size_t>(length * extent);
  analysis_.reserve(size);
  synthesis_.resize(size);
  for (std::int64_t p = 0; p < length; ++p) {
    const std::int64_t frequency = (p + 1) / 2;
    const bool sine = p != 0 && p % 2 == 0;
    for (std::int64_t i = 0; i < extent; ++i) {
      const std::int64_t turn = frequency * (first + i) % length;
      const double angle = 2 * std::numbers::pi * static_cast<double>(turn) / static_cast<double>(length);
      const double value = sine ? std::sin(angle) : std::cos(angle);
      analysis_.push_back(static_cast<float>(value));
      synthesis_[static_cast<std::size_t>(i * length + p)] = static_cast<float>(value / static_cast<double>(length));
    }
  }
}

Pieces<FourierBasis> fourier_pieces(const PhaseAxis& axis) {
  const std::int64_t length = fourier_length(axis);
  Pieces<FourierBasis> pieces;
  pieces.y.push_back({0, {length, 0, axis.out}});
  for (std::int64_t a = 0; a < axis.stride; ++a) {
    pieces.x.push_back({{0, {length, axis.shift(a), axis.pixels(a)}}});
    pieces.weight.push_back({0, {length, 0, axis.taps(a)}});
  }
  return pieces;
}

std::vector<FrequencyChunk> frequency_chunks(std::int64_t row_length, std::int64_t column_length,
                                             std::int64_t most_products) {
  const auto has_sine = [](std::int64_t frequency, std::int64_t length) {
    return frequency != 0 && 2 * frequency != length;
  };
  const auto place = [](std::int64_t frequency) { return std::max<std::int64_t>(0, 2 * frequency - 1); };
  std::vector<FrequencyChunk> chunks(1);
  for (std::int64_t g = 0; 2 * g <= column_length; ++g) {
    FrequencyChunk next{place(g), has_sine(g, column_length) ? 2 : 1, 0, {}};
    for (std::int64_t f = 0; 2 * f <= row_length; ++f) {
      next.frequencies.push_back({place(f), 0, has_sine(f, row_length), has_sine(g, column_length), next.products});
      next.products += next.frequencies.back().products();
    }
    FrequencyChunk& last = chunks.back();
    if (g != 0 && last.products + next.products > most_products) {
      chunks.push_back(next);
      continue;
    }
    for (Frequency& frequency : next.frequencies) {
      frequency.column += last.columns;
      frequency.product += last.products;
    }
    last.frequencies.insert(last.frequencies.end(), next.frequencies.begin(), next.frequencies.end());
    last.columns += next.columns;
    last.products += next.products;
  }
  return chunks;
}

}  // namespace skua::cpu
