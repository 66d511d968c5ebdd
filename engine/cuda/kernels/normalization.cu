// Batch norm and layer norm. Sums in double.
#include <cmath>

#include "kernels.h"
#include "scratch.h"
#include "skua/engine/elementwise.h"
#include "sums.h"

namespace skua::cuda {

namespace {

// x (N,C,inner).
struct Channels {
  std::int64_t samples;
  std::int64_t channels;
  std::int64_t inner;

  explicit Channels(const Shape& x) : samples(x[0]), channels(x[1]), inner(x.elements() / (x[0] * x[1])) {}

  [[nodiscard]] SKUA_HOST_DEVICE std::int64_t count() const { return samples * inner; }  // of a channel
  // Of element i of a channel.
  [[nodiscard]] SKUA_HOST_DEVICE std::int64_t at(std::int64_t channel, std::int64_t i) const {
    return (i / inner * channels + channel) * inner + i % inner;
  }
};

class BatchNorm final : public Kernel {
 public:
  BatchNorm(const Shape& x, double epsilon) : size_(x), epsilon_(epsilon) {}
  void submit(const Arguments& a) override {
    const float* const x = a.in(0);
    const float* const weight = a.in(1);
    const float* const bias = a.in(2);
    float* const y = a.out(0);
    float* const means = a.out(1);
    float* const inverses = a.out(2);
    float* const batch_means = a.out(3);
    float* const batch_variances = a.out(4);
    const Channels size = size_;
    const double epsilon = epsilon_;
    for_each_row(a.stream, size.channels, size.count(), [=] SKUA_DEVICE(std::int64_t c, const Block& block) {
      const auto count = static_cast<double>(size.count());
      const auto value = [=](std::int64_t i) { return static_cast<double>(x[size.at(c, i)]); };
      const double mean = block.reduce(size.count(), 0.0, value, Plus()) / count;
      const auto square = [=](std::int64_t i) { return (value(i) - mean) * (value(i) - mean); };
      const double squares = block.reduce(size.count(), 0.0, square, Plus());
      const double inverse = 1 / sqrt(squares / count + epsilon);
      const double scale = inverse * static_cast<double>(weight[c]);
      const auto factor = static_cast<float>(scale);
      const auto shift = static_cast<float>(static_cast<double>(bias[c]) - mean * scale);
      block.each(size.count(), [=](std::int64_t i) {
        const std::int64_t at = size.at(c, i);
        y[at] = factor * x[at] + shift;
      });
      if (!block.first()) return;
      means[c] = batch_means[c] = static_cast<float>(mean);
      inverses[c] = static_cast<float>(inverse);
      batch_variances[c] = static_cast<float>(count > 1 ? squares / (count - 1) : squares / count);
    });
  }

 private:
  Channels size_;
  double epsilon_;
};

struct TwoSums {
  double plain;
  double product;

  SKUA_HOST_DEVICE TwoSums operator+(const TwoSums& other) const {
    return {plain + other.plain, product + other.product};
  }
};

// dx = w s (dy - mean(dy) - z mean(dy z)) with z = (x - mean) s: Ioffe and Szegedy, ICML 2015.
class BatchNormBackward final : public Kernel {
 public:
  explicit BatchNormBackward(const Shape& x) : size_(x) {}
  void submit(const Arguments& a) override {
    const float* const x = a.in(0);
    const float* const weight = a.in(1);
    const float* const means = a.in(2);
    const float* const inverses = a.in(3);
    const float* const dy = a.in(4);
    float* const dx = a.out(0);
    float* const dweight = a.out(1);
    float* const dbias = a.out(2);
    const Channels size = size_;
    for_each_row(a.stream, size.channels, size.count(), [=] SKUA_DEVICE(std::int64_t c, const Block& block) {
      const auto count = static_cast<double>(size.count());
      const auto mean = static_cast<double>(means[c]);
      const auto inverse = static_cast<double>(inverses[c]);
      const auto term = [=](std::int64_t i) {
        const std::int64_t at = size.at(c, i);
        const auto g = static_cast<double>(dy[at]);
        return TwoSums{g, g * ((static_cast<double>(x[at]) - mean) * inverse)};
      };
      const TwoSums sums = block.reduce(size.count(), TwoSums{}, term, Plus());
      const double scale = static_cast<double>(weight[c]) * inverse;
      const double mean_dy = sums.plain / count;
      const double slope = sums.product / count * inverse;
      block.each(size.count(), [=](std::int64_t i) {
        const std::int64_t at = size.at(c, i);
        dx[at] = static_cast<float>(
            scale * (static_cast<double>(dy[at]) - mean_dy - (static_cast<double>(x[at]) - mean) * slope));
      });
      if (!block.first()) return;
      dweight[c] = static_cast<float>(sums.product);
      dbias[c] = static_cast<float>(sums.plain);
    });
  }

 private:
  Channels size_;
};

class BatchNormInference final : public Kernel {
 public:
  BatchNormInference(const Shape& x, double epsilon) : size_(x), epsilon_(epsilon) {}
  void submit(const Arguments& a) override {
    const float* const x = a.in(0);
    const float* const weight = a.in(1);
    const float* const bias = a.in(2);
    const float* const means = a.in(3);
    const float* const variances = a.in(4);
    float* const y = a.out(0);
    const Channels size = size_;
    const double epsilon = epsilon_;
    for_each(a.stream, size.channels * size.count(), [=] SKUA_DEVICE(std::int64_t i) {
      const std::int64_t c = i / size.inner % size.channels;
      const double scale = static_cast<double>(weight[c]) / sqrt(static_cast<double>(variances[c]) + epsilon);
      const auto shift = static_cast<float>(static_cast<double>(bias[c]) - static_cast<double>(means[c]) * scale);
      y[i] = static_cast<float>(scale) * x[i] + shift;
    });
  }

 private:
  Channels size_;
  double epsilon_;
};

class LayerNorm final : public Kernel {
 public:
  LayerNorm(std::int64_t rows, std::int64_t width, double epsilon) : rows_(rows), width_(width), epsilon_(epsilon) {}
  void submit(const Arguments& a) override {
    const float* const all_x = a.in(0);
    const float* const weight = a.in(1);
    const float* const bias = a.in(2);
    float* const all_y = a.out(0);
    float* const means = a.out(1);
    float* const inverses = a.out(2);
    const std::int64_t width = width_;
    const double epsilon = epsilon_;
    for_each_row(a.stream, rows_, width, [=] SKUA_DEVICE(std::int64_t row, const Block& block) {
      const float* const x = all_x + row * width;
      float* const y = all_y + row * width;
      const auto count = static_cast<double>(width);
      const auto value = [=](std::int64_t i) { return static_cast<double>(x[i]); };
      const double mean = block.reduce(width, 0.0, value, Plus()) / count;
      const auto square = [=](std::int64_t i) { return (value(i) - mean) * (value(i) - mean); };
      const double inverse = 1 / sqrt(block.reduce(width, 0.0, square, Plus()) / count + epsilon);
      block.each(width, [=](std::int64_t i) {
        const double z = (value(i) - mean) * inverse;
        y[i] = static_cast<float>(z * static_cast<double>(weight[i]) + static_cast<double>(bias[i]));
      });
      if (!block.first()) return;
      means[row] = static_cast<float>(mean);
      inverses[row] = static_cast<float>(inverse);
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t width_;
  double epsilon_;
};

// As batch norm's, along rows.
class LayerNormBackward final : public Kernel {
 public:
  LayerNormBackward(std::int64_t rows, std::int64_t width) : rows_(rows), width_(width) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return column_sum_bytes<TwoSums>(rows_, width_); }
  void submit(const Arguments& a) override {
    submit_dx(a);
    const float* const x = a.in(0);
    const float* const means = a.in(2);
    const float* const inverses = a.in(3);
    const float* const dy = a.in(4);
    float* const dweight = a.out(1);
    float* const dbias = a.out(2);
    const std::int64_t width = width_;
    sum_columns<TwoSums>(
        a.stream, rows_, width, a.scratch,
        [=] SKUA_DEVICE(std::int64_t row, std::int64_t column) {
          const std::int64_t at = row * width + column;
          const auto g = static_cast<double>(dy[at]);
          const double distance = static_cast<double>(x[at]) - static_cast<double>(means[row]);
          return TwoSums{g, g * (distance * static_cast<double>(inverses[row]))};
        },
        [=] SKUA_DEVICE(std::int64_t column, const TwoSums& sums) {
          dweight[column] = static_cast<float>(sums.product);
          dbias[column] = static_cast<float>(sums.plain);
        });
  }

  void submit_dx(const Arguments& a) const {
    const float* const x = a.in(0);
    const float* const weight = a.in(1);
    const float* const means = a.in(2);
    const float* const inverses = a.in(3);
    const float* const dy = a.in(4);
    float* const dx = a.out(0);
    const std::int64_t width = width_;
    for_each_row(a.stream, rows_, width, [=] SKUA_DEVICE(std::int64_t row, const Block& block) {
      const std::int64_t first = row * width;
      const auto mean = static_cast<double>(means[row]);
      const auto inverse = static_cast<double>(inverses[row]);
      const auto gradient = [=](std::int64_t i) {
        return static_cast<double>(dy[first + i]) * static_cast<double>(weight[i]);
      };
      const auto z = [=](std::int64_t i) { return (static_cast<double>(x[first + i]) - mean) * inverse; };
      const auto term = [=](std::int64_t i) { return TwoSums{gradient(i), gradient(i) * z(i)}; };
      const TwoSums sums = block.reduce(width, TwoSums{}, term, Plus());
      const double plain = sums.plain / static_cast<double>(width);
      const double product = sums.product / static_cast<double>(width);
      block.each(width, [=](std::int64_t i) {
        dx[first + i] = static_cast<float>(inverse * (gradient(i) - plain - z(i) * product));
      });
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t width_;
};

double epsilon_of(const NodeView& node) {
  return node.op.attributes.real("epsilon");
}

}  // namespace

KernelPointer make_batch_norm(const NodeView& node) {
  return std::make_unique<BatchNorm>(node.inputs[0].shape, epsilon_of(node));
}
KernelPointer make_batch_norm_backward(const NodeView& node) {
  return std::make_unique<BatchNormBackward>(node.inputs[0].shape);
}
KernelPointer make_batch_norm_inference(const NodeView& node) {
  return std::make_unique<BatchNormInference>(node.inputs[0].shape, epsilon_of(node));
}

KernelPointer make_layer_norm(const NodeView& node) {
  const std::int64_t width = node.inputs[1].shape[0];
  return std::make_unique<LayerNorm>(node.inputs[0].shape.elements() / width, width, epsilon_of(node));
}
KernelPointer make_layer_norm_backward(const NodeView& node) {
  const std::int64_t width = node.inputs[1].shape[0];
  return std::make_unique<LayerNormBackward>(node.inputs[0].shape.elements() / width, width);
}

}  // namespace skua::cuda
