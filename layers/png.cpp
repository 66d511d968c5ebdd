#include "skua/layers/png.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <stdexcept>

namespace skua {
namespace {

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xff);
  return bytes;
}

std::string chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  const uLong crc = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return big_endian(static_cast<std::uint32_t>(data.size())) + body + big_endian(static_cast<std::uint32_t>(crc));
}

std::string compressed(const std::string& data) {
  uLongf size = compressBound(static_cast<uLong>(data.size()));
  std::string result(size, '\0');
  const int status = compress(reinterpret_cast<Bytef*>(result.data()), &size,
                              reinterpret_cast<const Bytef*>(data.data()), static_cast<uLong>(data.size()));
  if (status != Z_OK) throw std::runtime_error(fmt::format("[png] zlib could not compress (status {})", status));
  result.resize(size);
  return result;
}

}  // namespace

Picture image_grid(const Tensor& images, std::int64_t columns, float low, float high) {
  const Shape& shape = images.shape();
  if (shape.rank() != 4 || (shape[1] != 1 && shape[1] != 3) || columns < 1) {
    throw std::invalid_argument(
        fmt::format("[image_grid] expected images (N,1,H,W) or (N,3,H,W) in 1 column or more, got {} in {}",
                    shape.to_string(), columns));
  }
  const std::int64_t rows = (shape[0] + columns - 1) / columns;
  Picture picture{columns * (shape[3] + 1) - 1, rows * (shape[2] + 1) - 1, shape[1], {}};
  picture.pixels.assign(static_cast<std::size_t>(picture.width * picture.height * picture.channels), 0);
  const std::span<const float> values = images.floats();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto at = static_cast<std::int64_t>(i);
    const std::int64_t image = at / (shape[1] * shape[2] * shape[3]);
    const std::int64_t channel = at / (shape[2] * shape[3]) % shape[1];
    const std::int64_t y = image / columns * (shape[2] + 1) + at / shape[3] % shape[2];
    const std::int64_t x = image % columns * (shape[3] + 1) + at % shape[3];
    const float share = std::clamp((values[i] - low) / (high - low), 0.0F, 1.0F);
    picture.pixels[static_cast<std::size_t>((y * picture.width + x) * picture.channels + channel)] =
        static_cast<std::uint8_t>(std::lround(share * 255));
  }
  return picture;
}

void write_png(const Picture& picture, const std::string& path) {
  const auto stride = static_cast<std::size_t>(picture.width * picture.channels);
  std::string rows;
  for (std::int64_t y = 0; y < picture.height; ++y) {
    const auto first = picture.pixels.begin() + y * static_cast<std::int64_t>(stride);
    rows += '\0';  // no filter
    rows.append(first, first + static_cast<std::int64_t>(stride));
  }
  std::string header =
      big_endian(static_cast<std::uint32_t>(picture.width)) + big_endian(static_cast<std::uint32_t>(picture.height));
  header += '\x08';                                 // bits
  header += picture.channels == 3 ? '\x02' : '\0';  // colour type
  header += std::string(3, '\0');                   // compression, filter, interlace
  std::ofstream file(path, std::ios::binary);
  file << "\x89PNG\r\n\x1a\n" << chunk("IHDR", header) << chunk("IDAT", compressed(rows)) << chunk("IEND", "");
  file.close();
  if (!file) throw std::runtime_error(fmt::format("[png {}] the file cannot be written", path));
}

}  // namespace skua
