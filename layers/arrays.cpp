// Data sets from memory, CSV files and CIFAR-10's binary files.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cassert>
#include <charconv>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "graph/user_file.h"
#include "skua/layers/dataset.h"
#include "text_files.h"

namespace skua::datasets {
namespace {

ValueType row_of(const Tensor& tensor) {
  std::vector<std::int64_t> extents = tensor.shape().extents();
  extents.erase(extents.begin());
  return {Shape(std::move(extents)), tensor.type().dtype};
}

class Arrays final : public Dataset {
 public:
  Arrays(Tensor features, Tensor labels, int classes, std::string description)
      : features_(std::move(features)),
        labels_(std::move(labels)),
        classes_(classes),
        description_(std::move(description)) {}

  [[nodiscard]] std::int64_t size() const override { return features_.shape()[0]; }
  [[nodiscard]] ValueType feature_type() const override { return row_of(features_); }
  [[nodiscard]] ValueType label_type() const override { return row_of(labels_); }
  [[nodiscard]] int classes() const override { return classes_; }
  [[nodiscard]] std::string description() const override { return description_; }
  void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels, std::int64_t) const override {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      assert(rows[i] >= 0 && rows[i] < size());
      copy_row(features_, rows[i], features, i);
      copy_row(labels_, rows[i], labels, i);
    }
  }

 private:
  static void copy_row(const Tensor& from, std::int64_t row, Tensor& to, std::size_t at) {
    const std::size_t bytes = row_of(from).bytes();
    std::memcpy(to.data() + at * bytes, from.data() + static_cast<std::size_t>(row) * bytes, bytes);
  }

  Tensor features_;
  Tensor labels_;
  int classes_;
  std::string description_;
};

// The fields of one line; a field in quotes may hold delimiters and, doubled, quotes.
std::vector<std::string> fields_of(const std::string& line, char delimiter) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '"') {
      const bool doubled = quoted && i + 1 < line.size() && line[i + 1] == '"';
      if (doubled) {
        fields.back() += line[++i];
      } else {
        quoted = !quoted;
      }
    } else if (line[i] == delimiter && !quoted) {
      fields.emplace_back();
    } else if (line[i] != '\r') {
      fields.back() += line[i];
    }
  }
  return fields;
}

float number_in(const std::string& path, std::size_t line, std::size_t column, const std::string& field) {
  const std::size_t first = std::min(field.find_first_not_of(' '), field.size());
  const std::size_t end = field.find_last_not_of(' ') + 1;
  float number = 0;
  const auto [stop, error] = std::from_chars(field.data() + first, field.data() + std::max(first, end), number);
  if (error == std::errc() && stop == field.data() + end && std::isfinite(number)) return number;
  throw std::invalid_argument(
      fmt::format("[{}] line {}, column {}: expected a number, got '{:.40}'", path, line, column + 1, one_line(field)));
}

std::size_t label_column(const std::string& path, const CsvOptions& options, const std::vector<std::string>& head) {
  if (options.label.empty()) return head.size() - 1;
  const auto found = std::find(head.begin(), head.end(), options.label);
  if (options.header && found != head.end()) return static_cast<std::size_t>(found - head.begin());
  std::size_t index = 0;
  const auto [stop, error] = std::from_chars(options.label.data(), options.label.data() + options.label.size(), index);
  const bool is_index = error == std::errc() && stop == options.label.data() + options.label.size();
  if (is_index && index >= 1 && index <= head.size()) return index - 1;
  throw std::invalid_argument(fmt::format("[{}] expected a label column of {:.200}, got '{}'", path,
                                          one_line(fmt::format("{}", fmt::join(head, ", "))), options.label));
}

constexpr std::size_t kCifarPixels = 3 * 32 * 32;
constexpr std::size_t kCifarRecord = kCifarPixels + 1;

std::shared_ptr<const Dataset> cifar_files(const std::vector<std::string>& paths, const std::string& description) {
  std::string bytes;
  for (const std::string& path : paths) {
    const std::string part = text_of(path);
    if (part.empty() || part.size() % kCifarRecord != 0) {
      throw std::invalid_argument(
          fmt::format("[{}] expected records of {} bytes, got {} bytes", path, kCifarRecord, part.size()));
    }
    for (std::size_t at = 0; at < part.size(); at += kCifarRecord) {
      const auto label = static_cast<unsigned char>(part[at]);
      if (label > 9)
        throw std::invalid_argument(fmt::format("[{}] byte {}: expected a label in 0..9, got {}", path, at, label));
    }
    bytes += part;
  }
  const std::size_t count = bytes.size() / kCifarRecord;
  Tensor features(ValueType{{static_cast<std::int64_t>(count), 3, 32, 32}});
  Tensor labels(ValueType{{static_cast<std::int64_t>(count)}, DType::kInt32});
  for (std::size_t i = 0; i < count; ++i) {
    const char* const record = bytes.data() + i * kCifarRecord;
    labels.ints()[i] = static_cast<unsigned char>(record[0]);
    std::transform(record + 1, record + kCifarRecord, features.floats().data() + i * kCifarPixels,
                   [](char pixel) { return static_cast<float>(static_cast<unsigned char>(pixel)) / 255; });
  }
  return arrays(std::move(features), std::move(labels), 10, description);
}

}  // namespace

std::shared_ptr<const Dataset> arrays(Tensor features, Tensor labels, int classes, std::string description) {
  const auto fail = [&](const std::string& text) {
    throw std::invalid_argument(fmt::format("[{}] {}", description, text));
  };
  if (features.shape().rank() < 1 || labels.shape().rank() < 1 || features.shape()[0] != labels.shape()[0]) {
    fail(fmt::format("expected features (N,...) and labels (N,...), got {} and {}", features.type().to_string(),
                     labels.type().to_string()));
  }
  const bool are_classes = labels.type().dtype == DType::kInt32;
  if (are_classes != (classes > 0)) {
    fail(fmt::format("expected classes with int32 labels alone, got {} and {}", classes, labels.type().to_string()));
  }
  if (are_classes) {
    for (const std::int32_t label : labels.ints()) {
      if (label < 0 || label >= classes) fail(fmt::format("expected labels in 0..{}, got {}", classes - 1, label));
    }
  }
  return std::make_shared<Arrays>(std::move(features), std::move(labels), classes, std::move(description));
}

std::shared_ptr<const Dataset> csv(const std::string& path, const CsvOptions& options) {
  const std::vector<std::string> lines = lines_of(path);
  const std::size_t first = options.header ? 1 : 0;
  if (lines.size() <= first) throw std::invalid_argument(fmt::format("[{}] expected rows, got none", path));
  const std::vector<std::string> head = fields_of(lines[0], options.delimiter);
  if (head.size() < 2) {
    throw std::invalid_argument(fmt::format("[{}] expected two columns or more, got {}", path, head.size()));
  }
  const std::size_t label = label_column(path, options, head);
  std::vector<float> features;
  std::vector<float> labels;
  for (std::size_t i = first; i < lines.size(); ++i) {
    const std::vector<std::string> fields = fields_of(lines[i], options.delimiter);
    if (fields.size() != head.size()) {
      throw std::invalid_argument(
          fmt::format("[{}] line {}: expected {} fields, got {}", path, i + 1, head.size(), fields.size()));
    }
    for (std::size_t c = 0; c < fields.size(); ++c) {
      const float number = number_in(path, i + 1, c, fields[c]);
      if (c == label && options.classes > 0 &&
          (number != std::floor(number) || number < 0 || number >= static_cast<float>(options.classes))) {
        throw std::invalid_argument(fmt::format("[{}] line {}, column {}: expected a label in 0..{}, got {}", path,
                                                i + 1, c + 1, options.classes - 1, number));
      }
      (c == label ? labels : features).push_back(number);
    }
  }
  const auto rows = static_cast<std::int64_t>(labels.size());
  Tensor x(ValueType{{rows, static_cast<std::int64_t>(head.size()) - 1}});
  std::copy(features.begin(), features.end(), x.floats().begin());
  if (options.classes == 0) {
    Tensor y(ValueType{{rows, 1}});
    std::copy(labels.begin(), labels.end(), y.floats().begin());
    return arrays(std::move(x), std::move(y), 0, path);
  }
  Tensor y(ValueType{{rows}, DType::kInt32});
  std::transform(labels.begin(), labels.end(), y.ints().begin(), [](float v) { return static_cast<std::int32_t>(v); });
  return arrays(std::move(x), std::move(y), options.classes, path);
}

DatasetPair cifar10(const std::string& directory) {
  std::filesystem::path folder(directory);
  if (std::filesystem::is_directory(folder / "cifar-10-batches-bin")) folder /= "cifar-10-batches-bin";
  std::vector<std::string> train;
  for (int i = 1; i <= 5; ++i) train.push_back((folder / fmt::format("data_batch_{}.bin", i)).string());
  return {cifar_files(train, folder.string() + " (training)"),
          cifar_files({(folder / "test_batch.bin").string()}, folder.string() + " (test)")};
}

}  // namespace skua::datasets
