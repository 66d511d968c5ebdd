#include "skua/layers/initializers.h"

#include <cmath>
#include <vector>

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

Tensor drawn(const Shape& shape, const std::function<double()>& draw) {
  Tensor tensor(ValueType{shape});
  for (float& x : tensor.floats()) x = static_cast<float>(draw());
  return tensor;
}

// Uniform in ± what `bound` makes of the fans.
Initializer uniform_by(double (*bound)(const Fans&)) {
  return [bound](const Shape& shape, Random& random) {
    const double limit = bound(fans_of(shape));
    return drawn(shape, [&] { return random.uniform(-limit, limit); });
  };
}

Initializer normal_by(double (*deviation)(const Fans&)) {
  return [deviation](const Shape& shape, Random& random) {
    const double scale = deviation(fans_of(shape));
    return drawn(shape, [&] { return scale * random.normal(); });
  };
}

double dot(const double* a, const double* b, std::size_t count) {
  double sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += a[i] * b[i];
  return sum;
}

// Gram-Schmidt, each projection taken twice: Giraud, Langou, Rozloznik, Comput. Math. Appl. 50 (2005).
void orthonormalize(std::vector<double>& rows, std::size_t count, std::size_t width) {
  for (std::size_t r = 0; r < count; ++r) {
    double* const row = rows.data() + r * width;
    for (std::size_t other = 0; other < 2 * r; ++other) {
      const double* const before = rows.data() + other % r * width;
      const double part = dot(row, before, width);
      for (std::size_t i = 0; i < width; ++i) row[i] -= part * before[i];
    }
    const double length = std::sqrt(dot(row, row, width));
    for (std::size_t i = 0; i < width; ++i) row[i] /= length;
  }
}

}  // namespace

Initializer zeros() {
  return constant(0);
}
Initializer ones() {
  return constant(1);
}
Initializer constant(double value) {
  return [value](const Shape& shape, Random&) { return drawn(shape, [value] { return value; }); };
}
Initializer uniform(double bound) {
  return [bound](const Shape& shape, Random& random) {
    return drawn(shape, [&] { return random.uniform(-bound, bound); });
  };
}
Initializer normal(double deviation) {
  return [deviation](const Shape& shape, Random& random) {
    return drawn(shape, [&] { return deviation * random.normal(); });
  };
}

Initializer glorot_uniform() {
  return uniform_by([](const Fans& fans) { return std::sqrt(6 / (fans.in + fans.out)); });
}
Initializer glorot_normal() {
  return normal_by([](const Fans& fans) { return std::sqrt(2 / (fans.in + fans.out)); });
}
Initializer he_uniform() {
  return uniform_by([](const Fans& fans) { return std::sqrt(6 / fans.in); });
}
Initializer he_normal() {
  return normal_by([](const Fans& fans) { return std::sqrt(2 / fans.in); });
}
Initializer kaiming_uniform() {
  return uniform_by([](const Fans& fans) { return std::sqrt(1 / fans.in); });
}

Initializer orthogonal() {
  return [](const Shape& shape, Random& random) {
    const auto out = static_cast<std::size_t>(shape.rank() == 0 ? 1 : shape[0]);
    const std::size_t in = static_cast<std::size_t>(shape.elements()) / out;
    const bool wide = out <= in;
    const std::size_t count = wide ? out : in;
    const std::size_t width = wide ? in : out;
    std::vector<double> rows(count * width);
    for (double& x : rows) x = random.normal();
    orthonormalize(rows, count, width);
    std::size_t i = 0;
    return drawn(shape, [&] {
      const std::size_t at = i++;
      return wide ? rows[at] : rows[at % in * width + at / in];
    });
  };
}

}  // namespace skua::initializers
