// The ready tasks of one lane where the order of all tasks is known beforehand: a set of ranks, the smallest first.
// What the executor keeps under a lock and the simulator as it is.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "skua/scheduler/schedule.h"

namespace skua {

// Every task's place in the order in which lanes take ready tasks: larger priority first, the smaller id among equals.
class ReadyOrder {
 public:
  explicit ReadyOrder(const Schedule& schedule);
  [[nodiscard]] std::size_t size() const { return tasks_.size(); }
  [[nodiscard]] std::uint32_t rank(StepTaskId id) const { return ranks_[id.index()]; }
  [[nodiscard]] StepTaskId task(std::uint32_t rank) const { return tasks_[rank]; }

 private:
  std::vector<std::uint32_t> ranks_;  // by task
  std::vector<StepTaskId> tasks_;     // by rank
};

// Words of 64 ranks, and above them words that say which of those are not 0: each operation looks at one word of each
// level. Also the backlog: the sum of what its tasks are expected to take.
class RankedQueue {
 public:
  explicit RankedQueue(std::size_t ranks);

  [[nodiscard]] bool empty() const { return count_ == 0; }
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] double backlog_seconds() const { return backlog_seconds_; }

  // REQUIRES: the rank is not in it.
  void insert(std::uint32_t rank, double estimated_seconds) {
    ++count_;
    backlog_seconds_ += estimated_seconds;
    std::size_t at = rank;
    for (std::vector<std::uint64_t>& level : levels_) {
      std::uint64_t& word = level[at / kBits];
      const bool was_empty = word == 0;
      word |= std::uint64_t{1} << (at % kBits);
      if (!was_empty) return;
      at /= kBits;
    }
  }
  // REQUIRES: the rank is in it, with this estimate.
  void erase(std::uint32_t rank, double estimated_seconds) {
    backlog_seconds_ = --count_ == 0 ? 0 : backlog_seconds_ - estimated_seconds;
    std::size_t at = rank;
    for (std::vector<std::uint64_t>& level : levels_) {
      std::uint64_t& word = level[at / kBits];
      word &= ~(std::uint64_t{1} << (at % kBits));
      if (word != 0) return;
      at /= kBits;
    }
  }
  // The next in order. REQUIRES: not empty.
  [[nodiscard]] std::uint32_t first() const {
    return down(levels_.size(), 0, [](std::uint64_t word) { return std::countr_zero(word); });
  }
  // The one that the owner comes to last. REQUIRES: not empty.
  [[nodiscard]] std::uint32_t last() const { return down(levels_.size(), 0, highest); }
  // The largest one below `rank`; none: kNoRank.
  [[nodiscard]] std::uint32_t before(std::uint32_t rank) const;
  void clear();

  static constexpr std::uint32_t kNoRank = 0xffffffff;

 private:
  static constexpr std::size_t kBits = 64;

  static int highest(std::uint64_t word) { return static_cast<int>(kBits) - 1 - std::countl_zero(word); }

  // From word `at` of the level below `level` down to a rank.
  template <class Choose>
  [[nodiscard]] std::uint32_t down(std::size_t level, std::size_t at, Choose choose) const {
    while (level-- > 0) at = at * kBits + static_cast<std::size_t>(choose(levels_[level][at]));
    return static_cast<std::uint32_t>(at);
  }

  std::vector<std::vector<std::uint64_t>> levels_;  // the ranks first, one word last
  std::size_t count_ = 0;
  double backlog_seconds_ = 0;
};

}  // namespace skua
