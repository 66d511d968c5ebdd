#include "transform_choice.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "fourier_basis.h"
#include "tile_basis.h"

namespace skua::cpu {

namespace {

// In whole blocks.
double blocked(std::int64_t channels) {
  return static_cast<double>((channels + 15) / 16 * 16);
}

// Multiply-adds of the transforms of planes of all phases.
template <class Extent>
double transform_cost(const PhaseAxes& axes, Extent extent) {
  const std::array<std::int64_t, 2> lengths{fourier_length(axes[0]), fourier_length(axes[1])};
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
double fourier_cost(const Window2d& w, const PhaseAxes& axes) {
  constexpr double kProductCost = 2;
  constexpr double kTransformCost = 1.6;
  constexpr double kElementCost = 12;
  const double images = static_cast<double>(w.batch);
  const double in = blocked(w.in_channels);
  const double out = blocked(w.out_channels);
  const auto phases = static_cast<double>(w.stride_height * w.stride_width);
  const double frequencies = static_cast<double>(fourier_length(axes[0]) * fourier_length(axes[1]));
  const double products = 1.5 * frequencies;  // three for two real coefficients
  const double elements = products * (phases * in * (images + out) + images * out);
  const auto pixels = [](const PhaseAxis& axis, std::int64_t a) { return axis.pixels(a); };
  const auto taps = [](const PhaseAxis& axis, std::int64_t a) { return axis.taps(a); };
  const double y_cost =
      static_cast<double>(fourier_length(axes[1]) * w.out_height * (w.out_width + fourier_length(axes[0])));
  const double transforms =
      images * in * transform_cost(axes, pixels) + in * out * transform_cost(axes, taps) + images * out * y_cost;
  return kProductCost * products * images * phases * in * out + kTransformCost * transforms + kElementCost * elements;
}

// Products of one axis: phases by tiles by points, of which infinity is left out where TileBasis does not reach it.
std::int64_t tile_products(const PhaseAxis& axis) {
  const Pieces<TileBasis> pieces = tile_pieces(axis);
  const auto reaches = [](const Piece<TileBasis>& piece) { return piece.basis.reaches_infinity(); };
  return axis.stride * tile_count(axis) * (kTilePoints - 1) +
         std::count_if(pieces.weight.begin(), pieces.weight.end(), reaches) *
             std::count_if(pieces.y.begin(), pieces.y.end(), reaches);
}

// In multiply-adds of a direct convolution, fitted to measured times of 43 shapes: the error is 17 % in the root of
// the mean square.
double tile_cost(const Window2d& w, const PhaseAxes& axes) {
  constexpr double kProductCost = 0.95;
  constexpr double kTileCost = 750;    // of a channel's tile of the image or the outputs
  constexpr double kWeightCost = 600;  // of a kernel's phase: once, and for each time that its transforms are read
  const double images = static_cast<double>(w.batch);
  const double in = blocked(w.in_channels) * static_cast<double>(w.stride_height * w.stride_width);
  const double out = blocked(w.out_channels);
  const double tiles = static_cast<double>(tile_count(axes[0]) * tile_count(axes[1]));
  const double products = static_cast<double>(tile_products(axes[0]) * tile_products(axes[1]));
  const auto image_floats = static_cast<std::int64_t>(tiles * (in + out));
  const double reads = std::ceil(images / static_cast<double>(tile_images(w.batch, image_floats)));
  return kProductCost * products * images * blocked(w.in_channels) * out + kTileCost * images * tiles * (in + out) +
         kWeightCost * (1 + reads) * in * out;
}

// Multiply-adds with a pixel inside the image; of dilated kernels all.
double direct_cost(const Window2d& w, const PhaseAxes& axes) {
  const bool dilated = w.dilation_height != 1 || w.dilation_width != 1;
  const std::int64_t pairs =
      dilated ? w.out_height * w.kernel_height * w.out_width * w.kernel_width : axes[0].pairs() * axes[1].pairs();
  return static_cast<double>(pairs) * static_cast<double>(w.batch * (w.in_channels / w.groups) * w.out_channels);
}

struct Choice {
  std::optional<ConvolutionTransform> transform;
  double multiply_adds;
};

Choice choose(const Window2d& w) {
  constexpr double kFourierMargin = 1.3;
  constexpr double kTileMargin = 1.25;
  const PhaseAxes axes = phase_axes(w);
  const double direct = direct_cost(w, axes);
  constexpr double kNever = std::numeric_limits<double>::infinity();
  const double fourier = can_transform(w, ConvolutionTransform::kFourier) ? fourier_cost(w, axes) : kNever;
  const double tiles = can_transform(w, ConvolutionTransform::kTiles) ? tile_cost(w, axes) : kNever;
  if (fourier <= tiles && direct > kFourierMargin * fourier) return {ConvolutionTransform::kFourier, fourier};
  if (direct > kTileMargin * tiles) return {ConvolutionTransform::kTiles, tiles};
  return {std::nullopt, direct};
}

}  // namespace

bool can_transform(const Window2d& w, ConvolutionTransform transform) {
  if (w.groups != 1 || w.dilation_height != 1 || w.dilation_width != 1) return false;
  if (std::max(w.pad_top, w.pad_bottom) >= w.kernel_height || std::max(w.pad_left, w.pad_right) >= w.kernel_width) {
    return false;
  }
  const PhaseAxes axes = phase_axes(w);
  const auto fits = [transform](const PhaseAxis& axis) {
    if (transform == ConvolutionTransform::kTiles) return axis.most_taps() > 1 && axis.most_taps() <= kMaxTileTaps;
    return std::max(fourier_length(axis), axis.kernel) <= kMaxFourierLength;
  };
  return fits(axes[0]) && fits(axes[1]);
}

std::optional<ConvolutionTransform> transform_that_pays(const Window2d& window) {
  return choose(window).transform;
}

double multiply_adds_that_pay(const Window2d& window) {
  return choose(window).multiply_adds;
}

}  // namespace skua::cpu
