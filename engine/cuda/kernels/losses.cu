// Losses and counts. Sums in double.
#include <cmath>

#include "checks.h"
#include "kernels.h"
#include "scratch.h"
#include "skua/engine/elementwise.h"
#include "softmax_rows.h"
#include "sums.h"

namespace skua::cuda {

namespace {

template <class Function>
class Loss final : public Kernel {
 public:
  Loss(Function function, double scale, std::int64_t count) : function_(function), scale_(scale), count_(count) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return sum_bytes<double>(count_); }
  void submit(const Arguments& arguments) override {
    const float* const prediction = arguments.in(0);
    const float* const target = arguments.in(1);
    float* const loss = arguments.out(0);
    const Function function = function_;
    const double scale = scale_;
    sum_all<double>(
        arguments.stream, count_, arguments.scratch,
        [=] SKUA_DEVICE(std::int64_t i) {
          return function.loss(static_cast<double>(prediction[i]), static_cast<double>(target[i]));
        },
        [=] SKUA_DEVICE(double sum) { loss[0] = static_cast<float>(scale * sum); });
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
  void submit(const Arguments& arguments) override {
    const float* const prediction = arguments.in(0);
    const float* const target = arguments.in(1);
    const float* const dloss = arguments.in(2);
    float* const dx = arguments.out(0);
    const Function function = function_;
    const float scale = scale_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) {
      dx[i] = dloss[0] * scale * function.derivative(prediction[i], target[i]);
    });
  }

 private:
  Function function_;
  float scale_;
  std::int64_t count_;
};

template <template <class> class LossKernel>
KernelPointer make_loss(const NodeView& node, const std::string& type) {
  const double scale = node.op.attributes.real("scale");
  const std::int64_t count = node.inputs[0].shape.elements();
  const auto make = [&](auto function) -> KernelPointer {
    return std::make_unique<LossKernel<decltype(function)>>(function, scale, count);
  };
  if (type == "squared_error") return make(elementwise::SquaredError{});
  if (type == "absolute_error") return make(elementwise::AbsoluteError{});
  if (type == "huber") return make(elementwise::Huber{node.op.attributes.real("delta")});
  if (type == "binary_cross_entropy") return make(elementwise::BinaryCrossEntropy{});
  return make(elementwise::BinaryCrossEntropyWithLogits{});
}

// Logits (rows,classes) and labels, which are checked. What a row gives lies in scratch, and then its sum's parts.
class LabelledRows : public Kernel {
 public:
  explicit LabelledRows(const Shape& logits) : rows_(logits.rows()), classes_(logits.last()) {
    results_ = scratch_.add(static_cast<std::size_t>(rows_) * sizeof(double));
    parts_ = scratch_.add(sum_bytes<double>(rows_));
  }
  [[nodiscard]] std::size_t scratch_bytes() const override { return scratch_.bytes(); }
  [[nodiscard]] bool finds_faults() const final { return true; }
  [[nodiscard]] std::string describe(const Fault& fault) const final { return describe_label(fault, classes_); }

  // y[0] = scale times the sum of the rows' results
  void sum_results(const Arguments& arguments, double scale, float* y) const {
    const double* const results = this->results(arguments);
    sum_all<double>(
        arguments.stream, rows_, piece(arguments.scratch, parts_),
        [=] SKUA_DEVICE(std::int64_t row) { return results[row]; },
        [=] SKUA_DEVICE(double sum) { y[0] = static_cast<float>(scale * sum); });
  }

 protected:
  void check_labels(const Arguments& arguments) const { check_range(arguments, arguments.in_ints(1), rows_, classes_); }
  [[nodiscard]] double* results(const Arguments& arguments) const {
    return static_cast<double*>(piece(arguments.scratch, results_));
  }
  [[nodiscard]] std::int64_t rows() const { return rows_; }
  [[nodiscard]] std::int64_t classes() const { return classes_; }

 private:
  std::int64_t rows_;
  std::int64_t classes_;
  Scratch scratch_;
  std::size_t results_;
  std::size_t parts_;
};

SKUA_HOST_DEVICE bool is_label(std::int32_t label, std::int64_t classes) {
  return label >= 0 && label < classes;
}

class SoftmaxCrossEntropy final : public LabelledRows {
 public:
  SoftmaxCrossEntropy(const Shape& logits, double scale) : LabelledRows(logits), scale_(scale) {}
  void submit(const Arguments& arguments) override {
    check_labels(arguments);
    const float* const logits = arguments.in(0);
    const std::int32_t* const labels = arguments.in_ints(1);
    float* const probabilities = arguments.out(1);
    double* const losses = results(arguments);
    const std::int64_t count = classes();
    for_each_row(arguments.stream, rows(), count, [=] SKUA_DEVICE(std::int64_t row, const Block& block) {
      const float* const x = logits + row * count;
      const elementwise::LogSum log_sum = softmax_row(block, x, count, probabilities + row * count);
      if (block.first()) losses[row] = is_label(labels[row], count) ? log_sum.minus_log_of(x[labels[row]]) : 0.0;
    });
    sum_results(arguments, scale_, arguments.out(0));
  }

 private:
  double scale_;
};

class SoftmaxCrossEntropyBackward final : public LabelledRows {
 public:
  SoftmaxCrossEntropyBackward(const Shape& logits, double scale)
      : LabelledRows(logits), scale_(static_cast<float>(scale)) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return 0; }
  void submit(const Arguments& arguments) override {
    check_labels(arguments);
    const float* const p = arguments.in(0);
    const std::int32_t* const labels = arguments.in_ints(1);
    const float* const dloss = arguments.in(2);
    float* const dx = arguments.out(0);
    const float scale = scale_;
    const std::int64_t count = classes();
    for_each(arguments.stream, rows() * count, [=] SKUA_DEVICE(std::int64_t i) {
      const float factor = dloss[0] * scale;
      dx[i] = factor * (i % count == labels[i / count] ? p[i] - 1.0F : p[i]);
    });
  }

 private:
  float scale_;
};

// Rows whose label has fewer than k logits before it, larger or equal and earlier.
class CountTopK final : public LabelledRows {
 public:
  CountTopK(const Shape& logits, std::int64_t k) : LabelledRows(logits), k_(k) {}
  void submit(const Arguments& arguments) override {
    check_labels(arguments);
    const float* const logits = arguments.in(0);
    const std::int32_t* const labels = arguments.in_ints(1);
    double* const correct = results(arguments);
    const std::int64_t count = classes();
    const std::int64_t k = k_;
    for_each_row(arguments.stream, rows(), count, [=] SKUA_DEVICE(std::int64_t row, const Block& block) {
      const float* const x = logits + row * count;
      const std::int32_t label = is_label(labels[row], count) ? labels[row] : 0;
      const std::int64_t before = block.reduce(
          count, std::int64_t{0},
          [=](std::int64_t c) -> std::int64_t { return x[c] > x[label] || (x[c] == x[label] && c < label) ? 1 : 0; },
          Plus());
      if (block.first()) correct[row] = before < k ? 1.0 : 0.0;
    });
    sum_results(arguments, 1, arguments.out(0));
  }

 private:
  std::int64_t k_;
};

struct Candidate {
  float value;
  std::int64_t index;
};
// The larger, of equals the earlier; a NaN loses to everything.
struct Better {
  SKUA_HOST_DEVICE Candidate operator()(const Candidate& a, const Candidate& b) const {
    const bool other =
        b.value > a.value || (a.value != a.value && b.value == b.value) || (b.value == a.value && b.index < a.index);
    return other ? b : a;
  }
};

class CountCorrect final : public LabelledRows {
 public:
  using LabelledRows::LabelledRows;
  void submit(const Arguments& arguments) override {
    check_labels(arguments);
    const float* const logits = arguments.in(0);
    const std::int32_t* const labels = arguments.in_ints(1);
    double* const correct = results(arguments);
    const std::int64_t count = classes();
    for_each_row(arguments.stream, rows(), count, [=] SKUA_DEVICE(std::int64_t row, const Block& block) {
      const float* const x = logits + row * count;
      const Candidate best = block.reduce(
          count, Candidate{x[0], 0},
          [=](std::int64_t c) {
            return Candidate{x[c], c};
          },
          Better());
      const std::int64_t first = x[0] == x[0] ? best.index : 0;  // nothing is larger than a NaN in front
      if (block.first()) correct[row] = first == labels[row] ? 1.0 : 0.0;
    });
    sum_results(arguments, 1, arguments.out(0));
  }
};

class CategoricalCrossEntropy final : public Kernel {
 public:
  CategoricalCrossEntropy(const Shape& shape, double scale) : rows_(shape[0]), classes_(shape[1]), scale_(scale) {
    losses_ = scratch_.add(static_cast<std::size_t>(rows_) * sizeof(double));
    parts_ = scratch_.add(sum_bytes<double>(rows_));
  }
  [[nodiscard]] std::size_t scratch_bytes() const override { return scratch_.bytes(); }
  void submit(const Arguments& arguments) override {
    const float* const logits = arguments.in(0);
    const float* const targets = arguments.in(1);
    float* const loss = arguments.out(0);
    float* const probabilities = arguments.out(1);
    auto* const losses = static_cast<double*>(piece(arguments.scratch, losses_));
    const std::int64_t count = classes_;
    const double scale = scale_;
    for_each_row(arguments.stream, rows_, count, [=] SKUA_DEVICE(std::int64_t row, const Block& block) {
      const float* const x = logits + row * count;
      const float* const t = targets + row * count;
      const elementwise::LogSum log_sum = softmax_row(block, x, count, probabilities + row * count);
      const double sum = block.reduce(
          count, 0.0,
          [=](std::int64_t c) { return t[c] != 0 ? static_cast<double>(t[c]) * log_sum.minus_log_of(x[c]) : 0.0; },
          Plus());
      if (block.first()) losses[row] = sum;
    });
    sum_all<double>(
        arguments.stream, rows_, piece(arguments.scratch, parts_),
        [=] SKUA_DEVICE(std::int64_t row) { return losses[row]; },
        [=] SKUA_DEVICE(double sum) { loss[0] = static_cast<float>(scale * sum); });
  }

 private:
  std::int64_t rows_;
  std::int64_t classes_;
  double scale_;
  Scratch scratch_;
  std::size_t losses_;
  std::size_t parts_;
};

class CategoricalCrossEntropyBackward final : public Kernel {
 public:
  CategoricalCrossEntropyBackward(const Shape& shape, double scale)
      : rows_(shape[0]), classes_(shape[1]), scale_(static_cast<float>(scale)) {}
  void submit(const Arguments& arguments) override {
    const float* const probabilities = arguments.in(0);
    const float* const targets = arguments.in(1);
    const float* const dloss = arguments.in(2);
    float* const dx = arguments.out(0);
    const std::int64_t count = classes_;
    const float scale = scale_;
    for_each_row(arguments.stream, rows_, count, [=] SKUA_DEVICE(std::int64_t row, const Block& block) {
      const float factor = dloss[0] * scale;
      const float* const p = probabilities + row * count;
      const float* const t = targets + row * count;
      const auto total = static_cast<float>(block.reduce(
          count, 0.0, [=](std::int64_t c) { return static_cast<double>(t[c]); }, Plus()));
      block.each(count, [=](std::int64_t c) { dx[row * count + c] = factor * (p[c] * total - t[c]); });
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t classes_;
  float scale_;
};

// Of predictions: that are right and positive, wrong and positive, wrong and negative, right and negative.
struct Counts {
  std::int64_t of[4];

  SKUA_HOST_DEVICE Counts operator+(const Counts& other) const {
    return {{of[0] + other.of[0], of[1] + other.of[1], of[2] + other.of[2], of[3] + other.of[3]}};
  }
};

class BinaryCounts final : public Kernel {
 public:
  BinaryCounts(double threshold, std::int64_t count) : threshold_(static_cast<float>(threshold)), count_(count) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return sum_bytes<Counts>(count_); }
  void submit(const Arguments& arguments) override {
    const float* const prediction = arguments.in(0);
    const float* const target = arguments.in(1);
    float* const y = arguments.out(0);
    const float threshold = threshold_;
    sum_all<Counts>(
        arguments.stream, count_, arguments.scratch,
        [=] SKUA_DEVICE(std::int64_t i) {
          const bool predicted = prediction[i] > threshold;
          const bool is = target[i] > 0.5F;
          return Counts{{predicted && is, predicted && !is, !predicted && is, !predicted && !is}};
        },
        [=] SKUA_DEVICE(const Counts& counts) {
          for (int k = 0; k < 4; ++k) y[k] = static_cast<float>(counts.of[k]);
        });
  }

 private:
  float threshold_;
  std::int64_t count_;
};

double scale_of(const NodeView& node) {
  return node.op.attributes.real("scale");
}

}  // namespace

KernelPointer make_elementwise_loss(const NodeView& node) {
  return make_loss<Loss>(node, node.op.type);
}
KernelPointer make_elementwise_loss_backward(const NodeView& node) {
  constexpr std::string_view kBackward = "_backward";
  return make_loss<LossBackward>(node, node.op.type.substr(0, node.op.type.size() - kBackward.size()));
}

KernelPointer make_softmax_cross_entropy(const NodeView& node) {
  return std::make_unique<SoftmaxCrossEntropy>(node.inputs[0].shape, scale_of(node));
}
KernelPointer make_softmax_cross_entropy_backward(const NodeView& node) {
  return std::make_unique<SoftmaxCrossEntropyBackward>(node.inputs[0].shape, scale_of(node));
}
KernelPointer make_categorical_cross_entropy(const NodeView& node) {
  return std::make_unique<CategoricalCrossEntropy>(node.inputs[0].shape, scale_of(node));
}
KernelPointer make_categorical_cross_entropy_backward(const NodeView& node) {
  return std::make_unique<CategoricalCrossEntropyBackward>(node.inputs[0].shape, scale_of(node));
}

KernelPointer make_count_correct(const NodeView& node) {
  return std::make_unique<CountCorrect>(node.inputs[0].shape);
}
KernelPointer make_count_top_k(const NodeView& node) {
  return std::make_unique<CountTopK>(node.inputs[0].shape, node.op.attributes.integer("k"));
}
KernelPointer make_binary_counts(const NodeView& node) {
  return std::make_unique<BinaryCounts>(node.op.attributes.real("threshold"), node.inputs[0].shape.elements());
}

}  // namespace skua::cuda
