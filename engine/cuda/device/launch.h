// How kernels run on a GPU; compiled by nvcc. tests/engine/cuda/fake/launch.h has the same functions for fake streams,
// so that the kernels' sources are host code there. Any thread, one at a time for a stream.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "check.h"
#include "lanes.h"
#include "runtime.h"

// In front of a lambda's parameters: it is device code. It must capture by value, and not `this`.
#define SKUA_DEVICE __device__

namespace skua::cuda {

// The threads that share a row. All of them call reduce(), in the same order.
class Block {
 public:
  // True in one of the threads: for what is written once.
  [[nodiscard]] __device__ bool first() const { return threadIdx.x == 0; }

  // visit(i) for i in [0, count). What one call has written only it may read, until the next reduce().
  template <class Visit>
  __device__ void each(std::int64_t count, Visit visit) const {
    for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) visit(i);
  }

  // The terms i in [0, count), joined to `zero` in an order that depends on the row's length and `count` alone: one
  // sum a lane, then a tree over the lanes.
  template <class Sum, class Term, class Join>
  [[nodiscard]] __device__ Sum reduce(std::int64_t count, Sum zero, Term term, Join join) const {
    static_assert(sizeof(Sum) <= kLargestSum);
    extern __shared__ double shared[];
    auto* const sums = reinterpret_cast<Sum*>(shared);
    Sum sum = zero;
    each(count, [&](std::int64_t i) { sum = join(sum, term(i)); });
    sums[threadIdx.x] = sum;
    __syncthreads();
    for (unsigned int half = blockDim.x / 2; half > 0; half /= 2) {
      if (threadIdx.x < half) sums[threadIdx.x] = join(sums[threadIdx.x], sums[threadIdx.x + half]);
      __syncthreads();
    }
    const Sum total = sums[0];
    __syncthreads();  // the next reduction writes there
    return total;
  }
};

namespace launching {

inline constexpr std::int64_t kMostBlocks = std::int64_t{1} << 30;
inline constexpr int kThreads = 256;

template <class Body>
__global__ void __launch_bounds__(kThreads) run_each(std::int64_t count, Body body) {
  const std::int64_t stride = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < count; i += stride) {
    body(i);
  }
}

template <class Body>
__global__ void __launch_bounds__(1024) run_rows(std::int64_t rows, Body body) {
  for (std::int64_t row = blockIdx.x; row < rows; row += gridDim.x) body(row, Block());
}

}  // namespace launching

// Submits body(i) for i in [0, count), one thread each. No call may depend on another.
template <class Body>
void for_each(GpuStream& stream, std::int64_t count, Body body) {
  if (count == 0) return;
  const std::int64_t blocks = (count + launching::kThreads - 1) / launching::kThreads;
  launching::run_each<<<static_cast<unsigned int>(std::min(blocks, launching::kMostBlocks)), launching::kThreads, 0,
                        static_cast<cudaStream_t>(stream.native())>>>(count, body);
  check(cudaGetLastError(), "kernel launch");
}

// Submits body(row, block) for rows in [0, rows), of about `length` elements each, many threads a row.
template <class Body>
void for_each_row(GpuStream& stream, std::int64_t rows, std::int64_t length, Body body) {
  if (rows == 0) return;
  const int lanes = lanes_for(length);
  launching::run_rows<<<static_cast<unsigned int>(std::min(rows, launching::kMostBlocks)), lanes, lanes * kLargestSum,
                        static_cast<cudaStream_t>(stream.native())>>>(rows, body);
  check(cudaGetLastError(), "kernel launch");
}

}  // namespace skua::cuda
