#include "step_clock.h"

#include <chrono>
#include <fstream>
#include <string>

namespace skua {
namespace {

// The kernel takes it off its list where it does not run evenly, or not alike on all processors.
bool kernel_trusts_counter() {
  std::ifstream list("/sys/devices/system/clocksource/clocksource0/available_clocksource");
  for (std::string name; list >> name;) {
    if (name == "tsc") return true;
  }
  return false;
}

}  // namespace

std::int64_t StepClock::nanoseconds() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

StepClock::StepClock() {
  struct Calibration {
    bool counts_cycles = false;
    double seconds_per_tick = 1e-9;
  };
  // Once: a millisecond, so that the two readings at its ends do not matter.
  static const Calibration calibration = [] {
    Calibration found;
#ifdef __x86_64__
    if (!kernel_trusts_counter()) return found;
    constexpr std::int64_t kNanoseconds = 1'000'000;
    const std::int64_t from = nanoseconds();
    const std::uint64_t first = __builtin_ia32_rdtsc();
    std::int64_t to = from;
    while (to < from + kNanoseconds) to = nanoseconds();
    const std::uint64_t ticks = __builtin_ia32_rdtsc() - first;
    found = {true, static_cast<double>(to - from) * 1e-9 / static_cast<double>(ticks)};
#endif
    return found;
  }();
  counts_cycles_ = calibration.counts_cycles;
  seconds_per_tick_ = calibration.seconds_per_tick;
}

}  // namespace skua
