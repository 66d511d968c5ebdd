// Inbox: what it hands over, and to whom it says to start a pump.
#include "engine/inbox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <latch>
#include <thread>

#include "skua/graph/random.h"

namespace skua::test {
namespace {

struct Read {
  bool something;
  std::vector<std::uint32_t> tasks;  // the last sent first
  friend bool operator==(const Read&, const Read&) = default;
};

Read read_all(Inbox& inbox) {
  Read read;
  read.something = inbox.read([&](std::uint32_t task) { read.tasks.push_back(task); });
  return read;
}

TEST(Inbox, WhoFindsItAsleepStartsThePump) {
  std::vector<std::uint32_t> after(4);
  Inbox inbox(after);
  inbox.reset(true);
  EXPECT_TRUE(inbox.send(2));
  EXPECT_FALSE(inbox.send(0));
  EXPECT_FALSE(inbox.wake());
  EXPECT_EQ(read_all(inbox), (Read{true, {0, 2}}));
  EXPECT_EQ(read_all(inbox), (Read{false, {}}));

  EXPECT_TRUE(inbox.fall_asleep());
  EXPECT_EQ(read_all(inbox), (Read{false, {}}));  // and it stays asleep
  EXPECT_TRUE(inbox.wake());
  EXPECT_EQ(read_all(inbox), (Read{false, {}}));
}

TEST(Inbox, WhatHasComeKeepsThePumpAwake) {
  std::vector<std::uint32_t> after(4);
  Inbox inbox(after);
  inbox.reset(false);
  EXPECT_FALSE(inbox.wake());
  EXPECT_FALSE(inbox.wake());
  EXPECT_FALSE(inbox.fall_asleep());
  EXPECT_EQ(read_all(inbox), (Read{true, {}}));

  EXPECT_FALSE(inbox.wake());
  EXPECT_FALSE(inbox.send(3));  // on top of the telling
  EXPECT_FALSE(inbox.send(1));
  EXPECT_FALSE(inbox.fall_asleep());
  EXPECT_EQ(read_all(inbox), (Read{true, {1, 3}}));
  EXPECT_TRUE(inbox.fall_asleep());
}

// Three threads send, one wakes; the reader is whoever is told to start the pump, and there is one at a time. Nothing
// is lost and nothing doubled; what was made known before a wake is seen by the pump that it starts or keeps awake.
TEST(Inbox, NothingIsLostOrDoubledBetweenThreads) {
  constexpr std::uint32_t kSenders = 3;
  constexpr std::uint32_t kEach = 200'000;
  std::vector<std::uint32_t> after(kSenders * kEach);
  Inbox inbox(after);
  inbox.reset(true);
  std::vector<int> times(after.size());  // the pump's, as is `seen`
  std::uint32_t seen = 0;
  std::atomic<std::uint32_t> flag{0};
  std::atomic<int> pumps{0};
  std::atomic<int> violations{0};
  const auto pump = [&] {
    if (pumps.fetch_add(1) != 0) ++violations;
    for (;;) {
      inbox.read([&](std::uint32_t task) { ++times[task]; });
      seen = flag.load();
      pumps.fetch_sub(1);  // before it is asleep, as the next one may start then
      if (inbox.fall_asleep()) return;
      if (pumps.fetch_add(1) != 0) ++violations;
    }
  };
  std::latch start(kSenders + 1);
  std::vector<std::thread> threads;
  for (std::uint32_t sender = 0; sender < kSenders; ++sender) {
    threads.emplace_back([&, sender] {
      start.arrive_and_wait();
      for (std::uint32_t i = 0; i < kEach; ++i) {
        if (inbox.send(sender * kEach + i)) pump();
      }
    });
  }
  threads.emplace_back([&] {
    start.arrive_and_wait();
    for (std::uint32_t i = 1; i <= kEach; ++i) {
      flag.store(i);
      if (inbox.wake()) pump();
    }
  });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(violations, 0);
  EXPECT_EQ(seen, kEach);
  EXPECT_EQ(std::ranges::count(times, 1), static_cast<std::ptrdiff_t>(times.size()));
}

// Wakes a pump again as soon as it has seen the last wake, which is when it falls asleep, sooner or later.
TEST(Inbox, AWakeIsSeenByAPumpThatFallsAsleep) {
  constexpr int kWakes = 200'000;
  std::vector<std::uint32_t> after(1);
  Inbox inbox(after);
  inbox.reset(true);
  std::atomic<int> flag{0};
  std::atomic<int> seen{0};
  std::atomic<int> armed{0};
  std::atomic<bool> over{false};
  std::atomic<int> hesitation{0};
  std::thread arena([&] {
    Random random(1);
    while (!over) {
      if (armed.exchange(0) == 0) {
        std::this_thread::yield();
        continue;
      }
      do {
        inbox.read([](std::uint32_t) {});
        seen = flag.load();
        for (std::uint64_t left = random.below(200); left > 0; --left) hesitation.fetch_add(1);
      } while (!inbox.fall_asleep());
    }
  });
  const auto is_seen = [&] {  // waits for long: that is what a lost wake looks like
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (int spins = 0; seen != flag; ++spins) {
      if (spins < 1000) continue;
      if (std::chrono::steady_clock::now() > until) return false;
      std::this_thread::yield();
    }
    return true;
  };
  for (int i = 1; i <= kWakes; ++i) {
    flag = i;
    if (inbox.wake()) armed = 1;
    if (is_seen()) continue;
    ADD_FAILURE() << "wake " << i << " is lost";
    break;
  }
  over = true;
  arena.join();
}

}  // namespace
}  // namespace skua::test
