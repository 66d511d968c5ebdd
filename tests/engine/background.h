// Threads that tests end asynchronous work on.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace skua::test {

// Ends work on threads of its own, like an accelerator's driver.
class Background {
 public:
  explicit Background(int threads) {
    for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { serve(); });
  }
  ~Background() {
    {
      const std::scoped_lock lock(mutex_);
      ended_ = true;
    }
    wake_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  void post(std::function<void()> action) {
    const std::scoped_lock lock(mutex_);
    actions_.push_back(std::move(action));
    wake_.notify_one();
  }

 private:
  void serve() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return ended_ || !actions_.empty(); });
      if (actions_.empty()) return;
      const std::function<void()> action = std::move(actions_.front());
      actions_.pop_front();
      lock.unlock();
      action();
      lock.lock();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> actions_;
  bool ended_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace skua::test
