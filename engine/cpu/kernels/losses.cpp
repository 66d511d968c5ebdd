// Losses and counts over predictions and targets, and what clips gradients. Sums in double, by blocks of a fixed size.
#include <algorithm>
#include <cmath>

#include "../parallel.h"
#include "kernels.h"
#include "skua/engine/elementwise.h"
#include "softmax_rows.h"

namespace skua::cpu {

namespace {

constexpr std::int64_t kBlock = 4096;

std::int64_t block_count(std::int64_t count) {
  return (count + kBlock - 1) / kBlock;
}

std::size_t block_bytes(std::int64_t count) {
  return static_cast<std::size_t>(block_count(count)) * sizeof(double);
}

// The sum of term(i) for i in [0, count), whatever the threads; `partial` holds a number per block.
template <class Term>
double block_sum(std::int64_t count, double* partial, Term term) {
  for_each_row(block_count(count), [=](std::int64_t block) {
    double sum = 0;
    const std::int64_t end = std::min(count, (block + 1) * kBlock);
    for (std::int64_t i = block * kBlock; i < end; ++i) sum += term(i);
    partial[block] = sum;
  });
  double sum = 0;
  for (std::int64_t block = 0; block < block_count(count); ++block) sum += partial[block];
  return sum;
}

template <class Function>
class Loss final : public Kernel {
 public:
  Loss(Function function, double scale, std::int64_t count) : function_(function), scale_(scale), count_(count) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return block_bytes(count_); }
  void run(const KernelArguments& arguments) override {
    const float* const prediction = arguments.in(0);
    const float* const target = arguments.in(1);
    const double sum =
        block_sum(count_, static_cast<double*>(arguments.scratch), [=, function = function_](std::int64_t i) {
          return function.loss(static_cast<double>(prediction[i]), static_cast<double>(target[i]));
        });
    arguments.out(0)[0] = static_cast<float>(scale_ * sum);
  }

 private:
  Function function_;
  double scale_;
  std::int64_t count_;
};

template <class Function>
class LossBackward final : public Kernel {
 public:
  LossBackward(Function function, double scale, std::int64_t count)
      : function_(function), scale_(static_cast<float>(scale)), count_(count) {}
  void run(const KernelArguments& arguments) override {
    const float* const prediction = arguments.in(0);
    const float* const target = arguments.in(1);
    const float factor = arguments.in(2)[0] * scale_;
    float* const dx = arguments.out(0);
    for_each_element(count_, [=, function = function_](std::int64_t i) {
      dx[i] = factor * function.derivative(prediction[i], target[i]);
    });
  }

 private:
  Function function_;
  float scale_;
  std::int64_t count_;
};

class CategoricalCrossEntropy final : public Kernel {
 public:
  CategoricalCrossEntropy(const Shape& shape, double scale) : rows_(shape[0]), classes_(shape[1]), scale_(scale) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return static_cast<std::size_t>(rows_) * sizeof(double); }
  void run(const KernelArguments& arguments) override {
    auto* const losses = static_cast<double*>(arguments.scratch);
    const float* const logits = arguments.in(0);
    const float* const targets = arguments.in(1);
    float* const probabilities = arguments.out(1);
    for_each_row(rows_, [=, this](std::int64_t row) {
      const float* const x = logits + row * classes_;
      const float* const t = targets + row * classes_;
      const elementwise::LogSum log_sum = softmax_row(x, classes_, probabilities + row * classes_);
      double loss = 0;
      for (std::int64_t c = 0; c < classes_; ++c) {
        if (t[c] != 0) loss += static_cast<double>(t[c]) * log_sum.minus_log_of(x[c]);
      }
      losses[row] = loss;
    });
    double loss = 0;
    for (std::int64_t row = 0; row < rows_; ++row) loss += losses[row];
    arguments.out(0)[0] = static_cast<float>(scale_ * loss);
  }

 private:
  std::int64_t rows_;
  std::int64_t classes_;
  double scale_;
};

class CategoricalCrossEntropyBackward final : public Kernel {
 public:
  CategoricalCrossEntropyBackward(const Shape& shape, double scale)
      : rows_(shape[0]), classes_(shape[1]), scale_(static_cast<float>(scale)) {}
  void run(const KernelArguments& arguments) override {
    const float factor = arguments.in(2)[0] * scale_;
    const float* const probabilities = arguments.in(0);
    const float* const targets = arguments.in(1);
    float* const dx = arguments.out(0);
    for_each_row(rows_, [=, this](std::int64_t row) {
      const std::int64_t first = row * classes_;
      double weight = 0;
      for (std::int64_t c = 0; c < classes_; ++c) weight += static_cast<double>(targets[first + c]);
      const auto total = static_cast<float>(weight);
      for (std::int64_t c = 0; c < classes_; ++c) {
        dx[first + c] = factor * (probabilities[first + c] * total - targets[first + c]);
      }
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t classes_;
  float scale_;
};

class BinaryCounts final : public Kernel {
 public:
  BinaryCounts(double threshold, std::int64_t count) : threshold_(static_cast<float>(threshold)), count_(count) {}
  void run(const KernelArguments& arguments) override {
    std::int64_t counts[2][2] = {};
    for (std::int64_t i = 0; i < count_; ++i) {
      const bool predicted = arguments.in(0)[i] > threshold_;
      const bool is = arguments.in(1)[i] > 0.5F;
      ++counts[predicted ? 1 : 0][is ? 1 : 0];
    }
    float* const y = arguments.out(0);
    y[0] = static_cast<float>(counts[1][1]);
    y[1] = static_cast<float>(counts[1][0]);
    y[2] = static_cast<float>(counts[0][1]);
    y[3] = static_cast<float>(counts[0][0]);
  }

 private:
  float threshold_;
  std::int64_t count_;
};

class SumOfSquares final : public Kernel {
 public:
  explicit SumOfSquares(std::int64_t count) : count_(count) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return block_bytes(count_); }
  void run(const KernelArguments& arguments) override {
    const float* const x = arguments.in(0);
    arguments.out(0)[0] =
        static_cast<float>(block_sum(count_, static_cast<double*>(arguments.scratch), [=](std::int64_t i) {
          return static_cast<double>(x[i]) * static_cast<double>(x[i]);
        }));
  }

 private:
  std::int64_t count_;
};

class ClipByValue final : public Kernel {
 public:
  ClipByValue(double limit, std::int64_t count) : clip_{static_cast<float>(limit)}, count_(count) {}
  void run(const KernelArguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    for_each_element(count_, [=, clip = clip_](std::int64_t i) { y[i] = clip(x[i]); });
  }

 private:
  elementwise::Clip clip_;
  std::int64_t count_;
};

class ClipByNorm final : public Kernel {
 public:
  ClipByNorm(double limit, std::int64_t count) : limit_(limit), count_(count) {}
  void run(const KernelArguments& arguments) override {
    const double norm = std::sqrt(static_cast<double>(arguments.in(1)[0]));
    const auto factor = static_cast<float>(std::min(1.0, limit_ / (norm + 1e-6)));
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    for_each_element(count_, [=](std::int64_t i) { y[i] = factor * x[i]; });
  }

 private:
  double limit_;
  std::int64_t count_;
};

template <class Function>
KernelPointer make_loss(NodeBuilder& builder, Function function, bool backward) {
  read_all_plain(builder);
  const double scale = builder.op().attributes.real("scale");
  const std::int64_t count = builder.input_type(0).shape.elements();
  if (backward) return std::make_unique<LossBackward<Function>>(function, scale, count);
  return std::make_unique<Loss<Function>>(function, scale, count);
}

// Over the input's own layout: padding is zero and stays it.
Layout same_layout(NodeBuilder& builder) {
  const Layout layout = builder.input_layout(0);
  builder.read(0, layout);
  return layout;
}

}  // namespace

KernelPointer make_elementwise_loss(NodeBuilder& builder) {
  std::string type = builder.op().type;
  constexpr std::string_view kBackward = "_backward";
  const bool backward = type.ends_with(kBackward);
  if (backward) type.resize(type.size() - kBackward.size());
  if (type == "squared_error") return make_loss(builder, elementwise::SquaredError{}, backward);
  if (type == "absolute_error") return make_loss(builder, elementwise::AbsoluteError{}, backward);
  if (type == "huber") return make_loss(builder, elementwise::Huber{builder.op().attributes.real("delta")}, backward);
  if (type == "binary_cross_entropy") return make_loss(builder, elementwise::BinaryCrossEntropy{}, backward);
  return make_loss(builder, elementwise::BinaryCrossEntropyWithLogits{}, backward);
}

KernelPointer make_categorical_cross_entropy(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<CategoricalCrossEntropy>(builder.input_type(0).shape, builder.op().attributes.real("scale"));
}

KernelPointer make_categorical_cross_entropy_backward(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<CategoricalCrossEntropyBackward>(builder.input_type(0).shape,
                                                           builder.op().attributes.real("scale"));
}

KernelPointer make_binary_counts(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<BinaryCounts>(builder.op().attributes.real("threshold"),
                                        builder.input_type(0).shape.elements());
}

KernelPointer make_sum_of_squares(NodeBuilder& builder) {
  const Layout layout = same_layout(builder);
  builder.write_plain(0);
  return std::make_unique<SumOfSquares>(layout.stored_elements());
}

KernelPointer make_clip_by_value(NodeBuilder& builder) {
  const Layout layout = same_layout(builder);
  builder.write(0, layout);
  return std::make_unique<ClipByValue>(builder.op().attributes.real("limit"), layout.stored_elements());
}

KernelPointer make_clip_by_norm(NodeBuilder& builder) {
  const Layout layout = same_layout(builder);
  builder.read_plain(1);
  builder.write(0, layout);
  return std::make_unique<ClipByNorm>(builder.op().attributes.real("limit"), layout.stored_elements());
}

}  // namespace skua::cpu
