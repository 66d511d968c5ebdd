// IDX files that the tests write, plain and gzip, whole and damaged in every way; real MNIST where it is found.
#include <fmt/format.h>
#include <unistd.h>
#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <optional>

#include "layers/dataset_rows.h"

namespace skua {
namespace {

using testing::error_of;
using testing::read_all;
using testing::Rows;

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

constexpr std::uint32_t kCount = 3;
constexpr std::uint32_t kRows = 4;
constexpr std::uint32_t kColumns = 5;

std::string images_bytes() {
  std::string bytes = big_endian(0x803) + big_endian(kCount) + big_endian(kRows) + big_endian(kColumns);
  for (std::uint32_t i = 0; i < kCount * kRows * kColumns; ++i) bytes.push_back(static_cast<char>(i * 37));
  return bytes;
}

std::string labels_bytes() {
  return big_endian(0x801) + big_endian(kCount) + std::string("\x07\x00\x09", 3);
}

std::string gzip(const std::string& plain) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::string compressed(plain.size() + 1000, '\0');
  std::string source = plain;
  stream.next_in = reinterpret_cast<Bytef*>(source.data());
  stream.avail_in = static_cast<uInt>(source.size());
  stream.next_out = reinterpret_cast<Bytef*>(compressed.data());
  stream.avail_out = static_cast<uInt>(compressed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  compressed.resize(stream.total_out);
  deflateEnd(&stream);
  return compressed;
}

class Idx : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* const test = ::testing::UnitTest::GetInstance()->current_test_info();
    folder_ = std::filesystem::path(::testing::TempDir()) / fmt::format("skua_idx_{}_{}", test->name(), ::getpid());
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& bytes) const {
    const std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  [[nodiscard]] std::shared_ptr<const Dataset> load(const std::string& images, const std::string& labels) const {
    return datasets::idx(write("images", images), write("labels", labels));
  }
  // The error of a pair of which one is damaged; it must be one line that names the damaged file.
  [[nodiscard]] std::string error(const std::string& images, const std::string& labels, const char* damaged) const {
    const std::string text = error_of([&] { (void)load(images, labels); });
    EXPECT_NE(text.find((folder_ / damaged).string()), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    return text;
  }

  std::filesystem::path folder_;
};

void expect_small_images(const Dataset& dataset) {
  EXPECT_EQ(dataset.size(), kCount);
  EXPECT_EQ(dataset.feature_type().shape, (Shape{1, kRows, kColumns}));
  EXPECT_EQ(dataset.classes(), 10);
  const Rows rows = read_all(dataset);
  EXPECT_EQ(rows.labels, (std::vector<std::int32_t>{7, 0, 9}));
  for (std::size_t i = 0; i < rows.features.size(); ++i) {
    EXPECT_FLOAT_EQ(rows.features[i], static_cast<float>(i * 37 % 256) / 255) << i;
  }
}

TEST_F(Idx, PlainAndGzipGiveTheSame) {
  expect_small_images(*load(images_bytes(), labels_bytes()));
  expect_small_images(*load(gzip(images_bytes()), labels_bytes()));
  expect_small_images(*load(images_bytes(), gzip(labels_bytes())));
}

TEST_F(Idx, GzipOfSeveralMembers) {
  const std::string plain = images_bytes();
  expect_small_images(*load(gzip(plain.substr(0, 21)) + gzip(plain.substr(21)), labels_bytes()));
}

TEST_F(Idx, GzipThatFillsItsBuffersExactly) {
  constexpr std::uint32_t kImages = 4096;  // 4096 x 64 x 64: a multiple of any buffer, header apart
  std::string images = big_endian(0x803) + big_endian(kImages) + big_endian(64) + big_endian(64);
  images.append(std::size_t{kImages} * 64 * 64 - 16, '\x05');
  images.append(16, '\xff');
  const auto dataset = load(gzip(images), gzip(big_endian(0x801) + big_endian(kImages) + std::string(kImages, '\1')));
  EXPECT_EQ(dataset->size(), kImages);
  EXPECT_EQ(testing::read_rows(*dataset, {kImages - 1}).features.back(), 1.0F);
}

TEST_F(Idx, MissingFiles) {
  const std::string images = write("images", images_bytes());
  const std::string missing = (folder_ / "nothing").string();
  EXPECT_EQ(error_of([&] { (void)datasets::idx(missing, images); }),
            "[" + missing + "] expected a readable file, got: No such file or directory");
  EXPECT_NE(error_of([&] { (void)datasets::idx(images, missing); }).find(missing), std::string::npos);
  EXPECT_EQ(error_of([&] { (void)datasets::idx(folder_.string(), images); }),
            "[" + folder_.string() + "] expected a readable file, got: Is a directory");
}

TEST_F(Idx, TruncatedAtEveryLength) {
  const std::string images = images_bytes();
  const std::string labels = labels_bytes();
  for (std::size_t length = 0; length < images.size(); ++length)
    (void)error(images.substr(0, length), labels, "images");
  for (std::size_t length = 0; length < labels.size(); ++length)
    (void)error(images, labels.substr(0, length), "labels");
  const std::string packed = gzip(images);
  for (std::size_t length = 0; length < packed.size(); ++length)
    (void)error(packed.substr(0, length), labels, "images");
  const std::string packed_labels = gzip(labels);
  for (std::size_t length = 0; length < packed_labels.size(); ++length) {
    (void)error(images, packed_labels.substr(0, length), "labels");
  }
}

TEST_F(Idx, TrailingBytes) {
  for (const char* tail : {"x", "12345678901234567890"}) {
    (void)error(images_bytes() + tail, labels_bytes(), "images");
    (void)error(images_bytes(), labels_bytes() + tail, "labels");
    (void)error(gzip(images_bytes() + tail), labels_bytes(), "images");
    (void)error(gzip(images_bytes()) + tail, labels_bytes(), "images");
    (void)error(images_bytes(), gzip(labels_bytes()) + tail, "labels");
  }
  // Both files hold twice what their headers say.
  (void)error(images_bytes() + images_bytes().substr(16), labels_bytes() + labels_bytes().substr(8), "images");
  (void)error(gzip(images_bytes()) + gzip("x"), labels_bytes(), "images");
  (void)error(gzip(images_bytes()) + std::string(8, '\0'), labels_bytes(), "images");
}

TEST_F(Idx, EveryHeaderByteOfAPlainFileFlipped) {
  for (const int mask : {0x01, 0x80, 0xff}) {
    for (std::size_t i = 0; i < 16; ++i) {
      std::string images = images_bytes();
      images[i] = static_cast<char>(images[i] ^ mask);
      (void)error(images, labels_bytes(), "images");
    }
    for (std::size_t i = 0; i < 8; ++i) {
      std::string labels = labels_bytes();
      labels[i] = static_cast<char>(labels[i] ^ mask);
      (void)error(images_bytes(), labels, "labels");
    }
  }
}

// Bits that carry no data and that nothing checks (RFC 1952, 2.3.1, and RFC 1951, 3.2.3): bytes 4 to 9 are the time and
// the system that the file was made on, the lowest bit of byte 3 says that it may be text, and the last byte of the
// compressed data, before the 8 bytes of checksum and size, is padded.
TEST_F(Idx, EveryBitOfAGzipFileFlipped) {
  const std::string packed = gzip(images_bytes());
  for (std::size_t i = 0; i < packed.size(); ++i) {
    int harmless = 0;
    for (int bit = 0; bit < 8; ++bit) {
      std::string images = packed;
      images[i] = static_cast<char>(images[i] ^ 1 << bit);
      try {
        expect_small_images(*load(images, labels_bytes()));
        ++harmless;
      } catch (const std::invalid_argument& error) {
        EXPECT_NE(std::string(error.what()).find((folder_ / "images").string()), std::string::npos) << error.what();
      }
    }
    const int most = i >= 4 && i <= 9 ? 8 : i == 3 ? 1 : i == packed.size() - 9 ? 7 : 0;
    EXPECT_LE(harmless, most) << "byte " << i;
  }
}

TEST_F(Idx, EveryByteOfAGzipFileFlipped) {
  const std::string packed = gzip(labels_bytes());
  for (std::size_t i = 0; i < packed.size(); ++i) {
    if (i >= 4 && i <= 9) continue;
    std::string labels = packed;
    labels[i] = static_cast<char>(~labels[i]);
    (void)error(images_bytes(), labels, "labels");
  }
}

TEST_F(Idx, MessagesSayWhatWasExpectedAndWhatCame) {
  const std::string images = (folder_ / "images").string();
  const std::string labels = (folder_ / "labels").string();
  EXPECT_EQ(error(images_bytes().substr(0, 9), labels_bytes(), "images"),
            "[" + images + "] expected an IDX header of 16 bytes, got 9 bytes");
  EXPECT_EQ(error(labels_bytes() + "12345", images_bytes(), "images"),
            "[" + images + "] expected IDX magic 0x00000803, got 0x00000801");
  EXPECT_EQ(error(images_bytes() + "1", labels_bytes(), "images"),
            "[" + images + "] expected 3 x 4 x 5 bytes after the header, got 61");
  const std::string none = big_endian(0x803) + big_endian(0) + big_endian(4) + big_endian(5);
  EXPECT_EQ(error(none, labels_bytes(), "images"), "[" + images + "] expected extents of 1 or more, got 0 x 4 x 5");
  const std::string wide = big_endian(0x803) + big_endian(1) + big_endian(1) + big_endian(40000);
  EXPECT_EQ(error(wide + std::string(40000, 'x'), labels_bytes(), "images"),
            "[" + images + "] expected at most 32768 rows and columns, got 1x40000");
  const std::string packed = gzip(labels_bytes());
  EXPECT_EQ(error(images_bytes(), packed.substr(0, 20), "labels"),
            "[" + labels + "] expected complete gzip data, got only the first 20 bytes of the file");
  EXPECT_EQ(error(images_bytes(), packed + "x", "labels"),
            "[" + labels + "] expected complete gzip data, got only the first " + std::to_string(packed.size() + 1) +
                " bytes of the file");
}

// 2^32 - 1 in each extent: the product overflows 64 bits.
TEST_F(Idx, HugeExtents) {
  const std::string most = big_endian(0xffffffff);
  (void)error(big_endian(0x803) + most + most + most + std::string(60, 'x'), labels_bytes(), "images");
  const std::string half = big_endian(0x80000000);
  (void)error(big_endian(0x803) + half + half + big_endian(4), labels_bytes(), "images");  // 2^64 = 0 modulo 2^64
}

TEST_F(Idx, LabelsThatDoNotFit) {
  const std::string out_of_range = big_endian(0x801) + big_endian(kCount) + std::string("\x07\x00\x0a", 3);
  EXPECT_NE(error(images_bytes(), out_of_range, "labels").find("expected labels in 0..9, got 10 for image 2"),
            std::string::npos);
  const std::string too_few = big_endian(0x801) + big_endian(2) + std::string("\x07\x00", 2);
  EXPECT_NE(error(images_bytes(), too_few, "labels").find("got 2 labels and 60 pixels"), std::string::npos);
  EXPECT_NO_THROW((void)datasets::idx(write("images", images_bytes()), write("labels", out_of_range), 11));
}

TEST_F(Idx, MnistFindsItsFilesByName) {
  (void)write("train-images-idx3-ubyte", images_bytes());
  (void)write("train-labels-idx1-ubyte.gz", gzip(labels_bytes()));
  (void)write("t10k-images-idx3-ubyte.gz", gzip(images_bytes()));
  const std::string missing = (folder_ / "t10k-labels-idx1-ubyte").string();
  EXPECT_EQ(error_of([&] { (void)datasets::mnist(folder_.string()); }),
            "[" + missing + "] expected this file of MNIST, or the same with .gz, got neither");
  (void)write("t10k-labels-idx1-ubyte", labels_bytes());
  const DatasetPair pair = datasets::mnist(folder_.string());
  expect_small_images(*pair.train);
  expect_small_images(*pair.test);
}

// The folder of the real files: $SKUA_MNIST_DIR, or shared/data/mnist beside the source tree.
std::optional<std::string> mnist_folder() {
  if (const char* const variable = std::getenv("SKUA_MNIST_DIR")) return variable;
  const std::filesystem::path beside = std::filesystem::path(SKUA_SOURCE_DIR) / ".." / "shared" / "data" / "mnist";
  if (std::filesystem::exists(beside)) return beside.string();
  return std::nullopt;
}

TEST(Mnist, TheRealFiles) {
  const auto folder = mnist_folder();
  if (!folder) GTEST_SKIP() << "no MNIST: SKUA_MNIST_DIR is not set and ../shared/data/mnist does not exist";
  const DatasetPair pair = datasets::mnist(*folder);
  EXPECT_EQ(pair.train->size(), 60000);
  EXPECT_EQ(pair.test->size(), 10000);
  EXPECT_EQ(pair.train->feature_type().shape, (Shape{1, 28, 28}));
  EXPECT_EQ(testing::read_rows(*pair.train, {0, 1, 2, 3, 4}).labels, (std::vector<std::int32_t>{5, 0, 4, 1, 9}));
  const Rows test = read_all(*pair.test);
  // How often each digit is in the test part; the mean pixel of the training part is known to be 0.1307.
  std::vector<int> counts(10);
  for (const std::int32_t label : test.labels) ++counts[static_cast<std::size_t>(label)];
  EXPECT_EQ(counts, (std::vector<int>{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}));
  const Rows train = read_all(*pair.train);
  const double sum = std::accumulate(train.features.begin(), train.features.end(), 0.0);
  EXPECT_NEAR(sum / static_cast<double>(train.features.size()), 0.1307, 0.0001);
}

}  // namespace
}  // namespace skua
