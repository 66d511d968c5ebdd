// Orders of rows. Private to layers/.
#pragma once

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

#include "skua/graph/random.h"

namespace skua {

// 0..count-1, each order equally likely. Fisher and Yates; Durstenfeld, Commun. ACM 7 (1964).
inline std::vector<std::int64_t> shuffled(std::int64_t count, Random random) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(count));
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

}  // namespace skua
