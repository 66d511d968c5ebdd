#include "skua/layers/transforms.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "shuffle.h"

namespace skua::datasets {
namespace {

// What one row is turned by in one epoch.
struct Turn {
  bool flip = false;
  std::int64_t down = 0;
  std::int64_t right = 0;
};

class Augmented final : public Dataset {
 public:
  Augmented(std::shared_ptr<const Dataset> images, const Augmentation& augmentation, std::uint64_t seed)
      : images_(std::move(images)), augmentation_(augmentation), seed_(seed), shape_(images_->feature_type().shape) {}

  [[nodiscard]] std::int64_t size() const override { return images_->size(); }
  [[nodiscard]] ValueType feature_type() const override { return images_->feature_type(); }
  [[nodiscard]] ValueType label_type() const override { return images_->label_type(); }
  [[nodiscard]] int classes() const override { return images_->classes(); }
  [[nodiscard]] std::string description() const override { return images_->description() + ", augmented"; }

  void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels, std::int64_t epoch) const override {
    images_->read(rows, features, labels, epoch);
    const std::span<float> pixels = features.floats();
    std::vector<float> original(static_cast<std::size_t>(shape_.elements()));
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::span<float> image = pixels.subspan(i * original.size(), original.size());
      std::copy(image.begin(), image.end(), original.begin());
      turn(original, turn_of(rows[i], epoch), image);
      normalize(image);
    }
  }

 private:
  [[nodiscard]] Turn turn_of(std::int64_t row, std::int64_t epoch) const {
    Random random(seed_, (static_cast<std::uint64_t>(epoch) << 40) + static_cast<std::uint64_t>(row));
    Turn turn;
    turn.flip = augmentation_.horizontal_flip && random.below(2) == 1;
    const auto most = static_cast<std::uint64_t>(2 * augmentation_.crop_padding + 1);
    turn.down = static_cast<std::int64_t>(random.below(most)) - augmentation_.crop_padding;
    turn.right = static_cast<std::int64_t>(random.below(most)) - augmentation_.crop_padding;
    return turn;
  }

  void turn(const std::vector<float>& from, const Turn& turn, std::span<float> to) const {
    const std::int64_t height = shape_[1];
    const std::int64_t width = shape_[2];
    for (std::size_t i = 0; i < to.size(); ++i) {
      const auto at = static_cast<std::int64_t>(i);
      const std::int64_t y = at / width % height - turn.down;
      std::int64_t x = at % width - turn.right;
      const bool inside = y >= 0 && y < height && x >= 0 && x < width;
      if (turn.flip) x = width - 1 - x;
      const std::int64_t plane = at / (width * height) * width * height;
      to[i] = inside ? from[static_cast<std::size_t>(plane + y * width + x)] : 0;
    }
  }

  void normalize(std::span<float> image) const {
    if (augmentation_.mean.empty()) return;
    const auto plane = static_cast<std::size_t>(shape_[1] * shape_[2]);
    for (std::size_t i = 0; i < image.size(); ++i) {
      image[i] = (image[i] - augmentation_.mean[i / plane]) / augmentation_.deviation[i / plane];
    }
  }

  std::shared_ptr<const Dataset> images_;
  Augmentation augmentation_;
  std::uint64_t seed_;
  Shape shape_;
};

// Some rows of another data set.
class Selection final : public Dataset {
 public:
  Selection(std::shared_ptr<const Dataset> data, std::vector<std::int64_t> rows, std::string description)
      : data_(std::move(data)), rows_(std::move(rows)), description_(std::move(description)) {}

  [[nodiscard]] std::int64_t size() const override { return static_cast<std::int64_t>(rows_.size()); }
  [[nodiscard]] ValueType feature_type() const override { return data_->feature_type(); }
  [[nodiscard]] ValueType label_type() const override { return data_->label_type(); }
  [[nodiscard]] int classes() const override { return data_->classes(); }
  [[nodiscard]] std::string description() const override { return description_; }
  void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels, std::int64_t epoch) const override {
    std::vector<std::int64_t> selected;
    for (const std::int64_t row : rows) selected.push_back(rows_.at(static_cast<std::size_t>(row)));
    data_->read(selected, features, labels, epoch);
  }

 private:
  std::shared_ptr<const Dataset> data_;
  std::vector<std::int64_t> rows_;
  std::string description_;
};

}  // namespace

std::shared_ptr<const Dataset> augmented(std::shared_ptr<const Dataset> images, const Augmentation& augmentation,
                                         std::uint64_t seed) {
  const ValueType type = images->feature_type();
  if (type.shape.rank() != 3 || type.dtype != DType::kFloat32) {
    throw std::invalid_argument(fmt::format("[augmented] expected images (C,H,W), got {}", type.to_string()));
  }
  const auto channels = static_cast<std::size_t>(type.shape[0]);
  const bool fits = augmentation.mean.empty() || augmentation.mean.size() == channels;
  if (!fits || augmentation.deviation.size() != augmentation.mean.size()) {
    throw std::invalid_argument(fmt::format("[augmented] expected mean and deviation of {} channels, got {} and {}",
                                            channels, augmentation.mean.size(), augmentation.deviation.size()));
  }
  if (augmentation.crop_padding < 0) {
    throw std::invalid_argument(
        fmt::format("[augmented] expected a padding of 0 or more, got {}", augmentation.crop_padding));
  }
  return std::make_shared<Augmented>(std::move(images), augmentation, seed);
}

DatasetPair split(std::shared_ptr<const Dataset> data, double share, std::uint64_t seed) {
  const std::int64_t size = data->size();
  const auto held = static_cast<std::int64_t>(static_cast<double>(size) * share);
  if (held < 1 || held >= size) {
    throw std::invalid_argument(
        fmt::format("[split] expected a share that leaves both parts rows, got {} of {} rows", share, size));
  }
  const std::vector<std::int64_t> order = shuffled(size, Random(seed));
  const auto middle = order.begin() + held;
  const auto part = [&](std::vector<std::int64_t> rows, const char* name) {
    std::sort(rows.begin(), rows.end());
    return std::make_shared<Selection>(data, std::move(rows), fmt::format("{} ({})", data->description(), name));
  };
  return {part({middle, order.end()}, "training"), part({order.begin(), middle}, "validation")};
}

}  // namespace skua::datasets
