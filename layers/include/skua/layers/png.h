// Pictures as PNG files.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "skua/graph/tensor.h"

namespace skua {

// 8 bits a sample, row-major, interleaved; channels 1 (grey) or 3 (RGB).
struct Picture {
  std::int64_t width = 0;
  std::int64_t height = 0;
  std::int64_t channels = 1;
  std::vector<std::uint8_t> pixels;
};

// Images (N,C,H,W) with values from `low` to `high`, in rows of `columns` with a pixel between them. Throws
// std::invalid_argument where C is neither 1 nor 3.
[[nodiscard]] Picture image_grid(const Tensor& images, std::int64_t columns, float low = 0, float high = 1);
// Throws std::runtime_error where the file cannot be written. Format: ISO/IEC 15948 (PNG), one IDAT chunk.
void write_png(const Picture& picture, const std::string& path);

}  // namespace skua
