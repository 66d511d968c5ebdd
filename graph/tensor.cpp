#include "skua/graph/tensor.h"

#include <fmt/format.h>

#include <stdexcept>

namespace skua {

namespace {

template <class T, class Byte>
std::span<T> elements_of(const ValueType& type, DType dtype, std::span<Byte> bytes) {
  if (type.dtype != dtype) {
    throw std::invalid_argument(fmt::format("expected a tensor of {}, got {}", to_string(dtype), type.to_string()));
  }
  return {reinterpret_cast<T*>(bytes.data()), bytes.size() / sizeof(T)};
}

}  // namespace

std::span<float> Tensor::floats() {
  return elements_of<float>(type_, DType::kFloat32, std::span(data_));
}
std::span<const float> Tensor::floats() const {
  return elements_of<const float>(type_, DType::kFloat32, std::span(data_));
}
std::span<std::int32_t> Tensor::ints() {
  return elements_of<std::int32_t>(type_, DType::kInt32, std::span(data_));
}
std::span<const std::int32_t> Tensor::ints() const {
  return elements_of<const std::int32_t>(type_, DType::kInt32, std::span(data_));
}

}  // namespace skua
