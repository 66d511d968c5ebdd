// Which convolutions work by transforms. Safe from any thread.
#pragma once

#include <optional>

#include "phase_axis.h"

namespace skua::cpu {

enum class ConvolutionTransform {
  kFourier,  // of the whole image, fourier_basis.h
  kTiles,    // minimal filtering, tile_basis.h
};

// Dilations and groups are 1, padding is less than the kernel's extent (elsewhere exact zeros would come out as
// rounding errors), and kernels and images are within the limits of the transform.
[[nodiscard]] bool can_transform(const Window2d& window, ConvolutionTransform transform);

// The transform that is expected to take less time than the other and clearly less than a direct convolution, if any:
// forward and backward alike, so that both read the weight in one layout.
[[nodiscard]] std::optional<ConvolutionTransform> transform_that_pays(const Window2d& window);
// Multiply-adds of a direct convolution, those in the padding left out, that are expected to take as long as the way
// that is taken.
[[nodiscard]] double multiply_adds_that_pay(const Window2d& window);

}  // namespace skua::cpu
