// Augmentation and splitting.
#include "skua/layers/transforms.h"

#include <set>

#include "layers/dataset_rows.h"

namespace skua::test {
namespace {

using testing::error_of;
using testing::read_all;
using testing::read_rows;

constexpr std::int64_t kSide = 3;

// Images (2,3,3) of different pixels: 100 row + 10 channel + 1 .. 9; label: the row.
std::shared_ptr<const Dataset> numbered(std::int64_t count) {
  Tensor features(ValueType{{count, 2, kSide, kSide}});
  Tensor labels(ValueType{{count}, DType::kInt32});
  std::size_t at = 0;
  for (std::int64_t row = 0; row < count; ++row) {
    labels.ints()[static_cast<std::size_t>(row)] = static_cast<std::int32_t>(row);
    for (int channel = 0; channel < 2; ++channel) {
      for (int pixel = 1; pixel <= kSide * kSide; ++pixel) {
        features.floats()[at++] = static_cast<float>(100 * row + 10 * channel + pixel);
      }
    }
  }
  return datasets::arrays(std::move(features), std::move(labels), static_cast<int>(count), "numbered");
}

std::vector<float> row_in_epoch(const Dataset& data, std::int64_t row, std::int64_t epoch) {
  Tensor features(ValueType{{1, 2, kSide, kSide}});
  Tensor labels(ValueType{{1}, DType::kInt32});
  data.read(std::span(&row, 1), features, labels, epoch);
  EXPECT_EQ(labels.ints()[0], row);
  return {features.floats().begin(), features.floats().end()};
}

// Image `row` of numbered(), shifted, then mirrored about the middle of what is shown.
std::vector<float> turned(std::int64_t row, bool flip, std::int64_t down, std::int64_t right) {
  std::vector<float> image;
  for (std::int64_t channel = 0; channel < 2; ++channel) {
    for (std::int64_t y = 0; y < kSide; ++y) {
      for (std::int64_t x = 0; x < kSide; ++x) {
        const std::int64_t from_y = y - down;
        const std::int64_t shifted_x = x - right;
        const bool inside = from_y >= 0 && from_y < kSide && shifted_x >= 0 && shifted_x < kSide;
        const std::int64_t from_x = flip ? kSide - 1 - shifted_x : shifted_x;
        image.push_back(inside ? static_cast<float>(100 * row + 10 * channel + from_y * kSide + from_x + 1) : 0);
      }
    }
  }
  return image;
}

TEST(Augmented, FlipsAndShiftsEachRowAnewInEachEpoch) {
  std::set<std::vector<float>> possible;
  for (const bool flip : {false, true}) {
    for (std::int64_t down = -1; down <= 1; ++down) {
      for (std::int64_t right = -1; right <= 1; ++right) possible.insert(turned(4, flip, down, right));
    }
  }
  ASSERT_EQ(possible.size(), 18U);
  const auto data = datasets::augmented(numbered(6), {.horizontal_flip = true, .crop_padding = 1}, 7);
  std::map<std::vector<float>, int> seen;
  constexpr int kEpochs = 3600;
  for (int epoch = 0; epoch < kEpochs; ++epoch) ++seen[row_in_epoch(*data, 4, epoch)];
  EXPECT_EQ(seen.size(), possible.size());
  for (const auto& [image, count] : seen) {
    EXPECT_EQ(possible.count(image), 1U);
    EXPECT_NEAR(count, kEpochs / 18.0, 75);  // five standard deviations of a binomial with p = 1/18
  }
  EXPECT_EQ(row_in_epoch(*data, 4, 11), row_in_epoch(*data, 4, 11));
  int alike = 0;  // a row in the next epoch is not turned as the next row is now
  for (std::int64_t epoch = 0; epoch < 200; ++epoch) {
    std::vector<float> next_row = row_in_epoch(*data, 5, epoch);
    for (float& x : next_row) x = x == 0 ? 0 : x - 100;
    alike += row_in_epoch(*data, 4, epoch + 1) == next_row ? 1 : 0;
  }
  EXPECT_LT(alike, 40);
}

TEST(Augmented, DrawsDoNotDependOnTheBatch) {
  const auto data = datasets::augmented(numbered(6), {.horizontal_flip = true, .crop_padding = 1}, 7);
  std::vector<float> one_by_one;
  for (std::int64_t row = 0; row < 6; ++row) {
    const std::vector<float> image = row_in_epoch(*data, row, 0);
    one_by_one.insert(one_by_one.end(), image.begin(), image.end());
  }
  EXPECT_EQ(read_all(*data).features, one_by_one);
}

TEST(Augmented, NormalisesByChannel) {
  const auto data = datasets::augmented(numbered(2), {.mean = {5, 10}, .deviation = {2, 4}});
  const std::vector<float> image = read_rows(*data, {1}).features;
  for (std::size_t pixel = 0; pixel < 9; ++pixel) {
    EXPECT_EQ(image[pixel], (101 + static_cast<float>(pixel) - 5) / 2);
    EXPECT_EQ(image[9 + pixel], (111 + static_cast<float>(pixel) - 10) / 4);
  }
}

TEST(Augmented, RefusesWhatDoesNotFit) {
  const auto error = [](const Augmentation& augmentation) {
    return error_of([&] { (void)datasets::augmented(numbered(1), augmentation); });
  };
  EXPECT_EQ(error({.mean = {1}, .deviation = {1}}),
            "[augmented] expected mean and deviation of 2 channels, got 1 and 1");
  EXPECT_EQ(error({.mean = {1, 2}}), "[augmented] expected mean and deviation of 2 channels, got 2 and 0");
  EXPECT_EQ(error({.crop_padding = -1}), "[augmented] expected a padding of 0 or more, got -1");
}

TEST(Split, PartsAreDisjointAndWhole) {
  const DatasetPair parts = datasets::split(numbered(10), 0.3, 5);
  EXPECT_EQ(parts.train->size(), 7);
  EXPECT_EQ(parts.test->size(), 3);
  std::vector<std::int32_t> all = read_all(*parts.train).labels;
  const std::vector<std::int32_t> held = read_all(*parts.test).labels;
  EXPECT_EQ(read_all(*datasets::split(numbered(10), 0.3, 5).test).labels, held);
  EXPECT_NE(read_all(*datasets::split(numbered(10), 0.3, 6).test).labels, held);
  EXPECT_EQ(read_rows(*parts.test, {1}).features[0], static_cast<float>(100 * held[1] + 1));
  all.insert(all.end(), held.begin(), held.end());
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all, (std::vector<std::int32_t>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
  for (const double share : {0.0, 0.05, 1.0, -0.5}) {
    EXPECT_NE(error_of([&] { (void)datasets::split(numbered(10), share); }).find("leaves both parts rows"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace skua::test
