// Pooling over images; backward passes gather, so that nothing is added in an order that is left to chance. An index is
// the position in the output's window, row-major, as on the CPU.
#include <limits>

#include "kernels.h"
#include "launch.h"
#include "skua/engine/elementwise.h"
#include "skua/graph/op_registry.h"
#include "skua/graph/window.h"

namespace skua::cuda {

namespace {

struct Range {
  std::int64_t first;
  std::int64_t end;

  [[nodiscard]] SKUA_HOST_DEVICE std::int64_t size() const { return end - first; }
};

// One axis of the windows.
struct Axis {
  std::int64_t extent;
  std::int64_t out_extent;
  std::int64_t kernel;
  std::int64_t stride;
  std::int64_t pad;

  // Of window `out`, what lies in the image.
  [[nodiscard]] SKUA_HOST_DEVICE Range seen_by(std::int64_t out) const {
    const std::int64_t first = out * stride - pad;
    return {first < 0 ? 0 : first, first + kernel < extent ? first + kernel : extent};
  }
  // The windows that see element `at`.
  [[nodiscard]] SKUA_HOST_DEVICE Range that_see(std::int64_t at) const {
    const std::int64_t last = (at + pad) / stride;
    const std::int64_t before = at + pad - kernel;  // the last start that is too early
    return {before < 0 ? 0 : before / stride + 1, last + 1 < out_extent ? last + 1 : out_extent};
  }
  [[nodiscard]] SKUA_HOST_DEVICE std::int64_t position(std::int64_t out, std::int64_t at) const {
    return at - (out * stride - pad);
  }
};

struct Pool {
  std::int64_t planes;
  Axis rows;
  Axis columns;

  explicit Pool(const Window2d& w)
      : planes(w.batch * w.in_channels),
        rows{w.height, w.out_height, w.kernel_height, w.stride_height, w.pad_top},
        columns{w.width, w.out_width, w.kernel_width, w.stride_width, w.pad_left} {}

  [[nodiscard]] std::int64_t in_count() const { return planes * rows.extent * columns.extent; }
  [[nodiscard]] std::int64_t out_count() const { return planes * rows.out_extent * columns.out_extent; }
};

template <class Function>
class MaxPool final : public Kernel {
 public:
  MaxPool(const Pool& pool, Function function) : pool_(pool), function_(function) {}
  // A NaN wins, the last one; of equals the first.
  void submit(const Arguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    std::int32_t* const index = arguments.out_ints(1);
    const Pool pool = pool_;
    const Function function = function_;
    for_each(arguments.stream, pool.out_count(), [=] SKUA_DEVICE(std::int64_t o) {
      const std::int64_t i = o / pool.columns.out_extent % pool.rows.out_extent;
      const std::int64_t j = o % pool.columns.out_extent;
      const std::int64_t plane = o / (pool.columns.out_extent * pool.rows.out_extent);
      const float* const from = x + plane * pool.rows.extent * pool.columns.extent;
      const Range rows = pool.rows.seen_by(i);
      const Range columns = pool.columns.seen_by(j);
      std::int64_t best = rows.first * pool.columns.extent + columns.first;
      for (std::int64_t r = rows.first; r < rows.end; ++r) {
        for (std::int64_t c = columns.first; c < columns.end; ++c) {
          const float candidate = from[r * pool.columns.extent + c];
          if (candidate > from[best] || candidate != candidate) best = r * pool.columns.extent + c;
        }
      }
      y[o] = function(from[best]);
      index[o] = static_cast<std::int32_t>(pool.rows.position(i, best / pool.columns.extent) * pool.columns.kernel +
                                           pool.columns.position(j, best % pool.columns.extent));
    });
  }

 private:
  Pool pool_;
  Function function_;
};

template <class Backward>
class MaxPoolBackward final : public Kernel {
 public:
  MaxPoolBackward(const Pool& pool, Backward function) : pool_(pool), function_(function) {}
  void submit(const Arguments& arguments) override {
    const float* const y = arguments.in(arguments.inputs.size() == 3 ? 2 : 0);  // without activation not used
    const Backward function = function_;
    const float* const dy = arguments.in(0);
    const std::int32_t* const index = arguments.in_ints(1);
    float* const dx = arguments.out(0);
    const Pool pool = pool_;
    for_each(arguments.stream, pool.in_count(), [=] SKUA_DEVICE(std::int64_t at) {
      const std::int64_t r = at / pool.columns.extent % pool.rows.extent;
      const std::int64_t c = at % pool.columns.extent;
      const std::int64_t plane = at / (pool.columns.extent * pool.rows.extent);
      const Range rows = pool.rows.that_see(r);
      const Range columns = pool.columns.that_see(c);
      float sum = 0;
      for (std::int64_t i = rows.first; i < rows.end; ++i) {
        for (std::int64_t j = columns.end; j-- > columns.first;) {  // in the CPU's order: by the position
          const std::int64_t o = (plane * pool.rows.out_extent + i) * pool.columns.out_extent + j;
          const std::int64_t position = pool.rows.position(i, r) * pool.columns.kernel + pool.columns.position(j, c);
          sum += index[o] == position ? function(y[o], dy[o]) : 0.0F;
        }
      }
      dx[at] = sum;
    });
  }

 private:
  Pool pool_;
  Backward function_;
};

// Means over what lies in the image.
class AveragePool final : public Kernel {
 public:
  explicit AveragePool(const Pool& pool) : pool_(pool) {}
  void submit(const Arguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    const Pool pool = pool_;
    for_each(arguments.stream, pool.out_count(), [=] SKUA_DEVICE(std::int64_t o) {
      const Range rows = pool.rows.seen_by(o / pool.columns.out_extent % pool.rows.out_extent);
      const Range columns = pool.columns.seen_by(o % pool.columns.out_extent);
      const std::int64_t plane = o / (pool.columns.out_extent * pool.rows.out_extent);
      const float* const from = x + plane * pool.rows.extent * pool.columns.extent;
      double sum = 0;
      for (std::int64_t r = rows.first; r < rows.end; ++r) {
        for (std::int64_t c = columns.first; c < columns.end; ++c) {
          sum += static_cast<double>(from[r * pool.columns.extent + c]);
        }
      }
      y[o] = static_cast<float>(sum / static_cast<double>(rows.size() * columns.size()));
    });
  }

 private:
  Pool pool_;
};

class AveragePoolBackward final : public Kernel {
 public:
  explicit AveragePoolBackward(const Pool& pool) : pool_(pool) {}
  void submit(const Arguments& arguments) override {
    const float* const dy = arguments.in(0);
    float* const dx = arguments.out(0);
    const Pool pool = pool_;
    for_each(arguments.stream, pool.in_count(), [=] SKUA_DEVICE(std::int64_t at) {
      const Range rows = pool.rows.that_see(at / pool.columns.extent % pool.rows.extent);
      const Range columns = pool.columns.that_see(at % pool.columns.extent);
      const std::int64_t plane = at / (pool.columns.extent * pool.rows.extent);
      float sum = 0;
      for (std::int64_t i = rows.first; i < rows.end; ++i) {
        for (std::int64_t j = columns.first; j < columns.end; ++j) {
          const std::int64_t o = (plane * pool.rows.out_extent + i) * pool.columns.out_extent + j;
          sum += dy[o] / static_cast<float>(pool.rows.seen_by(i).size() * pool.columns.seen_by(j).size());
        }
      }
      dx[at] = sum;
    });
  }

 private:
  Pool pool_;
};

// The first rows and columns of images, or images that are zero beside them.
class Crop final : public Kernel {
 public:
  Crop(const Shape& from, const Shape& to)
      : count_(to.elements()), rows_(from[2]), columns_(from[3]), to_rows_(to[2]), to_columns_(to[3]) {}
  void submit(const Arguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    const std::int64_t rows = rows_;
    const std::int64_t columns = columns_;
    const std::int64_t to_rows = to_rows_;
    const std::int64_t to_columns = to_columns_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) {
      const std::int64_t column = i % to_columns;
      const std::int64_t row = i / to_columns % to_rows;
      const std::int64_t plane = i / (to_columns * to_rows);
      y[i] = row < rows && column < columns ? x[(plane * rows + row) * columns + column] : 0.0F;
    });
  }

 private:
  std::int64_t count_;
  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t to_rows_;
  std::int64_t to_columns_;
};

template <class PoolKernel>
KernelPointer make(const NodeView& node) {
  return std::make_unique<PoolKernel>(Pool(window_of(node.op, node.inputs)));
}

}  // namespace

KernelPointer make_max_pool2d(const NodeView& node) {
  const Pool pool(window_of(node.op, node.inputs));
  const auto activation = activation_of(node.op);
  if (!activation) return std::make_unique<MaxPool<elementwise::Same>>(pool, elementwise::Same());
  return elementwise::visit_activation(*activation, [&](auto function, auto) -> KernelPointer {
    return std::make_unique<MaxPool<decltype(function)>>(pool, function);
  });
}
KernelPointer make_max_pool2d_backward(const NodeView& node) {
  const Pool pool(window_of(node.op, node.inputs));
  const auto activation = activation_of({"max_pool2d", node.op.attributes});
  if (!activation)
    return std::make_unique<MaxPoolBackward<elementwise::SameBackward>>(pool, elementwise::SameBackward());
  return elementwise::visit_activation(*activation, [&](auto, auto backward) -> KernelPointer {
    return std::make_unique<MaxPoolBackward<decltype(backward)>>(pool, backward);
  });
}
KernelPointer make_crop2d(const NodeView& node) {
  return std::make_unique<Crop>(node.inputs[0].shape, node.outputs[0].shape);
}
KernelPointer make_average_pool2d(const NodeView& node) {
  return make<AveragePool>(node);
}
KernelPointer make_average_pool2d_backward(const NodeView& node) {
  return make<AveragePoolBackward>(node);
}

}  // namespace skua::cuda
