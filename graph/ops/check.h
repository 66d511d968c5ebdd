// Checks that the shape rules share. All throw std::invalid_argument saying what was expected and what came.
#pragma once

#include <initializer_list>
#include <string_view>

#include "skua/graph/op_registry.h"

namespace skua::ops {

// REQUIRES of an op: exactly these attributes.
void expect_attributes(const Op& op, std::initializer_list<std::string_view> names);
void expect_inputs(TypeSpan inputs, std::size_t least, std::size_t most);
void expect_shape(std::string_view what, const Shape& expected, const Shape& got);

// The shape of a value that must be float32 (int32).
[[nodiscard]] const Shape& float_shape(std::string_view what, const ValueType& type);
[[nodiscard]] const Shape& int_shape(std::string_view what, const ValueType& type);
// Also of the rank that `layout` names: "(N,C,H,W)", or with at least as many axes: "(...,N,C)".
[[nodiscard]] const Shape& float_shape(std::string_view what, const ValueType& type, std::string_view layout);

// Attributes in the range that an operator can use.
[[nodiscard]] double finite_real(const Op& op, const std::string& name);
[[nodiscard]] double real_in(const Op& op, const std::string& name, double low, double high);  // low <= value < high
[[nodiscard]] bool flag(const Op& op, const std::string& name);                                // 0 or 1
// `count` integers, each in [least, 2^31).
[[nodiscard]] const std::vector<std::int64_t>& small_integers(const Op& op, const std::string& name, std::size_t count,
                                                              std::int64_t least);
// Different axes of a value of `rank`, ascending.
[[nodiscard]] const std::vector<std::int64_t>& axes_of(const Op& op, std::size_t rank);
[[nodiscard]] Shape without_axes(const Shape& shape, const std::vector<std::int64_t>& axes);

[[nodiscard]] double elements(const ValueType& type);

}  // namespace skua::ops
