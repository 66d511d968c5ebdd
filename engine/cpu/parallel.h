// OpenMP as the kernels use it: a set number of threads, static schedules, results that do not depend on timing.
#pragma once

#include <omp.h>

#include <cstdint>

namespace skua::cpu {

// While it lives, parallel regions that this thread opens have `threads` threads.
class ThreadCount {
 public:
  explicit ThreadCount(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  ~ThreadCount() { omp_set_num_threads(before_); }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

// body(i) for i in [0, count), vectorised; the calls must be independent and must not throw.
template <class Body>
void for_each_element(std::int64_t count, Body body) {
  constexpr std::int64_t kWorthThreads = 32768;
#pragma omp parallel for simd schedule(static) firstprivate(body) if (parallel : count >= kWorthThreads)
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

// The same for bodies that are loops themselves.
template <class Body>
void for_each_row(std::int64_t count, Body body) {
#pragma omp parallel for schedule(static)
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

}  // namespace skua::cpu
