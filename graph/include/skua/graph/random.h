// Counter-based random numbers: a pure function of (seed, stream, counter), so results do not depend on who draws, when
// or on which device. Philox4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC
// 2011.
#pragma once

#include <array>
#include <cstdint>

namespace skua {

// The bijection itself: 128-bit counter, 64-bit key, 10 rounds.
[[nodiscard]] std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                                      std::array<std::uint32_t, 2> key);

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
