// Where a lane's pump and those who make work ready for it hand over: one word that says asleep, empty, told to look
// for work, or the last of a list of tasks. The pump falls asleep only by exchanging empty for asleep; who exchanges
// asleep for anything else starts a pump. So what comes meanwhile is either seen by the pump, whose exchange fails, or
// gets a new pump, and never two. tests/models/hand_over.pml is a model of it. Any number of senders, one reader at a
// time.
#pragma once

#include <atomic>
#include <cstdint>
#include <vector>

namespace skua {

class Inbox {
 public:
  // `after` has a place for each task, shared by all inboxes, as no task is in two of them.
  explicit Inbox(std::vector<std::uint32_t>& after) : after_(after) {}

  // No pump runs, for one is to start; or none is.
  void reset(bool asleep) { word_.store(asleep ? kAsleep : kEmpty); }

  // These two: true where it was asleep, and the caller must start a pump.
  [[nodiscard]] bool send(std::uint32_t task) {
    std::uint32_t word = word_.load();
    do {
      after_[task] = word;
    } while (!word_.compare_exchange_weak(word, task));
    return word == kAsleep;
  }
  [[nodiscard]] bool wake() {
    std::uint32_t word = kAsleep;
    while (word == kAsleep || word == kEmpty) {  // else there is something to see already
      const bool asleep = word == kAsleep;       // the pump may fall asleep meanwhile: then look again
      if (word_.compare_exchange_strong(word, asleep ? kEmpty : kTold)) return asleep;
    }
    return false;
  }

  // Takes out all there is. True: there was something, if only the telling.
  template <class Action>
  bool read(Action action) {
    std::uint32_t word = word_.load();
    if (word == kEmpty || word == kAsleep) return false;
    for (word = word_.exchange(kEmpty); word < kTold; word = after_[word]) action(word);
    return true;
  }
  // False: something has come. REQUIRES: called by the pump, with no other reader at work.
  [[nodiscard]] bool fall_asleep() {
    std::uint32_t word = kEmpty;
    return word_.compare_exchange_strong(word, kAsleep);
  }

 private:
  static constexpr std::uint32_t kEmpty = 0xffffffff;
  static constexpr std::uint32_t kAsleep = 0xfffffffe;
  static constexpr std::uint32_t kTold = 0xfffffffd;  // tasks are smaller

  std::vector<std::uint32_t>& after_;  // by task: the one before it in the list, or a mark
  std::atomic<std::uint32_t> word_{kAsleep};
};

}  // namespace skua
