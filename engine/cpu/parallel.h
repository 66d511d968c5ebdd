// Loops as the kernels use them: a set number of OpenMP threads, shares that do not depend on timing, and the widest
// vector instructions that the processor has. Which these are changes no bit: nothing is fused or reordered.
#pragma once

#include <omp.h>

#include <algorithm>
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

// body(first, end), compiled for one set of instructions: all that the body calls is inlined.
template <class Body>
[[gnu::flatten]] void run_baseline(std::int64_t first, std::int64_t end, Body body) {
  body(first, end);
}

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
template <class Body>
[[gnu::flatten, gnu::target("avx2")]] void run_avx2(std::int64_t first, std::int64_t end, Body body) {
  body(first, end);
}
template <class Body>
[[gnu::flatten, gnu::target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")]] void run_avx512(
    std::int64_t first, std::int64_t end, Body body) {
  body(first, end);
}

inline bool has_avx2() {
  static const bool has = __builtin_cpu_supports("avx2");
  return has;
}
inline bool has_avx512() {
  static const bool has = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  return has;
}

template <class Body>
void run(std::int64_t first, std::int64_t end, Body body) {
  if (has_avx512()) return run_avx512(first, end, body);
  if (has_avx2()) return run_avx2(first, end, body);
  run_baseline(first, end, body);
}
#else
inline bool has_avx512() {
  return false;
}

template <class Body>
void run(std::int64_t first, std::int64_t end, Body body) {
  run_baseline(first, end, body);
}
#endif

// body(first, end) over parts of [0, count), by several threads where each gets `least` of them; the parts must be
// independent, and bodies must not throw.
template <class Body>
void share(std::int64_t count, std::int64_t least, Body body) {
  const std::int64_t threads = std::min<std::int64_t>(omp_get_max_threads(), count / least);
  if (threads <= 1) return run(0, count, body);
#pragma omp parallel num_threads(static_cast <int>(threads)) firstprivate(body)
  {
    const std::int64_t thread = omp_get_thread_num();
    run(count * thread / threads, count * (thread + 1) / threads, body);
  }
}

// body(i) for i in [0, count): bodies of a few operations, vectorised.
template <class Body>
void for_each_element(std::int64_t count, Body body) {
  constexpr std::int64_t kWorthThread = 16384;
  share(count, kWorthThread, [body](std::int64_t first, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = first; i < end; ++i) body(i);
  });
}

// The same for bodies that are loops themselves.
template <class Body>
void for_each_row(std::int64_t count, Body body) {
  share(count, 1, [body](std::int64_t first, std::int64_t end) {
    for (std::int64_t i = first; i < end; ++i) body(i);
  });
}

}  // namespace skua::cpu
