// Pictures: written PNG files, taken apart again.
#include "skua/layers/png.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include "files.h"

namespace skua::test {
namespace {

std::uint32_t number_at(const std::string& bytes, std::size_t at) {
  std::uint32_t number = 0;
  for (std::size_t i = 0; i < 4; ++i) number = number << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return number;
}

// The chunks of a PNG file; their checksums are checked.
std::vector<std::pair<std::string, std::string>> chunks_of(const std::string& file) {
  EXPECT_EQ(file.substr(0, 8), "\x89PNG\r\n\x1a\n");
  std::vector<std::pair<std::string, std::string>> chunks;
  for (std::size_t at = 8; at < file.size();) {
    const std::size_t size = number_at(file, at);
    const std::string body = file.substr(at + 4, 4 + size);
    EXPECT_EQ(number_at(file, at + 8 + size),
              crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size())));
    chunks.emplace_back(body.substr(0, 4), body.substr(4));
    at += 12 + size;
  }
  return chunks;
}

TEST(Png, HoldsThePixels) {
  const Folder folder("png");
  for (const std::int64_t channels : {1, 3}) {
    Picture picture{5, 3, channels, {}};
    for (std::int64_t i = 0; i < 15 * channels; ++i) picture.pixels.push_back(static_cast<std::uint8_t>(i * 17));
    write_png(picture, folder / "a.png");
    const auto chunks = chunks_of(content_of(folder / "a.png"));
    ASSERT_EQ(chunks.size(), 3U);
    EXPECT_EQ(chunks[0].first, "IHDR");
    const std::string colour(1, channels == 1 ? '\0' : '\x02');
    EXPECT_EQ(chunks[0].second, std::string("\0\0\0\x05\0\0\0\x03\x08", 9) + colour + std::string(3, '\0'));
    EXPECT_EQ(chunks[1].first, "IDAT");
    EXPECT_EQ(chunks[2].first, "IEND");
    std::string rows(1000, '\0');
    uLongf size = rows.size();
    const std::string& data = chunks[1].second;
    ASSERT_EQ(uncompress(reinterpret_cast<Bytef*>(rows.data()), &size, reinterpret_cast<const Bytef*>(data.data()),
                         static_cast<uLong>(data.size())),
              Z_OK);
    const auto width = static_cast<std::size_t>(5 * channels);
    ASSERT_EQ(size, 3 * (width + 1));
    for (std::size_t y = 0; y < 3; ++y) {
      EXPECT_EQ(rows[y * (width + 1)], '\0');  // the row's filter
      for (std::size_t x = 0; x < width; ++x) {
        EXPECT_EQ(static_cast<std::uint8_t>(rows[y * (width + 1) + 1 + x]), picture.pixels[y * width + x]);
      }
    }
  }
  EXPECT_THROW(write_png({1, 1, 1, {0}}, folder / "none/a.png"), std::runtime_error);
}

TEST(ImageGrid, RowsOfImagesWithAPixelBetween) {
  Tensor images(ValueType{{3, 1, 1, 2}});
  const std::vector<float> values{-1, 1, 0, -3, 0.5F, 4};
  std::copy(values.begin(), values.end(), images.floats().begin());
  const Picture picture = image_grid(images, 2, -1, 1);
  EXPECT_EQ(picture.width, 5);
  EXPECT_EQ(picture.height, 3);
  EXPECT_EQ(picture.pixels, (std::vector<std::uint8_t>{0, 255, 0, 128, 0,  //
                                                       0, 0, 0, 0, 0,      //
                                                       191, 255, 0, 0, 0}));
  EXPECT_THROW((void)image_grid(Tensor(ValueType{{3, 2, 1, 2}}), 2), std::invalid_argument);
  EXPECT_THROW((void)image_grid(images, 0), std::invalid_argument);
}

TEST(ImageGrid, InterleavesColours) {
  Tensor image(ValueType{{1, 3, 1, 2}});
  const std::vector<float> values{0, 1, 0.2F, 0.4F, 0.6F, 0.8F};
  std::copy(values.begin(), values.end(), image.floats().begin());
  EXPECT_EQ(image_grid(image, 1).pixels, (std::vector<std::uint8_t>{0, 51, 153, 255, 102, 204}));
}

}  // namespace
}  // namespace skua::test
