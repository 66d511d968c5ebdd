#include "fourier_basis.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace skua::cpu {

std::int64_t FourierAxis::length() const {
  std::int64_t length = 1;
  for (std::int64_t a = 0; a < stride; ++a) {
    if (pixels(a) == 0 || taps(a) == 0) continue;
    length = std::max({length, pixels(a) + shift(a), out + taps(a) - 1 - shift(a)});
  }
  return length;
}

std::int64_t FourierAxis::pairs() const {
  std::int64_t pairs = 0;
  for (std::int64_t o = 0; o < out; ++o) {
    const std::int64_t first = o * stride - padding;
    pairs += std::max<std::int64_t>(0, std::min(image, first + kernel) - std::max<std::int64_t>(0, first));
  }
  return pairs;
}

std::array<FourierAxis, 2> fourier_axes(const Window2d& w) {
  return {FourierAxis{w.height, w.kernel_height, w.out_height, w.stride_height, w.pad_top},
          FourierAxis{w.width, w.kernel_width, w.out_width, w.stride_width, w.pad_left}};
}

namespace {

// In whole blocks.
double blocked(std::int64_t channels) {
  return static_cast<double>((channels + 15) / 16 * 16);
}

// Multiply-adds of the transforms of planes of all phases.
template <class Extent>
double transform_cost(const std::array<FourierAxis, 2>& axes, Extent extent) {
  const std::array<std::int64_t, 2> lengths{axes[0].length(), axes[1].length()};
  std::int64_t cost = 0;
  for (std::int64_t a = 0; a < axes[0].stride; ++a) {
    for (std::int64_t b = 0; b < axes[1].stride; ++b) {
      const std::int64_t rows = extent(axes[0], a);
      cost += lengths[1] * rows * (extent(axes[1], b) + lengths[0]);
    }
  }
  return static_cast<double>(cost);
}

// In multiply-adds of a direct convolution. The weights of the three parts were fitted to measured times of 26 shapes;
// they hold what reading and writing the parts costs.
double fourier_cost(const Window2d& w, const std::array<FourierAxis, 2>& axes) {
  constexpr double kProductCost = 2;
  constexpr double kTransformCost = 1.6;
  constexpr double kElementCost = 12;
  const double images = static_cast<double>(w.batch);
  const double in = blocked(w.in_channels);
  const double out = blocked(w.out_channels);
  const auto phases = static_cast<double>(w.stride_height * w.stride_width);
  const double frequencies = static_cast<double>(axes[0].length() * axes[1].length());
  const double products = 1.5 * frequencies;  // three for two real coefficients
  const double elements = products * (phases * in * (images + out) + images * out);
  const auto pixels = [](const FourierAxis& axis, std::int64_t a) { return axis.pixels(a); };
  const auto taps = [](const FourierAxis& axis, std::int64_t a) { return axis.taps(a); };
  const double y_cost = static_cast<double>(axes[1].length() * w.out_height * (w.out_width + axes[0].length()));
  const double transforms =
      images * in * transform_cost(axes, pixels) + in * out * transform_cost(axes, taps) + images * out * y_cost;
  return kProductCost * products * images * phases * in * out + kTransformCost * transforms + kElementCost * elements;
}

}  // namespace

bool fourier_pays(const Window2d& w) {
  constexpr double kMargin = 1.3;
  if (w.groups != 1 || w.dilation_height != 1 || w.dilation_width != 1) return false;
  // Elsewhere exact zeros would come out as rounding errors.
  if (std::max(w.pad_top, w.pad_bottom) >= w.kernel_height || std::max(w.pad_left, w.pad_right) >= w.kernel_width) {
    return false;
  }
  const std::array<FourierAxis, 2> axes = fourier_axes(w);
  if (std::max({axes[0].length(), axes[1].length(), w.kernel_height, w.kernel_width}) > kMaxFourierLength) return false;
  const double direct = static_cast<double>(axes[0].pairs() * axes[1].pairs()) *
                        static_cast<double>(w.batch * w.in_channels * w.out_channels);
  return direct > kMargin * fourier_cost(w, axes);
}

FourierBasis::FourierBasis(std::int64_t length, std::int64_t first, std::int64_t extent) : extent_(extent) {
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
