// Seconds since a step's start, for many readings: by the processor's time-stamp counter where the kernel trusts it as
// a clock, which takes half as long as asking the kernel's clock; else by that. Any number of threads may read.
#pragma once

#include <cstdint>

namespace skua {

class StepClock {
 public:
  StepClock();
  void start() { start_ = ticks(); }
  [[nodiscard]] double seconds() const { return static_cast<double>(ticks() - start_) * seconds_per_tick_; }

 private:
  [[nodiscard]] std::int64_t ticks() const {
#ifdef __x86_64__
    if (counts_cycles_) return static_cast<std::int64_t>(__builtin_ia32_rdtsc());
#endif
    return nanoseconds();
  }
  static std::int64_t nanoseconds();

  bool counts_cycles_;
  double seconds_per_tick_;
  std::int64_t start_ = 0;
};

}  // namespace skua
