#include "skua/graph/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <limits>
#include <stdexcept>

namespace skua {

std::size_t size_of(DType dtype) {
  return dtype == DType::kFloat32 ? sizeof(float) : sizeof(std::int32_t);
}

const char* to_string(DType dtype) {
  return dtype == DType::kFloat32 ? "float32" : "int32";
}

DType dtype_from_string(const std::string& text) {
  for (const DType dtype : {DType::kFloat32, DType::kInt32}) {
    if (text == to_string(dtype)) return dtype;
  }
  throw std::invalid_argument(fmt::format("expected an element type float32 or int32, got '{}'", text));
}

Shape::Shape(std::vector<std::int64_t> extents) : extents_(std::move(extents)) {
  std::int64_t room = std::numeric_limits<std::int64_t>::max() / 16;  // sums of a few sizes in bytes still fit
  for (const std::int64_t extent : extents_) {
    if (extent < 1 || extent > room) {
      throw std::invalid_argument(
          fmt::format("expected a shape of extents >= 1 and fewer than 2^59 elements, got {}", to_string()));
    }
    room /= extent;
  }
}

std::int64_t Shape::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : extents_) count *= extent;
  return count;
}

Shape Shape::with_last(std::int64_t extent) const {
  std::vector<std::int64_t> extents = extents_;
  extents.back() = extent;
  return Shape(std::move(extents));
}

std::string Shape::to_string() const {
  return fmt::format("({})", fmt::join(extents_, ","));
}

std::string ValueType::to_string() const {
  return skua::to_string(dtype) + shape.to_string();
}

}  // namespace skua
