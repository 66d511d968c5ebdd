// Reductions of arrays, and softmax along rows.
#include <cmath>

#include "axes.h"
#include "kernels.h"
#include "skua/engine/elementwise.h"
#include "softmax_rows.h"
#include "sums.h"

namespace skua::cuda {

namespace {

// The sum of what lies side by side is shared by a block; else neighbouring threads take neighbouring outputs.
class Reduce final : public Kernel {
 public:
  Reduce(const Axes& kept, const Axes& reduced, double scale) : kept_(kept), reduced_(reduced), scale_(scale) {}
  [[nodiscard]] std::size_t scratch_bytes() const override {
    return by_rows() ? 0 : column_sum_bytes<double>(reduced_.count(), kept_.count());
  }
  void submit(const Arguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    const Axes kept = kept_;
    const Axes reduced = reduced_;
    const double scale = scale_;
    const std::int64_t terms = reduced.count();
    if (by_rows()) {
      for_each_row(arguments.stream, kept.count(), terms, [=] SKUA_DEVICE(std::int64_t row, const Block& block) {
        const float* const from = x + kept.offset(row);
        const double sum = block.reduce(
            terms, 0.0, [=](std::int64_t i) { return static_cast<double>(from[reduced.offset(i)]); }, Plus());
        if (block.first()) y[row] = static_cast<float>(scale * sum);
      });
      return;
    }
    sum_columns<double>(
        arguments.stream, terms, kept.count(), arguments.scratch,
        [=] SKUA_DEVICE(std::int64_t row, std::int64_t column) {
          return static_cast<double>(x[reduced.offset(row) + kept.offset(column)]);
        },
        [=] SKUA_DEVICE(std::int64_t column, double sum) { y[column] = static_cast<float>(scale * sum); });
  }

 private:
  [[nodiscard]] bool by_rows() const { return reduced_.inner_stride() == 1; }

  Axes kept_;
  Axes reduced_;
  double scale_;
};

class SumOfSquares final : public Kernel {
 public:
  explicit SumOfSquares(std::int64_t count) : count_(count) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return sum_bytes<double>(count_); }
  void submit(const Arguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    sum_all<double>(
        arguments.stream, count_, arguments.scratch,
        [=] SKUA_DEVICE(std::int64_t i) { return static_cast<double>(x[i]) * static_cast<double>(x[i]); },
        [=] SKUA_DEVICE(double sum) { y[0] = static_cast<float>(sum); });
  }

 private:
  std::int64_t count_;
};

class Softmax final : public Kernel {
 public:
  Softmax(std::int64_t rows, std::int64_t columns) : rows_(rows), columns_(columns) {}
  void submit(const Arguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    const std::int64_t columns = columns_;
    for_each_row(arguments.stream, rows_, columns, [=] SKUA_DEVICE(std::int64_t row, const Block& block) {
      (void)softmax_row(block, x + row * columns, columns, y + row * columns);
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t columns_;
};

class SoftmaxBackward final : public Kernel {
 public:
  SoftmaxBackward(std::int64_t rows, std::int64_t columns) : rows_(rows), columns_(columns) {}
  void submit(const Arguments& arguments) override {
    const float* const y = arguments.in(0);
    const float* const dy = arguments.in(1);
    float* const dx = arguments.out(0);
    const std::int64_t columns = columns_;
    for_each_row(arguments.stream, rows_, columns, [=] SKUA_DEVICE(std::int64_t row, const Block& block) {
      const std::int64_t first = row * columns;
      const double sum = block.reduce(
          columns, 0.0,
          [=](std::int64_t c) { return static_cast<double>(y[first + c]) * static_cast<double>(dy[first + c]); },
          Plus());
      const auto mean = static_cast<float>(sum);
      block.each(columns, [=](std::int64_t c) { dx[first + c] = y[first + c] * (dy[first + c] - mean); });
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t columns_;
};

template <class RowKernel>
KernelPointer by_rows(const NodeView& node) {
  const Shape& shape = node.inputs[0].shape;
  const std::int64_t columns = shape[shape.rank() - 1];
  return std::make_unique<RowKernel>(shape.elements() / columns, columns);
}

}  // namespace

KernelPointer make_reduce(const NodeView& node) {
  const Shape& x = node.inputs[0].shape;
  const auto& axes = node.op.attributes.integers("axes");
  Axes kept;
  Axes reduced;
  std::int64_t stride = 1;
  for (std::size_t i = x.rank(); i-- > 0; stride *= x[i]) {
    (is_among(i, axes) ? reduced : kept).push_outer(x[i], stride);
  }
  const bool mean = node.op.type == "reduce_mean";
  return std::make_unique<Reduce>(kept, reduced, mean ? 1 / static_cast<double>(reduced.count()) : 1.0);
}

KernelPointer make_sum_of_squares(const NodeView& node) {
  return std::make_unique<SumOfSquares>(node.inputs[0].shape.elements());
}

KernelPointer make_softmax(const NodeView& node) {
  return by_rows<Softmax>(node);
}
KernelPointer make_softmax_backward(const NodeView& node) {
  return by_rows<SoftmaxBackward>(node);
}

}  // namespace skua::cuda
