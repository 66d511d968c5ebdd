// Convolutions by products of transforms, one product for each frequency or point: a direct convolution's bits and
// errors differ, and a NaN spreads in what is transformed together.
#pragma once

#include "kernels.h"
#include "transform_choice.h"

namespace skua::cpu {

enum class ConvolutionPart { kForward, kBackwardData, kBackwardWeight };

// REQUIRES: can_transform(window, transform).
KernelPointer make_transform_convolution(NodeBuilder& builder, const Window2d& window, ConvolutionPart part,
                                         ConvolutionTransform transform);

}  // namespace skua::cpu
