// Known answers and moments of the random numbers; known answers of SHA-256; host tensors.
#include "skua/graph/random.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "skua/graph/sha256.h"
#include "skua/graph/tensor.h"

namespace skua {
namespace {

using Block = std::array<std::uint32_t, 4>;

// The vectors of the Random123 library's kat_vectors for philox4x32, 10 rounds.
TEST(Random, PhiloxKnownAnswers) {
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}), (Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr std::uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, BitsAreTheBlocksOfACounterUnderSeedAndStream) {
  Random random(0x123456789abcdef0, 0xfedcba9876543210);
  for (std::uint32_t counter = 0; counter < 3; ++counter) {
    for (const std::uint32_t expected : philox4x32({counter, 0, 0x76543210, 0xfedcba98}, {0x9abcdef0, 0x12345678})) {
      EXPECT_EQ(random.bits(), expected);
    }
  }
}

TEST(Random, SeedsAndStreamsDiffer) {
  std::set<std::uint32_t> first;
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    for (std::uint64_t stream = 0; stream < 10; ++stream) first.insert(Random(seed, stream).bits());
  }
  EXPECT_EQ(first.size(), 100U);
}

// Means and variances within five standard errors.
TEST(Random, Moments) {
  constexpr int kDraws = 200000;
  Random random(42);
  double uniform = 0, uniform_squares = 0, normal = 0, normal_squares = 0, normal_fourths = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double u = random.uniform();
    ASSERT_GE(u, 0);
    ASSERT_LT(u, 1);
    uniform += u / kDraws;
    uniform_squares += u * u / kDraws;
    const double n = random.normal();
    normal += n / kDraws;
    normal_squares += n * n / kDraws;
    normal_fourths += n * n * n * n / kDraws;
  }
  const double error = 5 / std::sqrt(kDraws);
  EXPECT_NEAR(uniform, 0.5, error * std::sqrt(1.0 / 12));
  EXPECT_NEAR(uniform_squares, 1.0 / 3, error * std::sqrt(4.0 / 45));
  EXPECT_NEAR(normal, 0, error);
  EXPECT_NEAR(normal_squares, 1, error * std::sqrt(2));
  EXPECT_NEAR(normal_fourths, 3, error * std::sqrt(96));
}

TEST(Random, BelowIsUniform) {
  Random random(7);
  std::array<int, 6> counts{};
  for (int i = 0; i < 60000; ++i) ++counts.at(random.below(6));
  for (const int count : counts) EXPECT_NEAR(count, 10000, 5 * std::sqrt(10000 * 5.0 / 6));
  EXPECT_EQ(random.below(1), 0U);
  // A bound of 3/4 of the range, where plain remainders would favour the lower third.
  const std::uint64_t bound = std::uint64_t{3} << 62;
  int low = 0;
  for (int i = 0; i < 30000; ++i) low += random.below(bound) < bound / 3 ? 1 : 0;
  EXPECT_NEAR(low, 10000, 5 * std::sqrt(30000 * 2.0 / 9));
}

// FIPS 180-4's example messages, and the empty one.
TEST(Sha256, KnownAnswers) {
  const auto digest = [](std::initializer_list<std::string_view> parts) {
    Sha256 hash;
    for (const std::string_view part : parts) hash.update(part);
    return hash.hex();
  };
  EXPECT_EQ(digest({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(digest({"abc"}), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(digest({"abcdbcdecdefdefgefghfghigh", "ijhijkijkljklmklmnlmnomnopnopq"}),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Tensor, HoldsZerosOfItsType) {
  Tensor tensor({{2, 3}, DType::kInt32});
  EXPECT_EQ(tensor.bytes(), 24U);
  ASSERT_EQ(tensor.ints().size(), 6U);
  for (const std::int32_t x : tensor.ints()) EXPECT_EQ(x, 0);
  tensor.ints()[5] = 7;
  EXPECT_EQ(std::as_const(tensor).ints()[5], 7);
  EXPECT_THROW((void)tensor.floats(), std::invalid_argument);
  EXPECT_THROW((void)std::as_const(tensor).floats(), std::invalid_argument);
  EXPECT_EQ(Tensor({{4}}).floats().size(), 4U);
}

}  // namespace
}  // namespace skua
