// The ready tasks of one lane, shared by the executor (under a lock) and the simulator: larger priority first, the
// smaller id among equals. Also the backlog in estimated seconds, which the steal test asks for.
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
  void reserve(std::size_t tasks) { heap_.reserve(tasks); }
  void clear() {
    heap_.clear();
    backlog_seconds_ = 0;
  }
  [[nodiscard]] bool empty() const { return heap_.empty(); }
  [[nodiscard]] std::size_t size() const { return heap_.size(); }

  void push(const ReadyEntry& entry) {
    heap_.push_back(entry);
    std::push_heap(heap_.begin(), heap_.end(), worse);
    backlog_seconds_ += entry.estimated_seconds;
  }
  // The next task in order. REQUIRES: not empty.
  ReadyEntry pop() {
    std::pop_heap(heap_.begin(), heap_.end(), worse);
    return take_back();
  }
  // What a thief is offered: a leaf of the heap, so one of the tasks that the owner would come to late. REQUIRES: not
  // empty.
  [[nodiscard]] const ReadyEntry& offered() const { return heap_.back(); }
  ReadyEntry pop_offered() { return take_back(); }
  // Until the owner is expected to come to it, after what keeps it busy and all else that is ready.
  [[nodiscard]] double offered_wait_seconds(double busy_seconds) const {
    return std::max(0.0, busy_seconds) + backlog_seconds_ - offered().estimated_seconds;
  }

 private:
  static constexpr auto worse = [](const ReadyEntry& a, const ReadyEntry& b) { return b.before(a); };
  ReadyEntry take_back() {
    const ReadyEntry entry = heap_.back();
    heap_.pop_back();
    backlog_seconds_ = heap_.empty() ? 0 : backlog_seconds_ - entry.estimated_seconds;
    return entry;
  }

  std::vector<ReadyEntry> heap_;
  double backlog_seconds_ = 0;
};

}  // namespace skua
