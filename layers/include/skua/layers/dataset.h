// Data sets: rows of features and integer labels, read by index into batch tensors. Reading is const and safe from any
// number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "skua/graph/tensor.h"

namespace skua {

class Dataset {
 public:
  virtual ~Dataset() = default;
  [[nodiscard]] virtual std::int64_t size() const = 0;
  [[nodiscard]] virtual ValueType feature_type() const = 0;  // of one row: float32 (1,28,28), int32 (100)
  [[nodiscard]] virtual ValueType label_type() const = 0;    // of one row: int32 (), float32 (1)
  [[nodiscard]] virtual int classes() const = 0;             // int32 labels are 0..classes-1; 0: labels are float32
  [[nodiscard]] virtual std::string description() const = 0;
  // Fills row i of `features` and `labels` from row rows[i]. What is drawn at random depends on the epoch.
  // REQUIRES: 0 <= rows[i] < size(); the tensors have the types of a row with the count of rows in front.
  virtual void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels,
                    std::int64_t epoch = 0) const = 0;
};

struct DatasetPair {
  std::shared_ptr<const Dataset> train;
  std::shared_ptr<const Dataset> test;
};

namespace datasets {

// Rows of two tensors (N,...) with one N. int32 labels are 0..classes-1; float32 labels have no classes. Throws
// std::invalid_argument where that does not hold.
[[nodiscard]] std::shared_ptr<const Dataset> arrays(Tensor features, Tensor labels, int classes,
                                                    std::string description);

struct CsvOptions {
  std::string label = "";  // a column by its name or, from 1, its number; empty: the last
  bool header = true;
  char delimiter = ',';
  int classes = 0;  // of int32 labels (); 0: labels are float32 (1)
};
// Numbers in a table, one row a line: features float32 (columns - 1). Throws std::invalid_argument naming file, line
// and column. Format: RFC 4180, without line breaks in fields.
[[nodiscard]] std::shared_ptr<const Dataset> csv(const std::string& path, const CsvOptions& options = {});

// CIFAR-10's binary files in `directory` or its folder cifar-10-batches-bin; pixels (3,32,32) are 0..1. Throws
// std::invalid_argument naming the file. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
[[nodiscard]] DatasetPair cifar10(const std::string& directory);

// Grey images with labels; pixels are 0..255 in memory and 0..1 when read. Throws std::invalid_argument where sizes
// disagree or a label is not in 0..classes-1.
[[nodiscard]] std::shared_ptr<const Dataset> images(std::vector<std::uint8_t> pixels, std::vector<std::uint8_t> labels,
                                                    int height, int width, int classes, std::string description);

// A pair of IDX files, plain or gzip: magic 0x00000803 images (count, rows, columns, bytes) and 0x00000801 labels.
// Throws std::invalid_argument naming the file: missing, truncated, damaged (bad magic, gzip checksum, trailing bytes,
// counts that disagree, a label above 9).
// Format: http://yann.lecun.com/exdb/mnist/ ("the IDX file format").
[[nodiscard]] std::shared_ptr<const Dataset> idx(const std::string& images_file, const std::string& labels_file,
                                                 int classes = 10);

// The four files of MNIST in `directory`, under their usual names, with or without ".gz".
[[nodiscard]] DatasetPair mnist(const std::string& directory);

// Handwritten-looking digits drawn by the library: strokes per digit with random affine distortion, stroke width,
// wobble and noise, 28x28 grey. Same seed, same pixels. Training and test digits come from separate streams.
[[nodiscard]] DatasetPair synthetic_digits(std::int64_t train_size = 12000, std::int64_t test_size = 2000,
                                           std::uint64_t seed = 1);

}  // namespace datasets
}  // namespace skua
