// Independent work on several threads.
#pragma once

#include <cstddef>
#include <functional>

namespace skua {

// Calls action(0) to action(count - 1), at the same time and in any order, on the calling thread and on oneTBB's
// workers that are free. Every one of them is called; of the errors that they throw, that of the smallest index reaches
// the caller. The calling thread takes up no other work meanwhile, so that a worker of an executor may call, too.
void parallel_for(std::size_t count, const std::function<void(std::size_t)>& action);

// While it lives, the thread that made it runs its own loops alone, one action after the other.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  bool before_;
};

}  // namespace skua
