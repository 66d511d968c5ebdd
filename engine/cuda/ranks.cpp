#include "ranks.h"

#include <fmt/format.h>

#include <map>
#include <stdexcept>

namespace skua::cuda {

std::vector<int> distinct_ordinals(const std::vector<const Gpu*>& gpus) {
  std::vector<int> ordinals;
  std::map<int, std::size_t> rank_of;
  for (const Gpu* gpu : gpus) {
    const int ordinal = gpu->info().ordinal;
    const auto [first, is_new] = rank_of.emplace(ordinal, ordinals.size());
    if (!is_new) {
      throw std::invalid_argument(fmt::format("[nccl] expected one rank a GPU, got ranks {} and {} on GPU {}",
                                              first->second, ordinals.size(), ordinal));
    }
    ordinals.push_back(ordinal);
  }
  return ordinals;
}

}  // namespace skua::cuda
