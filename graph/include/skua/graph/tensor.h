// A host array in plain layout (row-major, outermost extent first): data going into a step and weights coming out.
// A plain value that owns its memory; one thread at a time unless only read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "skua/graph/shape.h"

namespace skua {

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(ValueType type) : type_(std::move(type)), data_(type_.bytes()) {}  // zeros

  [[nodiscard]] const ValueType& type() const { return type_; }
  [[nodiscard]] const Shape& shape() const { return type_.shape; }
  [[nodiscard]] std::size_t bytes() const { return data_.size(); }
  [[nodiscard]] std::byte* data() { return data_.data(); }
  [[nodiscard]] const std::byte* data() const { return data_.data(); }
  // The elements; throw std::invalid_argument where the element type is another.
  [[nodiscard]] std::span<float> floats();
  [[nodiscard]] std::span<const float> floats() const;
  [[nodiscard]] std::span<std::int32_t> ints();
  [[nodiscard]] std::span<const std::int32_t> ints() const;

 private:
  ValueType type_;
  std::vector<std::byte> data_;
};

}  // namespace skua
