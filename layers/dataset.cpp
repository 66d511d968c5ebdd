#include "skua/layers/dataset.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <stdexcept>

namespace skua::datasets {

namespace {

class Images final : public Dataset {
 public:
  Images(std::vector<std::uint8_t> pixels, std::vector<std::uint8_t> labels, int height, int width, int classes,
         std::string description)
      : pixels_(std::move(pixels)),
        labels_(std::move(labels)),
        shape_{1, height, width},
        classes_(classes),
        description_(std::move(description)) {}

  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(labels_.size()); }
  [[nodiscard]] ValueType feature_type() const override { return {shape_}; }
  [[nodiscard]] ValueType label_type() const override { return {{}, DType::kInt32}; }
  [[nodiscard]] int classes() const override { return classes_; }
  [[nodiscard]] std::string description() const override { return description_; }

  void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels, std::int64_t) const override {
    const std::int64_t count = shape_.elements();
    const std::span<float> values = features.floats();
    const std::span<std::int32_t> classes = labels.ints();
    assert(classes.size() == rows.size() && values.size() == rows.size() * static_cast<std::size_t>(count));
    float* to = values.data();
    for (std::size_t i = 0; i < rows.size(); ++i, to += count) {
      assert(rows[i] >= 0 && rows[i] < size());
      const std::uint8_t* const from = pixels_.data() + rows[i] * count;
      std::transform(from, from + count, to, [](std::uint8_t pixel) { return static_cast<float>(pixel) / 255; });
      classes[i] = labels_[static_cast<std::size_t>(rows[i])];
    }
  }

 private:
  std::vector<std::uint8_t> pixels_;
  std::vector<std::uint8_t> labels_;
  Shape shape_;
  int classes_;
  std::string description_;
};

}  // namespace

std::shared_ptr<const Dataset> images(std::vector<std::uint8_t> pixels, std::vector<std::uint8_t> labels, int height,
                                      int width, int classes, std::string description) {
  const auto fail = [&description](const std::string& text) {
    throw std::invalid_argument(fmt::format("[{}] {}", description, text));
  };
  if (height < 1 || width < 1)
    fail(fmt::format("expected a height and a width of 1 or more, got {}x{}", height, width));
  if (classes < 1 || classes > 256) fail(fmt::format("expected 1 to 256 classes, got {}", classes));
  if (labels.empty()) fail("expected at least one image, got none");
  const std::size_t image = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  if (pixels.size() % image != 0 || pixels.size() / image != labels.size()) {
    fail(fmt::format("expected one label for each image of {}x{}, got {} labels and {} pixels", height, width,
                     labels.size(), pixels.size()));
  }
  const auto bad = std::find_if(labels.begin(), labels.end(), [=](std::uint8_t label) { return label >= classes; });
  if (bad != labels.end()) {
    fail(fmt::format("expected labels in 0..{}, got {} for image {}", classes - 1, *bad, bad - labels.begin()));
  }
  return std::make_shared<Images>(std::move(pixels), std::move(labels), height, width, classes, std::move(description));
}

}  // namespace skua::datasets
