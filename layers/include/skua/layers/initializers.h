// First values of parameters. Pure functions of the shape and of random numbers that depend only on the seed and on the
// parameter's place in the model.
#pragma once

#include <functional>

#include "skua/graph/random.h"
#include "skua/graph/tensor.h"

namespace skua {

using Initializer = std::function<Tensor(const Shape&, Random&)>;

namespace initializers {

[[nodiscard]] Initializer zeros();
// Uniform in ±sqrt(6 / (fan_in + fan_out)). Glorot and Bengio, "Understanding the difficulty of training deep
// feedforward neural networks", AISTATS 2010. A weight is (out, in, window...); its fans are in and out times the
// window's size.
[[nodiscard]] Initializer glorot_uniform();
// Uniform in ±sqrt(1 / fan_in): PyTorch's default for convolutions and dense layers. He et al., "Delving deep into
// rectifiers", ICCV 2015, with the slope sqrt(5).
[[nodiscard]] Initializer kaiming_uniform();

}  // namespace initializers
}  // namespace skua
