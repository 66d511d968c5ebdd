// Data sets in IDX files. Format: http://yann.lecun.com/exdb/mnist/; gzip: RFC 1952, by zlib.
#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <filesystem>
#include <stdexcept>

#include "graph/user_file.h"
#include "skua/layers/dataset.h"

namespace skua::datasets {

namespace {

using Bytes = std::vector<std::uint8_t>;

struct IdxArray {
  std::vector<std::uint32_t> extents;  // outermost first, each >= 1
  Bytes elements;
};

[[noreturn]] void fail(const std::string& file, const std::string& text) {
  throw std::invalid_argument(fmt::format("[{}] {}", file, text));
}

// zlib's gzread would ignore bytes that follow the last member; here they are an error.
class Gunzip {
 public:
  explicit Gunzip(const std::string& file) : file_(file) {
    constexpr int kGzipOnly = 16;
    if (inflateInit2(&stream_, MAX_WBITS + kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~Gunzip() { inflateEnd(&stream_); }
  Gunzip(const Gunzip&) = delete;
  Gunzip& operator=(const Gunzip&) = delete;

  Bytes run(Bytes& compressed) {
    constexpr std::size_t kMostAtOnce = 1 << 30;  // zlib counts in 32 bits
    Bytes plain;
    Bytes chunk(1 << 16);
    std::span<std::uint8_t> rest(compressed);
    while (!rest.empty()) {  // the checksum is not read before all output is out
      stream_.next_in = rest.data();
      stream_.avail_in = static_cast<uInt>(std::min(rest.size(), kMostAtOnce));
      stream_.next_out = chunk.data();
      stream_.avail_out = static_cast<uInt>(chunk.size());
      const int status = inflate(&stream_, Z_NO_FLUSH);
      rest = rest.last(static_cast<std::size_t>(rest.data() + rest.size() - stream_.next_in));
      plain.insert(plain.end(), chunk.data(), stream_.next_out);
      if (status == Z_STREAM_END) {
        if (rest.empty()) return plain;
        inflateReset(&stream_);  // a gzip file is a sequence of members
      } else if (status != Z_OK && status != Z_BUF_ERROR) {
        fail(file_,
             fmt::format("expected undamaged gzip data, got: {}", stream_.msg ? stream_.msg : "a damaged stream"));
      }
    }
    fail(file_, fmt::format("expected complete gzip data, got only the first {} bytes of the file", compressed.size()));
  }

 private:
  const std::string& file_;
  z_stream stream_{};
};

std::uint32_t big_endian(const Bytes& bytes, std::size_t at) {
  return static_cast<std::uint32_t>(bytes[at]) << 24 | static_cast<std::uint32_t>(bytes[at + 1]) << 16 |
         static_cast<std::uint32_t>(bytes[at + 2]) << 8 | bytes[at + 3];
}

// An array of unsigned bytes with `rank` extents.
IdxArray read_idx(const std::string& file, std::uint32_t rank) {
  const std::string content = bytes_of(file, fmt::format("[{}] ", file));
  Bytes bytes(content.begin(), content.end());
  if (bytes.size() >= 2 && bytes[0] == 0x1f && bytes[1] == 0x8b) bytes = Gunzip(file).run(bytes);
  const std::size_t header = 4 * (1 + std::size_t{rank});
  if (bytes.size() < header)
    fail(file, fmt::format("expected an IDX header of {} bytes, got {} bytes", header, bytes.size()));
  constexpr std::uint32_t kUnsignedBytes = 0x0800;
  const std::uint32_t magic = big_endian(bytes, 0);
  if (magic != (kUnsignedBytes | rank)) {
    fail(file, fmt::format("expected IDX magic 0x{:08x}, got 0x{:08x}", kUnsignedBytes | rank, magic));
  }
  IdxArray array;
  std::size_t left = bytes.size() - header;  // elements that the extents so far do not account for
  bool fits = true;
  for (std::size_t axis = 0; axis < rank; ++axis) {
    const std::uint32_t extent = big_endian(bytes, 4 * (axis + 1));
    array.extents.push_back(extent);
    fits = fits && extent > 0 && left % extent == 0;
    if (fits) left /= extent;
  }
  if (std::count(array.extents.begin(), array.extents.end(), 0) != 0) {
    fail(file, fmt::format("expected extents of 1 or more, got {}", fmt::join(array.extents, " x ")));
  }
  if (!fits || left != 1) {
    fail(file, fmt::format("expected {} bytes after the header, got {}", fmt::join(array.extents, " x "),
                           bytes.size() - header));
  }
  array.elements.assign(bytes.begin() + static_cast<std::ptrdiff_t>(header), bytes.end());
  return array;
}

}  // namespace

std::shared_ptr<const Dataset> idx(const std::string& images_file, const std::string& labels_file, int classes) {
  IdxArray pixels = read_idx(images_file, 3);
  IdxArray labels = read_idx(labels_file, 1);
  constexpr std::uint32_t kMostPixels = 1 << 15;
  if (pixels.extents[1] > kMostPixels || pixels.extents[2] > kMostPixels) {
    fail(images_file, fmt::format("expected at most {} rows and columns, got {}x{}", kMostPixels, pixels.extents[1],
                                  pixels.extents[2]));
  }
  return images(std::move(pixels.elements), std::move(labels.elements), static_cast<int>(pixels.extents[1]),
                static_cast<int>(pixels.extents[2]), classes, images_file + ", " + labels_file);
}

DatasetPair mnist(const std::string& directory) {
  const auto find = [&directory](const std::string& name) {
    std::string plain = (std::filesystem::path(directory) / name).string();
    if (std::filesystem::exists(plain)) return plain;
    if (std::filesystem::exists(plain + ".gz")) return plain + ".gz";
    fail(plain, "expected this file of MNIST, or the same with .gz, got neither");
  };
  return {idx(find("train-images-idx3-ubyte"), find("train-labels-idx1-ubyte")),
          idx(find("t10k-images-idx3-ubyte"), find("t10k-labels-idx1-ubyte"))};
}

}  // namespace skua::datasets
