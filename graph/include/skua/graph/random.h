// Counter-based random numbers: a pure function of (seed, stream, counter), so results do not depend on who draws, when
// or on which device. Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011. What is constexpr is also called from the device code of GPUs.
#pragma once

#include <array>
#include <cstdint>

namespace skua {

// The bijection itself: 128-bit counter, 64-bit key, 10 rounds.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                                std::array<std::uint32_t, 2> key) {
  // Multipliers and Weyl increments of Salmon et al., table 2 and section 4.3.
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
  constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
  constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {high(product1) ^ counter[1] ^ key[0], low(product1), high(product0) ^ counter[3] ^ key[1],
               low(product0)};
    key = {key[0] + kWeyl0, key[1] + kWeyl1};
  }
  return counter;
}

// The draws of an operator that is random: of one step and one stream, by sample of the batch and block of four
// elements of the sample. The key is apart from those of Random.
struct DrawKey {
  std::uint64_t seed = 0;
  std::int64_t step = 0;
  std::int64_t stream = 0;
};
[[nodiscard]] constexpr std::array<std::uint32_t, 4> draws(const DrawKey& key, std::int64_t sample,
                                                           std::int64_t block) {
  constexpr std::uint32_t kOperators = 0xD1B54A33;
  const auto low = [](auto x) { return static_cast<std::uint32_t>(x); };
  return philox4x32({low(block), low(sample), low(key.stream), low(key.step)},
                    {low(key.seed), low(key.seed >> 32) ^ kOperators});
}
// An element stays where its draw is not below this.
[[nodiscard]] std::uint32_t dropout_threshold(double rate);

// A sequence of draws for one (seed, stream): cheap to make, a plain value, one thread at a time.
class Random {
 public:
  explicit Random(std::uint64_t seed, std::uint64_t stream = 0) : seed_(seed), stream_(stream) {}

  std::uint32_t bits();                      // 32 uniform bits
  std::uint64_t below(std::uint64_t bound);  // uniform in [0, bound), unbiased; REQUIRES bound >= 1
  double uniform();                          // uniform in [0, 1), 53 bits
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  double normal();  // mean 0, variance 1 (Box-Muller, one value of the pair)

 private:
  std::uint64_t seed_;
  std::uint64_t stream_;
  std::uint64_t counter_ = 0;
  std::array<std::uint32_t, 4> block_{};
  unsigned left_ = 0;
};

}  // namespace skua
