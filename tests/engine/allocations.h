// Counts what is taken from the heap by operator new.
#pragma once

#include <cstddef>

namespace skua::test {

[[nodiscard]] std::size_t allocations();  // by the calling thread, since it began

// By all threads while one of these lives, but for what oneTBB, oneDNN and OpenMP take themselves.
class AllocationCounter {
 public:
  AllocationCounter();
  ~AllocationCounter();
  AllocationCounter(const AllocationCounter&) = delete;
  AllocationCounter& operator=(const AllocationCounter&) = delete;
  [[nodiscard]] std::size_t count() const;
};

}  // namespace skua::test
