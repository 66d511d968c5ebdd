#include "parallel.h"

#include <atomic>
#include <exception>
#include <utility>
#include <vector>

#include "parallel_tbb.h"

namespace skua {
namespace {

// oneTBB orders the threads itself, in code that ThreadSanitizer does not see into: this says it once more. What was
// done before one call happens before what comes after any later one.
void hand_over() {
  static std::atomic<unsigned> handed_over{0};
  handed_over.fetch_add(1, std::memory_order_acq_rel);
}

thread_local bool one_thread = false;

}  // namespace

OneThread::OneThread() : before_(std::exchange(one_thread, true)) {}
OneThread::~OneThread() {
  one_thread = before_;
}

void parallel_for(std::size_t count, const std::function<void(std::size_t)>& action) {
  std::vector<std::exception_ptr> errors(count);
  const std::function<void(std::size_t)> guarded = [&](std::size_t i) {
    hand_over();
    try {
      action(i);
    } catch (...) {
      errors[i] = std::current_exception();
    }
    hand_over();
  };
  hand_over();  // `guarded`, too
  if (one_thread) {
    for (std::size_t i = 0; i < count; ++i) guarded(i);
  } else {
    run_on_tbb(count, guarded);
  }
  hand_over();
  for (const std::exception_ptr& error : errors) {
    if (error != nullptr) std::rethrow_exception(error);
  }
}

}  // namespace skua
