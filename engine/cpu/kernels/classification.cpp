// Losses and counts over rows of logits, all plain.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "../parallel.h"
#include "kernels.h"
#include "softmax_rows.h"

namespace skua::cpu {

namespace {

struct Rows {
  std::int64_t count;
  std::int64_t classes;

  explicit Rows(const Shape& shape) : count(shape.rows()), classes(shape.last()) {}

  void check(const std::int32_t* labels) const {
    for (std::int64_t row = 0; row < count; ++row) {
      if (labels[row] < 0 || labels[row] >= classes) {
        throw std::invalid_argument(
            fmt::format("expected labels in [0,{}), got {} in row {}", classes, labels[row], row));
      }
    }
  }
};

// Rows' losses are added in double, in order.
class SoftmaxCrossEntropy final : public Kernel {
 public:
  SoftmaxCrossEntropy(Rows rows, double scale) : rows_(rows), scale_(scale) {}
  [[nodiscard]] std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(rows_.count) * sizeof(double);
  }
  void run(const KernelArguments& arguments) override {
    const std::int32_t* const labels = arguments.in_ints(1);
    rows_.check(labels);
    auto* const losses = static_cast<double*>(arguments.scratch);
    for_each_row(rows_.count, [=, this, x = arguments.in(0), p = arguments.out(1)](std::int64_t row) {
      losses[row] = row_loss(x + row * rows_.classes, labels[row], p + row * rows_.classes);
    });
    double loss = 0;
    for (std::int64_t row = 0; row < rows_.count; ++row) loss += losses[row];
    arguments.out(0)[0] = static_cast<float>(scale_ * loss);
  }

 private:
  double row_loss(const float* x, std::int32_t label, float* p) const {
    return softmax_row(x, rows_.classes, p).minus_log_of(x[label]);
  }

  Rows rows_;
  double scale_;
};

class SoftmaxCrossEntropyBackward final : public Kernel {
 public:
  SoftmaxCrossEntropyBackward(Rows rows, float scale) : rows_(rows), scale_(scale) {}
  void run(const KernelArguments& arguments) override {
    const std::int32_t* const labels = arguments.in_ints(1);
    rows_.check(labels);
    const float factor = arguments.in(2)[0] * scale_;
    for_each_row(rows_.count, [=, this, p = arguments.in(0), dx = arguments.out(0)](std::int64_t row) {
      const float* const p_row = p + row * rows_.classes;
      float* const dx_row = dx + row * rows_.classes;
      for (std::int64_t c = 0; c < rows_.classes; ++c) dx_row[c] = factor * p_row[c];
      dx_row[labels[row]] = factor * (p_row[labels[row]] - 1.0F);
    });
  }

 private:
  Rows rows_;
  float scale_;
};

// Rows whose label has fewer than k logits before it, larger or equal and earlier.
class CountTopK final : public Kernel {
 public:
  CountTopK(Rows rows, std::int64_t k) : rows_(rows), k_(k) {}
  void run(const KernelArguments& arguments) override {
    const std::int32_t* const labels = arguments.in_ints(1);
    rows_.check(labels);
    std::int64_t correct = 0;
    for (std::int64_t row = 0; row < rows_.count; ++row) {
      const float* const x = arguments.in(0) + row * rows_.classes;
      std::int64_t before = 0;
      for (std::int64_t c = 0; c < rows_.classes; ++c) {
        before += x[c] > x[labels[row]] || (x[c] == x[labels[row]] && c < labels[row]) ? 1 : 0;
      }
      correct += before < k_ ? 1 : 0;
    }
    arguments.out(0)[0] = static_cast<float>(correct);
  }

 private:
  Rows rows_;
  std::int64_t k_;
};

class CountCorrect final : public Kernel {
 public:
  explicit CountCorrect(Rows rows) : rows_(rows) {}
  [[nodiscard]] std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(rows_.count) * sizeof(std::int32_t);
  }
  void run(const KernelArguments& arguments) override {
    const std::int32_t* const labels = arguments.in_ints(1);
    rows_.check(labels);
    auto* const correct = static_cast<std::int32_t*>(arguments.scratch);
    for_each_row(rows_.count, [=, this, x = arguments.in(0)](std::int64_t row) {
      correct[row] = is_first_largest(x + row * rows_.classes, labels[row]) ? 1 : 0;
    });
    arguments.out(0)[0] = static_cast<float>(std::accumulate(correct, correct + rows_.count, std::int64_t{0}));
  }

 private:
  // Nothing is larger than a NaN in front.
  [[nodiscard]] bool is_first_largest(const float* x, std::int32_t label) const {
    const float largest = largest_of(x, rows_.classes);
    if (largest != largest) return label == 0;
    return x[label] == largest && std::find(x, x + label, largest) == x + label;
  }

  Rows rows_;
};

}  // namespace

KernelPointer make_softmax_cross_entropy(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<SoftmaxCrossEntropy>(Rows(builder.input_type(0).shape),
                                               builder.op().attributes.real("scale"));
}

KernelPointer make_softmax_cross_entropy_backward(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<SoftmaxCrossEntropyBackward>(Rows(builder.input_type(0).shape),
                                                       static_cast<float>(builder.op().attributes.real("scale")));
}

KernelPointer make_count_top_k(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<CountTopK>(Rows(builder.input_type(0).shape), builder.op().attributes.integer("k"));
}

KernelPointer make_count_correct(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<CountCorrect>(Rows(builder.input_type(0).shape));
}

}  // namespace skua::cpu
