#include "ops/check.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace skua::ops {

void expect_attributes(const Op& op, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (!op.attributes.has(std::string(name))) {
      throw std::invalid_argument(fmt::format("expected an attribute '{}', got none", name));
    }
  }
  for (const auto& [name, value] : op.attributes.values()) {
    if (std::find(names.begin(), names.end(), name) == names.end()) {
      throw std::invalid_argument(
          fmt::format("expected the attributes [{}], got also '{}'", fmt::join(names, ","), name));
    }
  }
}

void expect_inputs(TypeSpan inputs, std::size_t least, std::size_t most) {
  if (inputs.size() < least || inputs.size() > most) {
    const std::string count = least == most ? fmt::format("{}", least) : fmt::format("{} to {}", least, most);
    throw std::invalid_argument(fmt::format("expected {} inputs, got {}", count, inputs.size()));
  }
}

void expect_shape(std::string_view what, const Shape& expected, const Shape& got) {
  if (got != expected) {
    throw std::invalid_argument(fmt::format("expected {} {}, got {}", what, expected.to_string(), got.to_string()));
  }
}

namespace {

const Shape& shape_of(std::string_view what, const ValueType& type, DType dtype) {
  if (type.dtype != dtype) {
    throw std::invalid_argument(fmt::format("expected {} {}, got {}", to_string(dtype), what, type.to_string()));
  }
  return type.shape;
}

}  // namespace

const Shape& float_shape(std::string_view what, const ValueType& type) {
  return shape_of(what, type, DType::kFloat32);
}
const Shape& int_shape(std::string_view what, const ValueType& type) {
  return shape_of(what, type, DType::kInt32);
}

const Shape& float_shape(std::string_view what, const ValueType& type, std::string_view layout) {
  const Shape& shape = float_shape(what, type);
  const auto rank = 1 + std::count(layout.begin(), layout.end(), ',');
  const bool open = layout.starts_with("(...,");
  const auto least = static_cast<std::size_t>(open ? rank - 1 : rank);
  if (shape.rank() < least || (!open && shape.rank() > least)) {
    throw std::invalid_argument(fmt::format("expected {} {} {}, got {}", open ? "an array" : fmt::format("{}-D", rank),
                                            what, layout, shape.to_string()));
  }
  return shape;
}

double finite_real(const Op& op, const std::string& name) {
  const double value = op.attributes.real(name);
  if (!std::isfinite(value)) throw std::invalid_argument(fmt::format("expected a finite '{}', got {}", name, value));
  return value;
}

double real_in(const Op& op, const std::string& name, double low, double high) {
  const double value = finite_real(op, name);
  if (value < low || value >= high) {
    throw std::invalid_argument(fmt::format("expected '{}' in [{},{}), got {}", name, low, high, value));
  }
  return value;
}

bool flag(const Op& op, const std::string& name) {
  const std::int64_t value = op.attributes.integer(name);
  if (value != 0 && value != 1) throw std::invalid_argument(fmt::format("expected '{}' 0 or 1, got {}", name, value));
  return value == 1;
}

const std::vector<std::int64_t>& small_integers(const Op& op, const std::string& name, std::size_t count,
                                                std::int64_t least) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int32_t>::max();
  const auto& values = op.attributes.integers(name);
  const bool in_range = std::all_of(values.begin(), values.end(), [&](auto v) { return v >= least && v <= kMost; });
  if (values.size() != count || !in_range) {
    throw std::invalid_argument(fmt::format("expected '{}' to be {} integers >= {} and < 2^31, got [{}]", name, count,
                                            least, fmt::join(values, ",")));
  }
  return values;
}

const std::vector<std::int64_t>& axes_of(const Op& op, std::size_t rank) {
  const auto& axes = op.attributes.integers("axes");
  std::int64_t previous = -1;
  for (const std::int64_t axis : axes) {
    if (axis <= previous || axis >= static_cast<std::int64_t>(rank)) {
      throw std::invalid_argument(
          fmt::format("expected ascending 'axes' of a {}-D value, got [{}]", rank, fmt::join(axes, ",")));
    }
    previous = axis;
  }
  return axes;
}

Shape without_axes(const Shape& shape, const std::vector<std::int64_t>& axes) {
  std::vector<std::int64_t> kept;
  for (std::size_t axis = 0; axis < shape.rank(); ++axis) {
    if (std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(axis)) == axes.end()) kept.push_back(shape[axis]);
  }
  return Shape(std::move(kept));
}

double elements(const ValueType& type) {
  return static_cast<double>(type.shape.elements());
}

}  // namespace skua::ops
