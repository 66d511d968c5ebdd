// Convolutions with small images and large kernels, by the discrete Fourier transform: a direct convolution's bits and
// errors differ, in the norm of a sample and not of each element, and a NaN spreads within its sample.
#pragma once

#include "fourier_basis.h"
#include "kernels.h"

namespace skua::cpu {

enum class ConvolutionPart { kForward, kBackwardData, kBackwardWeight };

// For where fourier_pays(). REQUIRES: dilations and groups are 1, and no length of fourier_axes(window) is above
// kMaxFourierLength.
KernelPointer make_fourier_convolution(NodeBuilder& builder, const Window2d& window, ConvolutionPart part);

}  // namespace skua::cpu
