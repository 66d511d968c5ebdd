// Convolutions with small images and large kernels, by the discrete Fourier transform: a direct convolution's bits and
// errors differ, in the norm of a sample and not of each element, and a NaN spreads within its sample.
#pragma once

#include "fourier_basis.h"
#include "kernels.h"

namespace skua::cpu {

enum class ConvolutionPart { kForward, kBackwardData, kBackwardWeight };

// REQUIRES: dilations and groups are 1, padding is less than the kernel's extent, and neither that nor a length of
// fourier_axes(window) is above kMaxFourierLength.
KernelPointer make_fourier_convolution(NodeBuilder& builder, const Window2d& window, ConvolutionPart part);

}  // namespace skua::cpu
