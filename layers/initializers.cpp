#include "skua/layers/initializers.h"

#include <cmath>

namespace skua::initializers {
namespace {

struct Fans {
  double in = 1;
  double out = 1;
};

Fans fans_of(const Shape& shape) {
  Fans fans;
  if (shape.rank() == 0) return fans;
  double window = 1;
  for (std::size_t axis = 2; axis < shape.rank(); ++axis) window *= static_cast<double>(shape[axis]);
  fans.out = static_cast<double>(shape[0]) * window;
  fans.in = shape.rank() > 1 ? static_cast<double>(shape[1]) * window : fans.out;
  return fans;
}

Tensor uniform(const Shape& shape, double bound, Random& random) {
  Tensor tensor(ValueType{shape});
  for (float& x : tensor.floats()) x = static_cast<float>(random.uniform(-bound, bound));
  return tensor;
}

}  // namespace

Initializer zeros() {
  return [](const Shape& shape, Random&) { return Tensor(ValueType{shape}); };
}

Initializer glorot_uniform() {
  return [](const Shape& shape, Random& random) {
    const Fans fans = fans_of(shape);
    return uniform(shape, std::sqrt(6 / (fans.in + fans.out)), random);
  };
}

Initializer kaiming_uniform() {
  return [](const Shape& shape, Random& random) { return uniform(shape, std::sqrt(1 / fans_of(shape).in), random); };
}

}  // namespace skua::initializers
