// What engine/cuda/device/launch.h is on a GPU, for streams whose native() is a fake::WorkQueue: the same functions
// with sums in the same order, so that the kernels' sources are host code.
#pragma once

#include <algorithm>
#include <cstdint>

#include "lanes.h"
#include "runtime.h"
#include "work_queue.h"

#define SKUA_DEVICE

namespace skua::cuda {

class Block {
 public:
  explicit Block(int lanes) : lanes_(lanes) {}
  [[nodiscard]] bool first() const { return true; }

  template <class Visit>
  void each(std::int64_t count, Visit visit) const {
    for (std::int64_t i = 0; i < count; ++i) visit(i);
  }

  template <class Sum, class Term, class Join>
  [[nodiscard]] Sum reduce(std::int64_t count, Sum zero, Term term, Join join) const {
    static_assert(sizeof(Sum) <= kLargestSum);
    Sum sums[lanes_for(INT64_MAX)];
    for (int lane = 0; lane < lanes_; ++lane) {
      sums[lane] = zero;
      for (std::int64_t i = lane; i < count; i += lanes_) sums[lane] = join(sums[lane], term(i));
    }
    for (int half = lanes_ / 2; half > 0; half /= 2) {
      for (int lane = 0; lane < half; ++lane) sums[lane] = join(sums[lane], sums[lane + half]);
    }
    return sums[0];
  }

 private:
  int lanes_;
};

namespace launching {

inline fake::WorkQueue& queue(const GpuStream& stream) {
  return *static_cast<fake::WorkQueue*>(stream.native());
}

}  // namespace launching

template <class Body>
void for_each(GpuStream& stream, std::int64_t count, Body body) {
  launching::queue(stream).push([=] {
    for (std::int64_t i = 0; i < count; ++i) body(i);
  });
}

template <class Body>
void for_each_row(GpuStream& stream, std::int64_t rows, std::int64_t length, Body body) {
  launching::queue(stream).push([=] {
    const Block block(lanes_for(length));
    for (std::int64_t row = 0; row < rows; ++row) body(row, block);
  });
}

}  // namespace skua::cuda
