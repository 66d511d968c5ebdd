// A small classification problem, a model that solves it, and a place for files.
#pragma once

#include <filesystem>

#include "models/models.h"

namespace skua::test {

// Blurred squares in one of four corners, 8x8.
inline std::shared_ptr<const Dataset> corners(int count, std::uint64_t seed = 1) {
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> labels;
  Random random(seed);
  for (int i = 0; i < count; ++i) {
    const auto label = static_cast<int>(random.below(4));
    labels.push_back(static_cast<std::uint8_t>(label));
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 8; ++x) {
        const bool inside = y / 4 == label / 2 && x / 4 == label % 2;
        pixels.push_back(static_cast<std::uint8_t>((inside ? 120 : 0) + random.below(100)));
      }
    }
  }
  return datasets::images(std::move(pixels), std::move(labels), 8, 8, 4, "corners");
}

// Reads another data set; what tests spoil or count, they override.
class PassedOn : public Dataset {
 public:
  explicit PassedOn(std::shared_ptr<const Dataset> data) : good(std::move(data)) {}
  [[nodiscard]] std::int64_t size() const override { return good->size(); }
  [[nodiscard]] ValueType feature_type() const override { return good->feature_type(); }
  [[nodiscard]] ValueType label_type() const override { return good->label_type(); }
  [[nodiscard]] int classes() const override { return good->classes(); }
  [[nodiscard]] std::string description() const override { return good->description(); }
  std::shared_ptr<const Dataset> good;
};

inline Sequential small_model() {
  Sequential model({1, 8, 8});
  model.add(Conv2D(6, {3, 3}, {.activation = "relu", .padding = "same"}))
      .add(MaxPool2D({2, 2}))
      .add(Flatten())
      .add(Dense(8, {.activation = "tanh"}))
      .add(Dense(4));
  return model;
}

inline std::string file_in_temp(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("skua_model_test_" + name)).string();
}

}  // namespace skua::test
