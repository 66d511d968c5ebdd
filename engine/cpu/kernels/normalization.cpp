// Batch norm and layer norm over plain arrays. Sums in double, in an order fixed by the shapes.
#include <cmath>

#include "../parallel.h"
#include "kernels.h"

namespace skua::cpu {

namespace {

// x (N,C,inner).
struct Channels {
  std::int64_t samples;
  std::int64_t channels;
  std::int64_t inner;

  explicit Channels(const Shape& x) : samples(x[0]), channels(x[1]), inner(x.elements() / (x[0] * x[1])) {}

  // action(offset of a run, its length) for each run of a channel.
  template <class Action>
  void for_each_run(std::int64_t channel, Action action) const {
    for (std::int64_t n = 0; n < samples; ++n) action((n * channels + channel) * inner);
  }
  [[nodiscard]] double count() const { return static_cast<double>(samples * inner); }
};

class BatchNorm final : public Kernel {
 public:
  BatchNorm(const Shape& x, double epsilon) : size_(x), epsilon_(epsilon) {}
  void run(const KernelArguments& a) override {
    for_each_row(size_.channels, [&, x = a.in(0), y = a.out(0)](std::int64_t c) {
      double sum = 0;
      size_.for_each_run(c, [&](std::int64_t at) {
        for (std::int64_t i = at; i < at + size_.inner; ++i) sum += static_cast<double>(x[i]);
      });
      const double mean = sum / size_.count();
      double squares = 0;
      size_.for_each_run(c, [&](std::int64_t at) {
        for (std::int64_t i = at; i < at + size_.inner; ++i) {
          const double distance = static_cast<double>(x[i]) - mean;
          squares += distance * distance;
        }
      });
      const double variance = squares / size_.count();
      const double inverse = 1 / std::sqrt(variance + epsilon_);
      const double scale = inverse * static_cast<double>(a.in(1)[c]);
      const auto factor = static_cast<float>(scale);
      const auto shift = static_cast<float>(static_cast<double>(a.in(2)[c]) - mean * scale);
      size_.for_each_run(c, [&](std::int64_t at) {
        for (std::int64_t i = at; i < at + size_.inner; ++i) y[i] = factor * x[i] + shift;
      });
      a.out(1)[c] = static_cast<float>(mean);
      a.out(2)[c] = static_cast<float>(inverse);
      a.out(3)[c] = static_cast<float>(mean);
      a.out(4)[c] = static_cast<float>(size_.count() > 1 ? squares / (size_.count() - 1) : variance);
    });
  }

 private:
  Channels size_;
  double epsilon_;
};

// dx = w s (dy - mean(dy) - z mean(dy z)) with z = (x - mean) s: Ioffe and Szegedy, ICML 2015.
class BatchNormBackward final : public Kernel {
 public:
  explicit BatchNormBackward(const Shape& x) : size_(x) {}
  void run(const KernelArguments& a) override {
    for_each_row(size_.channels, [&, x = a.in(0), dy = a.in(4), dx = a.out(0)](std::int64_t c) {
      const auto mean = static_cast<double>(a.in(2)[c]);
      const auto inverse = static_cast<double>(a.in(3)[c]);
      double sum = 0;
      double product = 0;
      size_.for_each_run(c, [&](std::int64_t at) {
        for (std::int64_t i = at; i < at + size_.inner; ++i) {
          sum += static_cast<double>(dy[i]);
          product += static_cast<double>(dy[i]) * ((static_cast<double>(x[i]) - mean) * inverse);
        }
      });
      const double scale = static_cast<double>(a.in(1)[c]) * inverse;
      const double mean_dy = sum / size_.count();
      const double slope = product / size_.count() * inverse;
      size_.for_each_run(c, [&](std::int64_t at) {
        for (std::int64_t i = at; i < at + size_.inner; ++i) {
          dx[i] = static_cast<float>(
              scale * (static_cast<double>(dy[i]) - mean_dy - (static_cast<double>(x[i]) - mean) * slope));
        }
      });
      a.out(1)[c] = static_cast<float>(product);
      a.out(2)[c] = static_cast<float>(sum);
    });
  }

 private:
  Channels size_;
};

class BatchNormInference final : public Kernel {
 public:
  BatchNormInference(const Shape& x, double epsilon) : size_(x), epsilon_(epsilon) {}
  void run(const KernelArguments& a) override {
    for_each_row(size_.channels, [&, x = a.in(0), y = a.out(0)](std::int64_t c) {
      const double scale = static_cast<double>(a.in(1)[c]) / std::sqrt(static_cast<double>(a.in(4)[c]) + epsilon_);
      const auto factor = static_cast<float>(scale);
      const auto shift = static_cast<float>(static_cast<double>(a.in(2)[c]) - static_cast<double>(a.in(3)[c]) * scale);
      size_.for_each_run(c, [&](std::int64_t at) {
        for (std::int64_t i = at; i < at + size_.inner; ++i) y[i] = factor * x[i] + shift;
      });
    });
  }

 private:
  Channels size_;
  double epsilon_;
};

class LayerNorm final : public Kernel {
 public:
  LayerNorm(std::int64_t rows, std::int64_t width, double epsilon) : rows_(rows), width_(width), epsilon_(epsilon) {}
  void run(const KernelArguments& a) override {
    for_each_row(rows_, [&, this](std::int64_t row) {
      const float* const x = a.in(0) + row * width_;
      float* const y = a.out(0) + row * width_;
      double sum = 0;
      for (std::int64_t i = 0; i < width_; ++i) sum += static_cast<double>(x[i]);
      const double mean = sum / static_cast<double>(width_);
      double squares = 0;
      for (std::int64_t i = 0; i < width_; ++i) {
        const double distance = static_cast<double>(x[i]) - mean;
        squares += distance * distance;
      }
      const double inverse = 1 / std::sqrt(squares / static_cast<double>(width_) + epsilon_);
      for (std::int64_t i = 0; i < width_; ++i) {
        const double z = (static_cast<double>(x[i]) - mean) * inverse;
        y[i] = static_cast<float>(z * static_cast<double>(a.in(1)[i]) + static_cast<double>(a.in(2)[i]));
      }
      a.out(1)[row] = static_cast<float>(mean);
      a.out(2)[row] = static_cast<float>(inverse);
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t width_;
  double epsilon_;
};

// As batch norm's, along rows; the sums over rows are one thread's, in order.
class LayerNormBackward final : public Kernel {
 public:
  LayerNormBackward(std::int64_t rows, std::int64_t width) : rows_(rows), width_(width) {}
  [[nodiscard]] std::size_t scratch_bytes() const override {
    return 2 * static_cast<std::size_t>(width_) * sizeof(double);
  }
  void run(const KernelArguments& a) override {
    for_each_row(rows_, [&, this](std::int64_t row) { run_row(a, row); });
    auto* const dweight = static_cast<double*>(a.scratch);
    double* const dbias = dweight + width_;
    std::fill(dweight, dweight + 2 * width_, 0.0);
    for (std::int64_t row = 0; row < rows_; ++row) {
      const auto mean = static_cast<double>(a.in(2)[row]);
      const auto inverse = static_cast<double>(a.in(3)[row]);
      const float* const x = a.in(0) + row * width_;
      const float* const dy = a.in(4) + row * width_;
      for (std::int64_t i = 0; i < width_; ++i) {
        dweight[i] += static_cast<double>(dy[i]) * ((static_cast<double>(x[i]) - mean) * inverse);
        dbias[i] += static_cast<double>(dy[i]);
      }
    }
    for (std::int64_t i = 0; i < width_; ++i) {
      a.out(1)[i] = static_cast<float>(dweight[i]);
      a.out(2)[i] = static_cast<float>(dbias[i]);
    }
  }

 private:
  void run_row(const KernelArguments& a, std::int64_t row) const {
    const auto mean = static_cast<double>(a.in(2)[row]);
    const auto inverse = static_cast<double>(a.in(3)[row]);
    const float* const x = a.in(0) + row * width_;
    const float* const dy = a.in(4) + row * width_;
    float* const dx = a.out(0) + row * width_;
    double sum = 0;
    double product = 0;
    for (std::int64_t i = 0; i < width_; ++i) {
      const double g = static_cast<double>(dy[i]) * static_cast<double>(a.in(1)[i]);
      sum += g;
      product += g * ((static_cast<double>(x[i]) - mean) * inverse);
    }
    sum /= static_cast<double>(width_);
    product /= static_cast<double>(width_);
    for (std::int64_t i = 0; i < width_; ++i) {
      const double g = static_cast<double>(dy[i]) * static_cast<double>(a.in(1)[i]);
      const double z = (static_cast<double>(x[i]) - mean) * inverse;
      dx[i] = static_cast<float>(inverse * (g - sum - z * product));
    }
  }

  std::int64_t rows_;
  std::int64_t width_;
};

double epsilon_of(const NodeBuilder& builder) {
  return builder.op().attributes.real("epsilon");
}

}  // namespace

KernelPointer make_batch_norm(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<BatchNorm>(builder.input_type(0).shape, epsilon_of(builder));
}

KernelPointer make_batch_norm_backward(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<BatchNormBackward>(builder.input_type(0).shape);
}

KernelPointer make_batch_norm_inference(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<BatchNormInference>(builder.input_type(0).shape, epsilon_of(builder));
}

KernelPointer make_layer_norm(NodeBuilder& builder) {
  read_all_plain(builder);
  const std::int64_t width = builder.input_type(1).shape[0];
  return std::make_unique<LayerNorm>(builder.input_type(0).shape.elements() / width, width, epsilon_of(builder));
}

KernelPointer make_layer_norm_backward(NodeBuilder& builder) {
  read_all_plain(builder);
  const std::int64_t width = builder.input_type(1).shape[0];
  return std::make_unique<LayerNormBackward>(builder.input_type(0).shape.elements() / width, width);
}

}  // namespace skua::cpu
