// Counter-based random numbers: a pure function of (seed, stream, counter), so results do not depend on who draws, when
// or on which device. Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011. What is constexpr is also called from the device code of GPUs.
#pragma once

#include <array>
#include <cstdint>

namespace skua {

// Round `round` (from 0) of the bijection, in place. Multipliers and Weyl increments of Salmon et al., table 2 and
// section 4.3. Words may have 64 bits, of which the low 32 count: vectors then multiply them as they lie.
constexpr int kPhiloxRounds = 10;
template <class Word>
constexpr void philox_round(int round, std::array<std::uint32_t, 2> key, Word& c0, Word& c1, Word& c2, Word& c3) {
  const auto turn = static_cast<std::uint32_t>(round);
  const std::uint64_t product0 = std::uint64_t{0xD2511F53} * static_cast<std::uint32_t>(c0);
  const std::uint64_t product1 = std::uint64_t{0xCD9E8D57} * static_cast<std::uint32_t>(c2);
  c0 = static_cast<Word>(product1 >> 32) ^ c1 ^ (key[0] + turn * 0x9E3779B9U);
  c1 = static_cast<Word>(product1);
  c2 = static_cast<Word>(product0 >> 32) ^ c3 ^ (key[1] + turn * 0xBB67AE85U);
  c3 = static_cast<Word>(product0);
}
// The bijection itself: 128-bit counter, 64-bit key.
[[nodiscard]] constexpr std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                                std::array<std::uint32_t, 2> key) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
    philox_round(round, key, counter[0], counter[1], counter[2], counter[3]);
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
[[nodiscard]] constexpr std::array<std::uint32_t, 4> draw_counter(const DrawKey& key, std::int64_t sample,
                                                                  std::int64_t block) {
  const auto low = [](std::int64_t x) { return static_cast<std::uint32_t>(x); };
  return {low(block), low(sample), low(key.stream), low(key.step)};
}
[[nodiscard]] constexpr std::array<std::uint32_t, 2> draw_key(const DrawKey& key) {
  constexpr std::uint32_t kOperators = 0xD1B54A33;
  return {static_cast<std::uint32_t>(key.seed), static_cast<std::uint32_t>(key.seed >> 32) ^ kOperators};
}
[[nodiscard]] constexpr std::array<std::uint32_t, 4> draws(const DrawKey& key, std::int64_t sample,
                                                           std::int64_t block) {
  return philox4x32(draw_counter(key, sample, block), draw_key(key));
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
