// Reductions and their opposite, over plain values.
#include <algorithm>
#include <vector>

#include "../parallel.h"
#include "kernels.h"

namespace skua::cpu {

namespace {

// Some axes of a row-major array, outermost first.
class Axes {
 public:
  // Axes next to each other become one.
  void push_outer(std::int64_t extent, std::int64_t stride) {
    if (!axes_.empty() && axes_.front().stride * axes_.front().extent == stride) {
      axes_.front().extent *= extent;
    } else {
      axes_.insert(axes_.begin(), {extent, stride});
    }
  }

  // The innermost axis, which stays out of offset().
  [[nodiscard]] std::int64_t inner_extent() const { return axes_.empty() ? 1 : axes_.back().extent; }
  [[nodiscard]] std::int64_t inner_stride() const { return axes_.empty() ? 0 : axes_.back().stride; }
  [[nodiscard]] std::int64_t outer_count() const {
    std::int64_t count = 1;
    for (std::size_t i = 0; i + 1 < axes_.size(); ++i) count *= axes_[i].extent;
    return count;
  }
  // Of element `index` of the axes but the innermost.
  [[nodiscard]] std::int64_t outer_offset(std::int64_t index) const {
    std::int64_t offset = 0;
    for (std::size_t i = axes_.size(); i-- > 1;) {
      offset += index % axes_[i - 1].extent * axes_[i - 1].stride;
      index /= axes_[i - 1].extent;
    }
    return offset;
  }

 private:
  struct Axis {
    std::int64_t extent, stride;
  };
  std::vector<Axis> axes_;
};

// The axes of `shape` that are among `axes`, or that are not.
Axes select(const Shape& shape, const std::vector<std::int64_t>& axes, bool among) {
  Axes selected;
  std::int64_t stride = 1;
  for (std::size_t i = shape.rank(); i-- > 0; stride *= shape[i]) {
    if ((std::find(axes.begin(), axes.end(), i) != axes.end()) == among) selected.push_outer(shape[i], stride);
  }
  return selected;
}

// Sums in double, in an order that is fixed by the shapes.
class Reduce final : public Kernel {
 public:
  Reduce(Axes kept, Axes reduced, double scale) : kept_(std::move(kept)), reduced_(std::move(reduced)), scale_(scale) {}
  void run(const KernelArguments& arguments) override {
    reduced_.inner_stride() == 1 ? reduce_runs(arguments.in(0), arguments.out(0))
                                 : reduce_columns(arguments.in(0), arguments.out(0));
  }

 private:
  // Output by output: the innermost axis of what is added lies side by side.
  void reduce_runs(const float* x, float* y) const {
    const std::int64_t columns = kept_.inner_extent();
    for_each_row(kept_.outer_count() * columns, [=, this](std::int64_t i) {
      const std::int64_t offset = kept_.outer_offset(i / columns) + i % columns * kept_.inner_stride();
      double total = 0;
      for (std::int64_t outer = 0; outer < reduced_.outer_count(); ++outer) {
        total += sum_of_run(x + offset + reduced_.outer_offset(outer));
      }
      y[i] = static_cast<float>(scale_ * total);
    });
  }

  // Several sums at a time, so that no addition waits for the one before it.
  [[nodiscard]] double sum_of_run(const float* x) const {
    constexpr std::int64_t kSums = 8;
    double sums[kSums] = {};
    const std::int64_t count = reduced_.inner_extent();
    std::int64_t i = 0;
    for (; i + kSums <= count; i += kSums) {
#pragma omp simd
      for (std::int64_t j = 0; j < kSums; ++j) sums[j] += static_cast<double>(x[i + j]);
    }
    for (std::int64_t j = 0; i + j < count; ++j) sums[j] += static_cast<double>(x[i + j]);
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]));
  }

  // A block of neighbouring outputs at a time.
  void reduce_columns(const float* x, float* y) const {
    const std::int64_t columns = kept_.inner_extent();
    const std::int64_t blocks = (columns + kBlock - 1) / kBlock;
    for_each_row(kept_.outer_count() * blocks, [=, this](std::int64_t i) {
      const std::int64_t first = i % blocks * kBlock;
      reduce_block(x + kept_.outer_offset(i / blocks) + first * kept_.inner_stride(), std::min(kBlock, columns - first),
                   y + i / blocks * columns + first);
    });
  }

  void reduce_block(const float* x, std::int64_t width, float* y) const {
    double sums[kBlock] = {};
    const std::int64_t stride = kept_.inner_stride();
    for (std::int64_t outer = 0; outer < reduced_.outer_count(); ++outer) {
      const float* row = x + reduced_.outer_offset(outer);
      for (std::int64_t i = 0; i < reduced_.inner_extent(); ++i, row += reduced_.inner_stride()) {
#pragma omp simd
        for (std::int64_t j = 0; j < width; ++j) sums[j] += static_cast<double>(row[j * stride]);
      }
    }
    for (std::int64_t j = 0; j < width; ++j) y[j] = static_cast<float>(scale_ * sums[j]);
  }

  static constexpr std::int64_t kBlock = 64;
  Axes kept_;
  Axes reduced_;
  double scale_;
};

// A block of y, which has the reduction's input shape, for each element of x.
class Broadcast final : public Kernel {
 public:
  Broadcast(Axes kept, Axes repeated, float scale)
      : kept_(std::move(kept)), repeated_(std::move(repeated)), scale_(scale) {}
  void run(const KernelArguments& arguments) override {
    const std::int64_t columns = kept_.inner_extent();
    for_each_row(kept_.outer_count() * columns, [=, this, x = arguments.in(0), y = arguments.out(0)](std::int64_t i) {
      const std::int64_t offset = kept_.outer_offset(i / columns) + i % columns * kept_.inner_stride();
      repeat(scale_ * x[i], y + offset);
    });
  }

 private:
  void repeat(float value, float* y) const {
    for (std::int64_t outer = 0; outer < repeated_.outer_count(); ++outer) {
      float* const row = y + repeated_.outer_offset(outer);
      for (std::int64_t i = 0; i < repeated_.inner_extent(); ++i) row[i * repeated_.inner_stride()] = value;
    }
  }

  Axes kept_;
  Axes repeated_;
  float scale_;
};

KernelPointer make_reduce(NodeBuilder& builder, double scale) {
  builder.read_plain(0);
  builder.write_plain(0);
  const Shape& x = builder.input_type(0).shape;
  const auto& axes = builder.op().attributes.integers("axes");
  return std::make_unique<Reduce>(select(x, axes, false), select(x, axes, true), scale);
}

}  // namespace

KernelPointer make_reduce_sum(NodeBuilder& builder) {
  return make_reduce(builder, 1);
}

KernelPointer make_reduce_mean(NodeBuilder& builder) {
  return make_reduce(builder, static_cast<double>(builder.output_type(0).shape.elements()) /
                                  static_cast<double>(builder.input_type(0).shape.elements()));
}

KernelPointer make_broadcast(NodeBuilder& builder) {
  builder.read_plain(0);
  builder.write_plain(0);
  const Shape& y = builder.output_type(0).shape;
  const auto& axes = builder.op().attributes.integers("axes");
  return std::make_unique<Broadcast>(select(y, axes, false), select(y, axes, true),
                                     static_cast<float>(builder.op().attributes.real("scale")));
}

}  // namespace skua::cpu
