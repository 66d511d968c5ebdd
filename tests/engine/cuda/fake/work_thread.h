// A host thread that does what is pushed to it, in order: what fake streams and graphs run on. Between works of
// different threads there is no order but that of moments, also none by accident: no lock and no atomic is both written
// by one worker and read by the host or by another worker, so that ThreadSanitizer sees works that nothing orders.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <new>
#include <string>
#include <thread>

namespace skua::fake {

// Not by operator new: the tests count what that takes.
template <typename T>
struct FromMalloc {
  static void* operator new(std::size_t bytes) {
    void* const data = std::malloc(bytes);
    if (data == nullptr) throw std::bad_alloc();
    return data;
  }
  static void operator delete(void* data) noexcept { std::free(data); }
};

// What went wrong in a thread's work: every moment behind it has it, until one of them is told to the host.
struct Failure {
  std::string what;  // empty: none
  std::uint32_t number = 0;

  static inline std::atomic<std::uint32_t> count{0};
  static inline std::atomic<std::uint32_t> told{0};  // the number of the last that was
};

// A place in the work of a thread. Reached once; waited for by any thread.
class Moment : public FromMalloc<Moment> {
 public:
  void reach(const Failure& failure);
  void wait() const;
  [[nodiscard]] bool reached() const { return reached_.load(std::memory_order_relaxed) != 0; }
  // REQUIRES: reached. Orders nothing.
  [[nodiscard]] double seconds() const {
    return 1e-9 * static_cast<double>(nanoseconds_.load(std::memory_order_relaxed));
  }
  // Throws what went wrong before it, once for all moments behind that. REQUIRES: waited for.
  void tell() const;
  [[nodiscard]] const Failure& failure() const { return failure_; }

 private:
  friend class Moments;
  mutable std::atomic<std::uint32_t> reached_{0};
  std::atomic<std::int64_t> nanoseconds_{0};
  Failure failure_;
  Moment* next_ = nullptr;
};

// Owns moments until it ends: counting who still needs one would order those who count.
class Moments {
 public:
  Moments() = default;
  ~Moments();
  Moments(const Moments&) = delete;
  Moments& operator=(const Moments&) = delete;
  [[nodiscard]] Moment& make();  // any thread

 private:
  std::atomic<Moment*> all_{nullptr};
};

// What happens to all the work of a GPU.
struct Conditions {
  std::atomic<bool> lost{false};  // works are left out; moments are reached
  std::atomic<std::int64_t> delay_nanoseconds{0};
};

struct Command {
  enum class Kind { kWork, kSharedWork, kCopy, kFail, kLose, kRecord, kWait, kJoin, kStop };
  Kind kind = Kind::kWork;
  std::function<void()> work = {};                     // kWork
  const std::function<void()>* shared_work = nullptr;  // kSharedWork: its owner outlives the thread
  void* to = nullptr;
  const void* from = nullptr;
  std::size_t bytes = 0;
  Moment* moment = nullptr;
};

class WorkThread {
 public:
  explicit WorkThread(Conditions& conditions);
  ~WorkThread();  // when all is done
  WorkThread(const WorkThread&) = delete;
  WorkThread& operator=(const WorkThread&) = delete;

  void push(Command command);  // one thread at a time
  [[nodiscard]] std::thread::id id() const { return thread_.get_id(); }

 private:
  struct Node : FromMalloc<Node> {
    Command command;
    std::atomic<Node*> next{nullptr};
  };

  [[nodiscard]] Command pop();
  void serve();
  void run(Command& command);
  void run_work(Command& command);

  Conditions& conditions_;
  Node* last_;                            // the host's
  Node* done_;                            // the worker's
  std::atomic<std::uint32_t> pushed_{0};  // wakes, orders nothing
  std::uint32_t popped_ = 0;
  Failure failure_;
  std::thread thread_;
};

}  // namespace skua::fake
