// Static shapes and element types of the values in a graph. Value types; safe from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <vector>

namespace skua {

enum class DType : std::uint8_t { kFloat32, kInt32 };

[[nodiscard]] std::size_t size_of(DType dtype);             // bytes of one element
[[nodiscard]] const char* to_string(DType dtype);           // "float32", "int32"
[[nodiscard]] DType dtype_from_string(const std::string&);  // throws std::invalid_argument

// A list of positive extents, outermost first; images are N,C,H,W. No extents means a scalar. Fewer than 2^59 elements.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<std::int64_t> extents) : Shape(std::vector<std::int64_t>(extents)) {}
  explicit Shape(std::vector<std::int64_t> extents);  // throws std::invalid_argument unless each is >= 1

  [[nodiscard]] std::size_t rank() const { return extents_.size(); }
  [[nodiscard]] std::int64_t operator[](std::size_t axis) const { return extents_[axis]; }
  [[nodiscard]] const std::vector<std::int64_t>& extents() const { return extents_; }
  [[nodiscard]] std::int64_t elements() const;  // product of the extents, 1 for a scalar
  // Of an array (...,C): C, how many rows of C elements there are, and the shape (...,extent). REQUIRES: rank() >= 1.
  [[nodiscard]] std::int64_t last() const { return extents_.back(); }
  [[nodiscard]] std::int64_t rows() const { return elements() / last(); }
  [[nodiscard]] Shape with_last(std::int64_t extent) const;
  [[nodiscard]] std::string to_string() const;  // "(128,1,28,28)"

  friend bool operator==(const Shape&, const Shape&) = default;

 private:
  std::vector<std::int64_t> extents_;
};

struct ValueType {
  Shape shape;
  DType dtype = DType::kFloat32;

  [[nodiscard]] std::size_t bytes() const { return static_cast<std::size_t>(shape.elements()) * size_of(dtype); }
  [[nodiscard]] std::string to_string() const;  // "float32(128,10)"
  friend bool operator==(const ValueType&, const ValueType&) = default;
};

}  // namespace skua
