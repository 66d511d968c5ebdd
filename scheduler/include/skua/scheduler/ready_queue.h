// The ready tasks of one lane: larger priority first, the smaller id among equals. For plans that change all the time;
// where the plan stays, ranked_queue.h gives the same order faster.
#pragma once

#include <algorithm>
#include <vector>

#include "skua/scheduler/schedule.h"

namespace skua {

struct ReadyEntry {
  double priority = 0;
  StepTaskId id;
  double estimated_seconds = 0;  // on the lane of this queue

  [[nodiscard]] bool before(const ReadyEntry& other) const {
    return priority != other.priority ? priority > other.priority : id < other.id;
  }
};

class ReadyQueue {
 public:
  void clear() { heap_.clear(); }
  [[nodiscard]] bool empty() const { return heap_.empty(); }

  void push(const ReadyEntry& entry) {
    heap_.push_back(entry);
    std::push_heap(heap_.begin(), heap_.end(), worse);
  }
  // The next task in order. REQUIRES: not empty.
  ReadyEntry pop() {
    std::pop_heap(heap_.begin(), heap_.end(), worse);
    const ReadyEntry entry = heap_.back();
    heap_.pop_back();
    return entry;
  }

 private:
  static constexpr auto worse = [](const ReadyEntry& a, const ReadyEntry& b) { return b.before(a); };
  std::vector<ReadyEntry> heap_;
};

}  // namespace skua
