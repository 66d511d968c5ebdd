// A kernel's scratch cut into pieces, each aligned to 256 bytes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace skua::cuda {

class Scratch {
 public:
  // The place of a new piece.
  std::size_t add(std::size_t bytes) {
    const std::size_t at = bytes_;
    bytes_ += (bytes + 255) / 256 * 256;
    return at;
  }
  std::size_t add_floats(std::int64_t count) { return add(static_cast<std::size_t>(count) * sizeof(float)); }
  [[nodiscard]] std::size_t bytes() const { return bytes_; }

 private:
  std::size_t bytes_ = 0;
};

[[nodiscard]] inline void* piece(void* scratch, std::size_t at) {
  return static_cast<std::byte*>(scratch) + at;
}

}  // namespace skua::cuda
