// Element-wise operators run over whatever layout their first input has, padding included.
#include <algorithm>
#include <optional>
#include <stdexcept>

#include "../parallel.h"
#include "kernels.h"
#include "skua/engine/elementwise.h"
#include "skua/graph/op_registry.h"
#include "softmax_rows.h"

namespace skua::cpu {

namespace {

template <class Function>
class Unary final : public Kernel {
 public:
  Unary(Function function, std::int64_t count) : function_(function), count_(count) {}
  void run(const KernelArguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    for_each_element(count_, [=, function = function_](std::int64_t i) { y[i] = function(x[i]); });
  }

 private:
  Function function_;
  std::int64_t count_;
};

template <class Function>
class Binary final : public Kernel {
 public:
  Binary(Function function, std::int64_t count) : function_(function), count_(count) {}
  void run(const KernelArguments& arguments) override {
    const float* const a = arguments.in(0);
    const float* const b = arguments.in(1);
    float* const y = arguments.out(0);
    for_each_element(count_, [=, function = function_](std::int64_t i) { y[i] = function(a[i], b[i]); });
  }

 private:
  Function function_;
  std::int64_t count_;
};

template <template <class> class ElementKernel, class Function>
KernelPointer make(NodeBuilder& builder, const Layout& layout, Function function = {}) {
  for (std::size_t i = 0; i < builder.input_count(); ++i) builder.read(i, layout);
  builder.write(0, layout);
  for (std::size_t i = builder.input_count(); i-- > 0;) builder.may_overwrite(i, 0);  // of gradients the newest
  return std::make_unique<ElementKernel<Function>>(function, layout.stored_elements());
}

// For functions of 0 that are not 0, as padding must be.
Layout without_padding(NodeBuilder& builder) {
  const Layout layout = builder.input_layout(0);
  return layout.is_padded() ? Layout(builder.input_type(0)) : layout;
}

float alpha(const NodeBuilder& builder) {
  return static_cast<float>(builder.op().attributes.real("alpha"));
}

// Rows along the last axis.
class Softmax final : public Kernel {
 public:
  Softmax(std::int64_t rows, std::int64_t columns) : rows_(rows), columns_(columns) {}
  void run(const KernelArguments& arguments) override {
    for_each_row(rows_, [=, this, x = arguments.in(0), y = arguments.out(0)](std::int64_t row) {
      (void)softmax_row(x + row * columns_, columns_, y + row * columns_);
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t columns_;
};

class SoftmaxBackward final : public Kernel {
 public:
  SoftmaxBackward(std::int64_t rows, std::int64_t columns) : rows_(rows), columns_(columns) {}
  void run(const KernelArguments& arguments) override {
    for_each_row(rows_, [=, this, y = arguments.in(0), dy = arguments.in(1), dx = arguments.out(0)](std::int64_t row) {
      const std::int64_t first = row * columns_;
      double sum = 0;
      for (std::int64_t c = first; c < first + columns_; ++c) {
        sum += static_cast<double>(y[c]) * static_cast<double>(dy[c]);
      }
      const auto mean = static_cast<float>(sum);
      for (std::int64_t c = first; c < first + columns_; ++c) dx[c] = y[c] * (dy[c] - mean);
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t columns_;
};

template <class RowKernel>
KernelPointer make_by_rows(NodeBuilder& builder) {
  read_all_plain(builder);
  builder.may_overwrite(builder.input_count() - 1, 0);
  const Shape& shape = builder.input_type(0).shape;
  const std::int64_t columns = shape[shape.rank() - 1];
  return std::make_unique<RowKernel>(shape.elements() / columns, columns);
}

// Another kernel, and a function of what it gives. Padding that it must not reach is written anew.
template <class Function>
class Activated final : public Kernel {
 public:
  Activated(KernelPointer kernel, Function function, const Layout& layout, const ValueType& type)
      : kernel_(std::move(kernel)), function_(function), count_(layout.stored_elements()) {
    if (!layout.is_padded() || function(0.0F) == 0) return;
    image_ = type.shape;
    blocks_ = image_blocks(layout, type);
    if (blocks_->inner == 1) throw std::invalid_argument("expected channels in blocks of 8 or 16, got other ones");
  }
  [[nodiscard]] std::size_t scratch_bytes() const override { return kernel_->scratch_bytes(); }
  void run(const KernelArguments& arguments) override {
    kernel_->run(arguments);
    float* const y = arguments.out(0);
    for_each_element(count_, [=, function = function_](std::int64_t i) { y[i] = function(y[i]); });
    if (blocks_) blocks_->clear_padding(image_, y);
  }

 private:
  KernelPointer kernel_;
  Function function_;
  std::int64_t count_;
  Shape image_;
  std::optional<ImageBlocks> blocks_;  // where padding is written
};

// x plus a number for each channel, through a function: of arrays [outer][per_channel][inner], where channels come
// `inner` at a time. Padded channels stay zero.
template <std::int64_t Inner, class Function>
class BiasAdd final : public Kernel {
 public:
  BiasAdd(Function function, const Shape& x)
      : function_(function),
        channels_(x[1]),
        blocks_((x[1] + Inner - 1) / Inner),
        planes_(x[0] * blocks_),
        per_channel_(x.elements() / (x[0] * x[1])) {}
  void run(const KernelArguments& arguments) override {
    const float* const bias = arguments.in(1);
    for_each_row(planes_, [=, this, x = arguments.in(0), y = arguments.out(0)](std::int64_t plane) {
      const std::int64_t first = plane % blocks_ * Inner;
      add_to_plane(x + plane * per_channel_ * Inner, bias + first, std::min(channels_ - first, Inner),
                   y + plane * per_channel_ * Inner);
    });
  }

 private:
  void add_to_plane(const float* x, const float* bias, std::int64_t channels, float* y) const {
    if constexpr (Inner == 1) {
#pragma omp simd
      for (std::int64_t i = 0; i < per_channel_; ++i) y[i] = function_(x[i] + bias[0]);
    } else {
      float adds[Inner] = {};
      std::copy(bias, bias + channels, adds);
      if (channels == Inner) {
        for (std::int64_t i = 0; i < per_channel_; ++i) {
#pragma omp simd
          for (std::int64_t c = 0; c < Inner; ++c) y[i * Inner + c] = function_(x[i * Inner + c] + adds[c]);
        }
        return;
      }
      for (std::int64_t i = 0; i < per_channel_; ++i) {
        for (std::int64_t c = 0; c < Inner; ++c) {
          y[i * Inner + c] = c < channels ? function_(x[i * Inner + c] + adds[c]) : 0.0F;
        }
      }
    }
  }

  Function function_;
  std::int64_t channels_;
  std::int64_t blocks_;
  std::int64_t planes_;
  std::int64_t per_channel_;
};

template <class Function>
KernelPointer make_bias_add_of(std::int64_t inner, Function function, const Shape& x) {
  if (inner == 16) return std::make_unique<BiasAdd<16, Function>>(function, x);
  if (inner == 8) return std::make_unique<BiasAdd<8, Function>>(function, x);
  return std::make_unique<BiasAdd<1, Function>>(function, x);
}

}  // namespace

KernelPointer make_relu(NodeBuilder& builder) {
  return make<Unary, elementwise::Relu>(builder, builder.input_layout(0));
}
KernelPointer make_relu_backward(NodeBuilder& builder) {
  return make<Binary, elementwise::ReluBackward>(builder, builder.input_layout(0));
}

KernelPointer make_sigmoid(NodeBuilder& builder) {
  return make<Unary, elementwise::Sigmoid>(builder, without_padding(builder));
}
KernelPointer make_sigmoid_backward(NodeBuilder& builder) {
  return make<Binary, elementwise::SigmoidBackward>(builder, builder.input_layout(0));
}

KernelPointer make_tanh(NodeBuilder& builder) {
  return make<Unary, elementwise::Tanh>(builder, builder.input_layout(0));
}
KernelPointer make_tanh_backward(NodeBuilder& builder) {
  return make<Binary, elementwise::TanhBackward>(builder, builder.input_layout(0));
}

KernelPointer make_leaky_relu(NodeBuilder& builder) {
  return make<Unary>(builder, builder.input_layout(0), elementwise::LeakyRelu{alpha(builder)});
}
KernelPointer make_leaky_relu_backward(NodeBuilder& builder) {
  return make<Binary>(builder, builder.input_layout(0), elementwise::LeakyReluBackward{alpha(builder)});
}

KernelPointer make_elu(NodeBuilder& builder) {
  return make<Unary>(builder, builder.input_layout(0), elementwise::Elu{alpha(builder)});
}
KernelPointer make_elu_backward(NodeBuilder& builder) {
  return make<Binary>(builder, builder.input_layout(0), elementwise::EluBackward{alpha(builder)});
}

KernelPointer make_softplus(NodeBuilder& builder) {
  return make<Unary, elementwise::Softplus>(builder, without_padding(builder));
}
KernelPointer make_softplus_backward(NodeBuilder& builder) {
  return make<Binary, elementwise::SoftplusBackward>(builder, builder.input_layout(0));
}

KernelPointer make_gelu(NodeBuilder& builder) {
  return make<Unary, elementwise::Gelu>(builder, builder.input_layout(0));
}
KernelPointer make_gelu_backward(NodeBuilder& builder) {
  return make<Binary, elementwise::GeluBackward>(builder, builder.input_layout(0));
}

KernelPointer make_softmax(NodeBuilder& builder) {
  return make_by_rows<Softmax>(builder);
}
KernelPointer make_softmax_backward(NodeBuilder& builder) {
  return make_by_rows<SoftmaxBackward>(builder);
}

KernelPointer make_bias_add(NodeBuilder& builder) {
  const ValueType& type = builder.input_type(0);
  Layout layout(type);
  std::int64_t inner = 1;
  if (type.shape.rank() == 4) {
    const ImageBlocks blocks = image_blocks(builder.input_layout(0), type);
    layout = blocks.layout_of(type.shape, type.dtype);
    inner = blocks.inner;
  }
  builder.read(0, layout);
  builder.read_plain(1);
  builder.write(0, layout);
  builder.may_overwrite(0, 0);
  const auto activation = activation_of(builder.op());
  if (!activation) return make_bias_add_of(inner, elementwise::Same(), type.shape);
  return elementwise::visit_activation(
      *activation, [&](auto function, auto) { return make_bias_add_of(inner, function, type.shape); });
}

KernelPointer with_activation(NodeBuilder& builder, KernelPointer kernel) {
  const auto activation = activation_of(builder.op());
  if (!activation) return kernel;
  return elementwise::visit_activation(*activation, [&](auto function, auto) -> KernelPointer {
    return std::make_unique<Activated<decltype(function)>>(std::move(kernel), function, builder.written_layout(0),
                                                           builder.output_type(0));
  });
}

KernelPointer make_multiply(NodeBuilder& builder) {
  return make<Binary, elementwise::Multiply>(builder, builder.input_layout(0));
}

KernelPointer make_add(NodeBuilder& builder) {
  return make<Binary, elementwise::Add>(builder, builder.input_layout(0));
}

}  // namespace skua::cpu
