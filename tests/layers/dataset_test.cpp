// Images in memory.
#include "skua/layers/dataset.h"

#include "layers/dataset_rows.h"

namespace skua {
namespace {

using testing::error_of;
using testing::read_rows;
using testing::Rows;

// Three images of 2x3 with pixels 0..17 times 15, labels 2, 0, 1.
std::shared_ptr<const Dataset> small() {
  std::vector<std::uint8_t> pixels(18);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 15);
  return datasets::images(pixels, {2, 0, 1}, 2, 3, 3, "small");
}

TEST(Images, DescribeThemselves) {
  const auto dataset = small();
  EXPECT_EQ(dataset->size(), 3);
  EXPECT_EQ(dataset->feature_type().shape, (Shape{1, 2, 3}));
  EXPECT_EQ(dataset->classes(), 3);
  EXPECT_EQ(dataset->description(), "small");
}

TEST(Images, ReadRowsInAnyOrderAsFractions) {
  const std::vector<std::int64_t> order{2, 0, 2};
  const Rows rows = read_rows(*small(), order);
  EXPECT_EQ(rows.labels, (std::vector<std::int32_t>{1, 2, 1}));
  ASSERT_EQ(rows.features.size(), 18U);
  for (std::size_t i = 0; i < order.size(); ++i) {
    for (std::size_t pixel = 0; pixel < 6; ++pixel) {
      const double expected = static_cast<double>(static_cast<std::size_t>(order[i]) * 6 + pixel) * 15 / 255;
      EXPECT_FLOAT_EQ(rows.features[i * 6 + pixel], static_cast<float>(expected));
    }
  }
  EXPECT_EQ(rows.features[5], 1.0F);  // 255 is exactly 1
}

TEST(Images, ReadChecksElementTypes) {
  Tensor features(ValueType{Shape{1, 1, 2, 3}});
  const std::vector<std::int64_t> rows{0};
  EXPECT_THROW(small()->read(rows, features, features), std::invalid_argument);
}

TEST(Images, RefuseWhatDoesNotFit) {
  const std::vector<std::uint8_t> pixels(12);
  const auto error = [&](std::vector<std::uint8_t> labels, int height, int width, int classes) {
    return error_of([&] { (void)datasets::images(pixels, std::move(labels), height, width, classes, "digits"); });
  };
  EXPECT_EQ(error({0, 1, 0}, 2, 3, 2), "[digits] expected one label for each image of 2x3, got 3 labels and 12 pixels");
  EXPECT_EQ(error({0, 1}, 2, 2, 2), "[digits] expected one label for each image of 2x2, got 2 labels and 12 pixels");
  EXPECT_EQ(error({0, 1}, 5, 1, 2), "[digits] expected one label for each image of 5x1, got 2 labels and 12 pixels");
  EXPECT_EQ(error({0, 2}, 2, 3, 2), "[digits] expected labels in 0..1, got 2 for image 1");
  EXPECT_EQ(error({0, 1}, 0, 3, 2), "[digits] expected a height and a width of 1 or more, got 0x3");
  EXPECT_EQ(error({0, 1}, 2, -3, 2), "[digits] expected a height and a width of 1 or more, got 2x-3");
  EXPECT_EQ(error({0, 1}, 2, 3, 0), "[digits] expected 1 to 256 classes, got 0");
  EXPECT_EQ(error({0, 1}, 2, 3, 257), "[digits] expected 1 to 256 classes, got 257");
  EXPECT_EQ(error({}, 2, 3, 2), "[digits] expected at least one image, got none");
}

}  // namespace
}  // namespace skua
