#include "skua/scheduler/ranked_queue.h"

#include <algorithm>

namespace skua {

ReadyOrder::ReadyOrder(const Schedule& schedule) {
  for (std::size_t i = 0; i < schedule.task_count(); ++i) tasks_.emplace_back(static_cast<std::int64_t>(i));
  std::stable_sort(tasks_.begin(), tasks_.end(),
                   [&](StepTaskId a, StepTaskId b) { return schedule.task(a).priority > schedule.task(b).priority; });
  ranks_.resize(tasks_.size());
  for (std::size_t rank = 0; rank < tasks_.size(); ++rank) {
    ranks_[tasks_[rank].index()] = static_cast<std::uint32_t>(rank);
  }
}

RankedQueue::RankedQueue(std::size_t ranks) {
  std::size_t bits = std::max<std::size_t>(ranks, 1);
  do {
    bits = (bits + kBits - 1) / kBits;
    levels_.emplace_back(bits, 0);
  } while (bits > 1);
}

std::uint32_t RankedQueue::before(std::uint32_t rank) const {
  std::size_t at = rank;
  for (std::size_t level = 0; level < levels_.size(); ++level) {
    const std::uint64_t below = levels_[level][at / kBits] & ((std::uint64_t{1} << (at % kBits)) - 1);
    if (below != 0) return down(level, at / kBits * kBits + static_cast<std::size_t>(highest(below)), highest);
    at /= kBits;
  }
  return kNoRank;
}

void RankedQueue::clear() {
  for (std::vector<std::uint64_t>& level : levels_) std::fill(level.begin(), level.end(), 0);
  count_ = 0;
  backlog_seconds_ = 0;
}

}  // namespace skua
