// What the fuzz tests of this folder share: how many cases to run, and a word on the case that never ends.
//   SKUA_FUZZ_SEED=S     that case alone
//   SKUA_FUZZ_CASES=N    so many cases; else as many as fit 20 s
//   SKUA_FUZZ_SOAK=1     as many as fit SKUA_SOAK_SECONDS, an hour where it says nothing
#pragma once

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace skua::test {

[[nodiscard]] inline std::optional<std::uint64_t> number_in_environment(const char* name) {
  const char* text = std::getenv(name);
  if (text == nullptr) return std::nullopt;
  return std::stoull(text);
}

// Calls run(seed) for one seed after another until the environment says so, or it returns false. How many were run.
template <class Run>
std::uint64_t for_each_seed(Run run) {
  if (const auto seed = number_in_environment("SKUA_FUZZ_SEED")) {
    run(*seed);
    return 1;
  }
  const auto most = number_in_environment("SKUA_FUZZ_CASES");
  const bool soaks = number_in_environment("SKUA_FUZZ_SOAK").value_or(0) != 0;
  const std::uint64_t seconds = soaks ? number_in_environment("SKUA_SOAK_SECONDS").value_or(3600) : 20;
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  std::uint64_t count = 0;
  while (most ? count < *most : std::chrono::steady_clock::now() < until) {
    if (!run(++count)) break;
  }
  return count;
}

// Says which case is under way, and aborts where it takes a minute or two: a lost wake-up, which nothing else could
// end.
class Watchdog {
 public:
  Watchdog() : thread_([this] { watch(); }) {}
  ~Watchdog() {
    {
      const std::scoped_lock lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  void begin(const std::string& what) {
    const std::scoped_lock lock(mutex_);
    what_ = what;
    ++cases_;
  }

 private:
  void watch() {
    constexpr std::chrono::minutes kLong{1};
    std::unique_lock lock(mutex_);
    for (std::uint64_t seen = cases_; !changed_.wait_for(lock, kLong, [&] { return over_; }); seen = cases_) {
      if (seen != cases_ || cases_ == 0) continue;
      fmt::print(stderr, "no end in sight: {}\n", what_);
      std::abort();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::string what_;
  std::uint64_t cases_ = 0;
  bool over_ = false;
  std::thread thread_;
};

}  // namespace skua::test
