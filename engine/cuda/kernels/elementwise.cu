// Operators of elements that know no neighbours: activations, clipping, draws.
#include <array>

#include "kernels.h"
#include "launch.h"
#include "skua/engine/elementwise.h"
#include "skua/graph/op_registry.h"
#include "skua/graph/random.h"

namespace skua::cuda {

namespace {

template <class Function>
class Unary final : public Kernel {
 public:
  Unary(Function function, std::int64_t count) : function_(function), count_(count) {}
  void submit(const Arguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    const Function function = function_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) { y[i] = function(x[i]); });
  }

 private:
  Function function_;
  std::int64_t count_;
};

template <class Function>
class Binary final : public Kernel {
 public:
  Binary(Function function, std::int64_t count) : function_(function), count_(count) {}
  void submit(const Arguments& arguments) override {
    const float* const a = arguments.in(0);
    const float* const b = arguments.in(1);
    float* const y = arguments.out(0);
    const Function function = function_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) { y[i] = function(a[i], b[i]); });
  }

 private:
  Function function_;
  std::int64_t count_;
};

// Another kernel, and a function of what it gives.
template <class Function>
class Activated final : public Kernel {
 public:
  Activated(KernelPointer kernel, Function function, std::int64_t count)
      : kernel_(std::move(kernel)), function_(function), count_(count) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return kernel_->scratch_bytes(); }
  void submit(const Arguments& arguments) override {
    kernel_->submit(arguments);
    float* const y = arguments.out(0);
    const Function function = function_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) { y[i] = function(y[i]); });
  }

 private:
  KernelPointer kernel_;
  Function function_;
  std::int64_t count_;
};

template <class Function>
KernelPointer unary(const NodeView& node, Function function = {}) {
  return std::make_unique<Unary<Function>>(function, node.inputs[0].shape.elements());
}
template <class Function>
KernelPointer binary(const NodeView& node, Function function = {}) {
  return std::make_unique<Binary<Function>>(function, node.inputs[0].shape.elements());
}

float alpha(const NodeView& node) {
  return static_cast<float>(node.op.attributes.real("alpha"));
}

// x (outer,C,inner) plus a number for each channel.
class BiasAdd final : public Kernel {
 public:
  explicit BiasAdd(const Shape& x) : count_(x.elements()), channels_(x[1]), inner_(count_ / (x[0] * x[1])) {}
  void submit(const Arguments& arguments) override {
    const float* const x = arguments.in(0);
    const float* const bias = arguments.in(1);
    float* const y = arguments.out(0);
    const std::int64_t channels = channels_;
    const std::int64_t inner = inner_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) { y[i] = x[i] + bias[i / inner % channels]; });
  }

 private:
  std::int64_t count_;
  std::int64_t channels_;
  std::int64_t inner_;
};

class ClipByNorm final : public Kernel {
 public:
  ClipByNorm(double limit, std::int64_t count) : limit_(limit), count_(count) {}
  void submit(const Arguments& arguments) override {
    const float* const x = arguments.in(0);
    const float* const square = arguments.in(1);
    float* const y = arguments.out(0);
    const double limit = limit_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) {
      const double factor = limit / (sqrt(static_cast<double>(square[0])) + 1e-6);
      y[i] = static_cast<float>(factor < 1.0 ? factor : 1.0) * x[i];
    });
  }

 private:
  double limit_;
  std::int64_t count_;
};

// What random operators share: samples (N, elements), drawn by blocks of up to four elements of a sample.
class RandomKernel : public Kernel {
 public:
  RandomKernel(const Shape& shape, std::int64_t stream)
      : samples_(shape[0]), elements_(shape.elements() / shape[0]), stream_(stream) {}
  [[nodiscard]] std::size_t step_bytes() const final { return sizeof(DrawKey); }
  void write_step(const StepContext& context, void* to) const final {
    *static_cast<DrawKey*>(to) = {context.seed, context.step, stream_};
  }

  // visit(index of the first element, how many, their four draws)
  template <class Visit>
  void for_each_block(const Arguments& arguments, Visit visit) const {
    const auto* const key = static_cast<const DrawKey*>(arguments.step);
    const std::int64_t elements = elements_;
    const std::int64_t blocks = (elements + 3) / 4;
    const std::int64_t first_sample = arguments.micro_batch * samples_;
    for_each(arguments.stream, samples_ * blocks, [=] SKUA_DEVICE(std::int64_t i) {
      const std::int64_t n = i / blocks;
      const std::int64_t first = i % blocks * 4;
      visit(n * elements + first, elements - first < 4 ? elements - first : 4,
            draws(*key, first_sample + n, i % blocks));
    });
  }

 private:
  std::int64_t samples_;
  std::int64_t elements_;
  std::int64_t stream_;
};

using Bits = std::array<std::uint32_t, 4>;

struct Drop {
  const float* x;
  float* y;
  std::uint32_t least;
  float scale;

  SKUA_HOST_DEVICE void operator()(std::int64_t first, std::int64_t count, const Bits& bits) const {
    for (std::int64_t i = 0; i < count; ++i) {
      y[first + i] = bits[static_cast<std::size_t>(i)] >= least ? x[first + i] * scale : 0.0F;
    }
  }
};

class Dropout final : public RandomKernel {
 public:
  Dropout(const Shape& x, double rate, std::int64_t stream)
      : RandomKernel(x, stream), least_(dropout_threshold(rate)), scale_(static_cast<float>(1 / (1 - rate))) {}
  void submit(const Arguments& arguments) override {
    for_each_block(arguments, Drop{arguments.in(0), arguments.out(0), least_, scale_});
  }

 private:
  std::uint32_t least_;
  float scale_;
};

struct Normals {
  float* y;

  SKUA_HOST_DEVICE void operator()(std::int64_t first, std::int64_t count, const Bits& bits) const {
    for (std::int64_t i = 0; i < count; i += 2) {
      const auto pair = static_cast<std::size_t>(i);
      const auto normal = elementwise::NormalPair::of(bits[pair], bits[pair + 1]);
      y[first + i] = static_cast<float>(normal.cosine);
      if (i + 1 < count) y[first + i + 1] = static_cast<float>(normal.sine);
    }
  }
};

class RandomNormal final : public RandomKernel {
 public:
  using RandomKernel::RandomKernel;
  void submit(const Arguments& arguments) override { for_each_block(arguments, Normals{arguments.out(0)}); }
};

template <class Element>
void add_elements(GpuStream& stream, std::int64_t count, void* into, const void* from) {
  auto* const to = static_cast<Element*>(into);
  const auto* const x = static_cast<const Element*>(from);
  for_each(stream, count, [=] SKUA_DEVICE(std::int64_t i) { to[i] = to[i] + x[i]; });
}

}  // namespace

void add_into(GpuStream& stream, const ValueType& type, void* into, const void* from) {
  const std::int64_t count = type.shape.elements();
  if (type.dtype == DType::kFloat32) return add_elements<float>(stream, count, into, from);
  add_elements<std::int32_t>(stream, count, into, from);
}

KernelPointer make_activation(const NodeView& node) {
  const std::string& type = node.op.type;
  if (type == "relu") return unary<elementwise::Relu>(node);
  if (type == "sigmoid") return unary<elementwise::Sigmoid>(node);
  if (type == "tanh") return unary<elementwise::Tanh>(node);
  if (type == "leaky_relu") return unary(node, elementwise::LeakyRelu{alpha(node)});
  if (type == "elu") return unary(node, elementwise::Elu{alpha(node)});
  if (type == "softplus") return unary<elementwise::Softplus>(node);
  return unary<elementwise::Gelu>(node);
}

KernelPointer make_activation_backward(const NodeView& node) {
  const std::string& type = node.op.type;
  if (type == "relu_backward") return binary<elementwise::ReluBackward>(node);
  if (type == "sigmoid_backward") return binary<elementwise::SigmoidBackward>(node);
  if (type == "tanh_backward") return binary<elementwise::TanhBackward>(node);
  if (type == "leaky_relu_backward") return binary(node, elementwise::LeakyReluBackward{alpha(node)});
  if (type == "elu_backward") return binary(node, elementwise::EluBackward{alpha(node)});
  if (type == "softplus_backward") return binary<elementwise::SoftplusBackward>(node);
  return binary<elementwise::GeluBackward>(node);
}

KernelPointer with_activation(const NodeView& node, KernelPointer kernel) {
  const auto activation = activation_of(node.op);
  if (!activation) return kernel;
  const std::int64_t count = node.outputs[0].shape.elements();
  return elementwise::visit_activation(*activation, [&](auto function, auto) -> KernelPointer {
    return std::make_unique<Activated<decltype(function)>>(std::move(kernel), function, count);
  });
}

KernelPointer make_add(const NodeView& node) {
  return binary<elementwise::Add>(node);
}
KernelPointer make_multiply(const NodeView& node) {
  return binary<elementwise::Multiply>(node);
}

KernelPointer make_bias_add(const NodeView& node) {
  return with_activation(node, std::make_unique<BiasAdd>(node.inputs[0].shape));
}

KernelPointer make_clip_by_value(const NodeView& node) {
  return unary(node, elementwise::Clip{static_cast<float>(node.op.attributes.real("limit"))});
}
KernelPointer make_clip_by_norm(const NodeView& node) {
  return std::make_unique<ClipByNorm>(node.op.attributes.real("limit"), node.inputs[0].shape.elements());
}

KernelPointer make_dropout(const NodeView& node) {
  return std::make_unique<Dropout>(node.inputs[0].shape, node.op.attributes.real("rate"),
                                   node.op.attributes.integer("stream"));
}
KernelPointer make_random_normal(const NodeView& node) {
  return std::make_unique<RandomNormal>(node.outputs[0].shape, node.op.attributes.integer("stream"));
}

}  // namespace skua::cuda
