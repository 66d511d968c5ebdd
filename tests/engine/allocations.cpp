#include "engine/allocations.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>

namespace {

thread_local std::size_t thread_count = 0;
std::atomic<bool> counting{false};
std::atomic<std::size_t> counted{0};

bool from_vendor(const void* caller) {
  Dl_info info;
  if (dladdr(caller, &info) == 0 || info.dli_fname == nullptr) return false;
  for (const char* name : {"libtbb", "libdnnl", "libgomp"}) {
    if (std::strstr(info.dli_fname, name) != nullptr) return true;
  }
  return false;
}

void* take(std::size_t bytes, const void* caller) {
  ++thread_count;
  if (counting.load(std::memory_order_relaxed) && !from_vendor(caller)) ++counted;
  void* const data = std::malloc(bytes == 0 ? 1 : bytes);
  if (data == nullptr) throw std::bad_alloc();
  return data;
}

}  // namespace

namespace skua::test {

std::size_t allocations() {
  return thread_count;
}

AllocationCounter::AllocationCounter() {
  counted = 0;
  counting = true;
}
AllocationCounter::~AllocationCounter() {
  counting = false;
}
std::size_t AllocationCounter::count() const {
  return counted;
}

}  // namespace skua::test

// The array forms are replaced as well, so that the caller is the one who asked, and those that do not throw, as
// sanitizers bring their own, which would not fit our delete.
void* operator new(std::size_t bytes) {
  return take(bytes, __builtin_return_address(0));
}
void* operator new[](std::size_t bytes) {
  return take(bytes, __builtin_return_address(0));
}
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return std::malloc(bytes == 0 ? 1 : bytes);
}
void operator delete(void* data) noexcept {
  std::free(data);
}
void operator delete(void* data, std::size_t) noexcept {
  std::free(data);
}
void operator delete[](void* data) noexcept {
  std::free(data);
}
void operator delete[](void* data, std::size_t) noexcept {
  std::free(data);
}
