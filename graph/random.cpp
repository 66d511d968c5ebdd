#include "skua/graph/random.h"

#include <cmath>
#include <numbers>

namespace skua {

std::uint32_t Random::bits() {
  const auto low = [](std::uint64_t x) { return static_cast<std::uint32_t>(x); };
  const auto high = [](std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); };
  if (left_ == 0) {
    block_ = philox4x32({low(counter_), high(counter_), low(stream_), high(stream_)}, {low(seed_), high(seed_)});
    ++counter_;
    left_ = 4;
  }
  return block_[4 - left_--];
}

std::uint64_t Random::below(std::uint64_t bound) {
  const std::uint64_t rejected = (0 - bound) % bound;  // 2^64 mod bound: the values that would favour small results
  for (;;) {
    const std::uint64_t high = bits();
    const std::uint64_t draw = high << 32 | bits();
    if (draw >= rejected) return draw % bound;
  }
}

double Random::uniform() {
  const std::uint64_t high = bits();
  return static_cast<double>((high << 32 | bits()) >> 11) * 0x1p-53;
}

double Random::normal() {
  // Box and Muller, "A note on the generation of random normal deviates", 1958; 1 - u keeps the logarithm finite.
  const double radius = std::sqrt(-2 * std::log(1 - uniform()));
  return radius * std::cos(2 * std::numbers::pi * uniform());
}

std::uint32_t dropout_threshold(double rate) {
  return static_cast<std::uint32_t>(rate * 0x1p32);
}

}  // namespace skua
