#include "work_thread.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>
#include <cstring>
#include <exception>
#include <stdexcept>
#include <utility>

namespace skua::fake {
namespace {

// System calls, which ThreadSanitizer takes for no order: a condition variable's mutex would order the host behind the
// worker that slept.
void sleep_while(std::atomic<std::uint32_t>& word, std::uint32_t value) {
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, value, nullptr, nullptr, 0);
}
void wake_all(std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, INT_MAX, nullptr, nullptr, 0);
}

Failure new_failure(const std::string& what) {
  return {what, Failure::count.fetch_add(1, std::memory_order_relaxed) + 1};
}

}  // namespace

void Moment::reach(const Failure& failure) {
  failure_ = failure;
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  nanoseconds_.store(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count(), std::memory_order_relaxed);
  reached_.store(1, std::memory_order_release);
  wake_all(reached_);
}

void Moment::tell() const {
  if (failure_.what.empty()) return;
  Failure::told.store(failure_.number, std::memory_order_relaxed);
  throw std::runtime_error(failure_.what);
}

void Moment::wait() const {
  while (reached_.load(std::memory_order_acquire) == 0) sleep_while(reached_, 0);
}

Moments::~Moments() {
  for (Moment* moment = all_.load(); moment != nullptr;) delete std::exchange(moment, moment->next_);
}

Moment& Moments::make() {
  Moment* const moment = new Moment;
  moment->next_ = all_.exchange(moment, std::memory_order_relaxed);
  return *moment;
}

WorkThread::WorkThread(Conditions& conditions)
    : conditions_(conditions), last_(new Node), done_(last_), thread_([this] { serve(); }) {}

WorkThread::~WorkThread() {
  push({.kind = Command::Kind::kStop});
  thread_.join();
  delete done_;
}

void WorkThread::push(Command command) {
  Node* const node = new Node;
  node->command = std::move(command);
  last_->next.store(node, std::memory_order_release);
  last_ = node;
  pushed_.fetch_add(1, std::memory_order_relaxed);
  wake_all(pushed_);
}

Command WorkThread::pop() {
  while (pushed_.load(std::memory_order_relaxed) == popped_) sleep_while(pushed_, popped_);
  ++popped_;
  Node* next = done_->next.load(std::memory_order_acquire);
  for (; next == nullptr; next = done_->next.load(std::memory_order_acquire)) std::this_thread::yield();
  delete std::exchange(done_, next);
  return std::move(next->command);
}

void WorkThread::serve() {
  for (;;) {
    Command command = pop();
    if (command.kind == Command::Kind::kStop) return;
    run(command);
  }
}

void WorkThread::run(Command& command) {
  switch (command.kind) {
    case Command::Kind::kRecord:
      if (failure_.number <= Failure::told.load(std::memory_order_relaxed)) failure_ = {};
      command.moment->reach(failure_);
      break;
    case Command::Kind::kWait:
      command.moment->wait();
      break;
    case Command::Kind::kJoin:
      command.moment->wait();
      if (failure_.what.empty()) failure_ = command.moment->failure();
      break;
    default:
      run_work(command);
  }
}

void WorkThread::run_work(Command& command) {
  if (conditions_.lost.load(std::memory_order_relaxed)) return;
  if (const auto delay = conditions_.delay_nanoseconds.load(std::memory_order_relaxed); delay > 0) {
    std::this_thread::sleep_for(std::chrono::nanoseconds(delay));
  }
  try {
    if (command.kind == Command::Kind::kWork) command.work();
    if (command.kind == Command::Kind::kSharedWork) (*command.shared_work)();
    if (command.kind == Command::Kind::kCopy) std::memcpy(command.to, command.from, command.bytes);
    if (command.kind == Command::Kind::kLose) conditions_.lost.store(true, std::memory_order_relaxed);
    if (command.kind == Command::Kind::kFail) failure_ = new_failure("CUDA: a kernel failed: told to by the test");
  } catch (const std::exception& error) {
    failure_ = new_failure(error.what());
  }
}

}  // namespace skua::fake
