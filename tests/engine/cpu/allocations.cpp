#include "engine/cpu/allocations.h"

#include <cstdlib>
#include <new>

namespace {

thread_local std::size_t count = 0;

}  // namespace

namespace skua::test {

std::size_t allocations() {
  return count;
}

}  // namespace skua::test

// All other forms of new and delete end in these.
void* operator new(std::size_t bytes) {
  ++count;
  void* const data = std::malloc(bytes == 0 ? 1 : bytes);
  if (data == nullptr) throw std::bad_alloc();
  return data;
}
void operator delete(void* data) noexcept {
  std::free(data);
}
void operator delete(void* data, std::size_t) noexcept {
  std::free(data);
}
