// Work for fake GPUs, and who is told when it has ended.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>

#include "fake/fake_runtime.h"
#include "skua/engine/device.h"

namespace skua::test {

inline std::unique_ptr<cuda::Gpu> open_gpu(fake::FakeRuntime& runtime, int ordinal = 0) {
  std::string warning;
  return std::move(runtime.open(ordinal, 1, warning).at(0));
}

inline void push(cuda::GpuStream& stream, std::function<void()> work) {
  static_cast<fake::WorkQueue*>(stream.native())->push(std::move(work));
}

inline void pause() {
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
}

inline double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Work that lasts until the test lets it end.
class Gate {
 public:
  ~Gate() { open(); }
  void open() { open_.store(true, std::memory_order_relaxed); }
  // To be pushed; orders nothing. The gate outlives it.
  [[nodiscard]] std::function<void()> work() {
    return [this] {
      while (!open_.load(std::memory_order_relaxed)) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    };
  }

 private:
  std::atomic<bool> open_{false};
};

class Told final : public Completion {
 public:
  void done(std::exception_ptr error) noexcept override {
    const std::scoped_lock lock(mutex_);
    ++calls_;
    error_ = std::move(error);
    told_.notify_all();
  }
  void measured(double began_seconds_ago, double ended_seconds_ago) noexcept override {
    const std::scoped_lock lock(mutex_);
    measured_at_ = now_seconds();
    began_seconds_ago_ = began_seconds_ago;
    ended_seconds_ago_ = ended_seconds_ago;
  }

  [[nodiscard]] int calls() const {
    const std::scoped_lock lock(mutex_);
    return calls_;
  }
  // Returns when it is told once more, and rethrows the error.
  void wait() {
    std::unique_lock lock(mutex_);
    told_.wait(lock, [&] { return calls_ > waited_for_; });
    ++waited_for_;
    if (calls_ != waited_for_) throw std::logic_error("expected to be told once");
    if (error_ != nullptr) std::rethrow_exception(error_);
  }
  [[nodiscard]] std::string error() {  // as wait(); empty: none
    try {
      wait();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "";
  }

  // REQUIRES: told.
  [[nodiscard]] double measured_at() const { return measured_at_; }
  [[nodiscard]] double began_seconds_ago() const { return began_seconds_ago_; }
  [[nodiscard]] double ended_seconds_ago() const { return ended_seconds_ago_; }

 private:
  mutable std::mutex mutex_;
  std::condition_variable told_;
  int calls_ = 0;
  int waited_for_ = 0;
  std::exception_ptr error_;
  double measured_at_ = 0;
  double began_seconds_ago_ = 0;
  double ended_seconds_ago_ = 0;
};

}  // namespace skua::test
