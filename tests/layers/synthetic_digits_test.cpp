// The synthetic digits: reproducible, balanced, different everywhere, and neither trivial nor hopeless to learn.
#include <algorithm>
#include <array>
#include <limits>
#include <set>

#include "layers/dataset_rows.h"

namespace skua {
namespace {

using testing::error_of;
using testing::read_all;
using testing::Rows;

constexpr std::size_t kPixels = 28 * 28;

std::vector<float> image(const Rows& rows, std::size_t row) {
  const auto first = rows.features.begin() + static_cast<std::ptrdiff_t>(row * kPixels);
  return {first, first + kPixels};
}

TEST(SyntheticDigits, HaveTheShapeOfMnist) {
  const DatasetPair pair = datasets::synthetic_digits(120, 30);
  EXPECT_EQ(pair.train->size(), 120);
  EXPECT_EQ(pair.test->size(), 30);
  for (const auto& part : {pair.train, pair.test}) {
    EXPECT_EQ(part->feature_type().shape, (Shape{1, 28, 28}));
    EXPECT_EQ(part->classes(), 10);
  }
  EXPECT_NE(pair.train->description(), pair.test->description());
}

TEST(SyntheticDigits, SameSeedSamePixels) {
  const Rows first = read_all(*datasets::synthetic_digits(200, 100, 7).train);
  const Rows again = read_all(*datasets::synthetic_digits(200, 100, 7).train);
  const Rows other = read_all(*datasets::synthetic_digits(200, 100, 8).train);
  EXPECT_EQ(first.features, again.features);
  EXPECT_EQ(first.labels, again.labels);
  EXPECT_NE(first.features, other.features);
  EXPECT_NE(first.labels, other.labels);
}

TEST(SyntheticDigits, DoNotDependOnHowManyThereAre) {
  const DatasetPair few = datasets::synthetic_digits(37, 10);
  const DatasetPair many = datasets::synthetic_digits(300, 50);
  for (const auto& [short_part, long_part] : {std::pair(few.train, many.train), std::pair(few.test, many.test)}) {
    const Rows head = read_all(*short_part);
    const Rows all = read_all(*long_part);
    EXPECT_TRUE(std::equal(head.features.begin(), head.features.end(), all.features.begin()));
    EXPECT_TRUE(std::equal(head.labels.begin(), head.labels.end(), all.labels.begin()));
  }
}

TEST(SyntheticDigits, AreBalancedAndShuffled) {
  for (const std::int64_t size : {1000, 1007}) {
    const Rows rows = read_all(*datasets::synthetic_digits(size, 1).train);
    std::array<std::int64_t, 10> counts{};
    std::array<std::int64_t, 10> own_place{};  // how often each position of ten holds its own number
    for (std::size_t i = 0; i < rows.labels.size(); ++i) {
      ASSERT_GE(rows.labels[i], 0);
      ASSERT_LT(rows.labels[i], 10);
      ++counts[static_cast<std::size_t>(rows.labels[i])];
      if (static_cast<std::size_t>(rows.labels[i]) == i % 10) ++own_place[i % 10];
    }
    for (const std::int64_t count : counts) {
      EXPECT_GE(count, size / 10);
      EXPECT_LE(count, size / 10 + 1);
    }
    // 100 orders, a tenth each: 10 expected, standard deviation 3.
    for (const std::int64_t count : own_place) {
      EXPECT_GE(count, 1);
      EXPECT_LE(count, 25);
    }
  }
}

TEST(SyntheticDigits, EveryImageIsDrawnWithinTheFrame) {
  const Rows rows = read_all(*datasets::synthetic_digits(2000, 1).train);
  for (std::size_t row = 0; row < rows.labels.size(); ++row) {
    const std::vector<float> pixels = image(rows, row);
    double ink = 0, border = 0;
    for (std::size_t i = 0; i < kPixels; ++i) {
      ASSERT_GE(pixels[i], 0);
      ASSERT_LE(pixels[i], 1);
      ink += pixels[i];
      const bool outside = i % 28 == 0 || i % 28 == 27 || i < 28 || i >= 27 * 28;
      if (outside && pixels[i] > 0.5) ++border;
    }
    EXPECT_GT(*std::max_element(pixels.begin(), pixels.end()), 0.5) << row;
    EXPECT_GT(ink / kPixels, 0.015) << row;
    EXPECT_LT(ink / kPixels, 0.45) << row;
    EXPECT_LT(border, 12) << row;  // a stroke may touch the frame, not run along it
  }
}

TEST(SyntheticDigits, TrainingAndTestDigitsDiffer) {
  const DatasetPair pair = datasets::synthetic_digits(500, 500);
  const Rows train = read_all(*pair.train);
  const Rows test = read_all(*pair.test);
  std::set<std::vector<float>> seen;
  for (std::size_t row = 0; row < 500; ++row) {
    EXPECT_TRUE(seen.insert(image(train, row)).second) << "training digit " << row << " is a copy";
    EXPECT_TRUE(seen.insert(image(test, row)).second) << "test digit " << row << " is a copy";
  }
}

// The mean image of each class classifies a good part of the test digits, and far from all of them.
TEST(SyntheticDigits, NearestCentroidIsGoodButNotEnough) {
  const DatasetPair pair = datasets::synthetic_digits(4000, 1000);
  const Rows train = read_all(*pair.train);
  std::vector<std::vector<double>> centroids(10, std::vector<double>(kPixels));
  for (std::size_t row = 0; row < train.labels.size(); ++row) {
    auto& centroid = centroids[static_cast<std::size_t>(train.labels[row])];
    for (std::size_t i = 0; i < kPixels; ++i) centroid[i] += train.features[row * kPixels + i] / 400.0;
  }
  const Rows test = read_all(*pair.test);
  int correct = 0;
  for (std::size_t row = 0; row < test.labels.size(); ++row) {
    std::size_t best = 0;
    double best_distance = std::numeric_limits<double>::infinity();
    for (std::size_t c = 0; c < centroids.size(); ++c) {
      double distance = 0;
      for (std::size_t i = 0; i < kPixels; ++i) {
        const double difference = test.features[row * kPixels + i] - centroids[c][i];
        distance += difference * difference;
      }
      if (distance < best_distance) {
        best_distance = distance;
        best = c;
      }
    }
    correct += static_cast<std::int32_t>(best) == test.labels[row];
  }
  RecordProperty("correct_of_1000", correct);
  EXPECT_GT(correct, 400);
  EXPECT_LT(correct, 950);
}

TEST(SyntheticDigits, RefuseEmptyParts) {
  EXPECT_EQ(error_of([] { (void)datasets::synthetic_digits(0, 5); }),
            "[synthetic_digits] expected at least one training and one test digit, got 0 and 5");
  EXPECT_EQ(error_of([] { (void)datasets::synthetic_digits(5, -1); }),
            "[synthetic_digits] expected at least one training and one test digit, got 5 and -1");
}

}  // namespace
}  // namespace skua
