// The median of some numbers. Pure.
#pragma once

#include <algorithm>
#include <vector>

namespace skua {

// The mean of the two in the middle where their count is even. REQUIRES: not empty.
[[nodiscard]] inline double median_of(std::vector<double> samples) {
  const auto middle = samples.begin() + static_cast<std::ptrdiff_t>(samples.size() / 2);
  std::nth_element(samples.begin(), middle, samples.end());
  if (samples.size() % 2 == 1) return *middle;
  return (*std::max_element(samples.begin(), middle) + *middle) / 2;
}

}  // namespace skua
