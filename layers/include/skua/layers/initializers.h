// First values of parameters. Pure functions of the shape and of random numbers that depend only on the seed and on the
// parameter's place in the model.
#pragma once

#include <functional>

#include "skua/graph/random.h"
#include "skua/graph/tensor.h"

namespace skua {

using Initializer = std::function<Tensor(const Shape&, Random&)>;

// A weight is (out, in, window...); its fans are in and out times the window's size.
namespace initializers {

[[nodiscard]] Initializer zeros();
[[nodiscard]] Initializer ones();
[[nodiscard]] Initializer constant(double value);
[[nodiscard]] Initializer uniform(double bound);     // in ±bound
[[nodiscard]] Initializer normal(double deviation);  // about 0
// Uniform in ±sqrt(6 / (fan_in + fan_out)), and normal with deviation sqrt(2 / (fan_in + fan_out)). Glorot and Bengio,
// "Understanding the difficulty of training deep feedforward neural networks", AISTATS 2010.
[[nodiscard]] Initializer glorot_uniform();
[[nodiscard]] Initializer glorot_normal();
// Uniform in ±sqrt(6 / fan_in), and normal with deviation sqrt(2 / fan_in). He et al., "Delving deep into rectifiers",
// ICCV 2015.
[[nodiscard]] Initializer he_uniform();
[[nodiscard]] Initializer he_normal();
// Uniform in ±sqrt(1 / fan_in): PyTorch's default for weights of convolutions and dense layers.
[[nodiscard]] Initializer kaiming_uniform();
// Rows (or columns, where those are fewer) of length 1 at right angles, for the weight seen as (out, all else). Saxe,
// McClelland, Ganguli, ICLR 2014.
[[nodiscard]] Initializer orthogonal();

}  // namespace initializers
}  // namespace skua
