// Element-wise operators run over whatever layout their first input has, padding included.
#include "../parallel.h"
#include "kernels.h"
#include "skua/engine/elementwise.h"

namespace skua::cpu {

namespace {

template <class Function>
class Unary final : public Kernel {
 public:
  explicit Unary(std::int64_t count) : count_(count) {}
  void run(const KernelArguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    for_each_element(count_, [=](std::int64_t i) { y[i] = Function()(x[i]); });
  }

 private:
  std::int64_t count_;
};

template <class Function>
class Binary final : public Kernel {
 public:
  explicit Binary(std::int64_t count) : count_(count) {}
  void run(const KernelArguments& arguments) override {
    const float* const a = arguments.in(0);
    const float* const b = arguments.in(1);
    float* const y = arguments.out(0);
    for_each_element(count_, [=](std::int64_t i) { y[i] = Function()(a[i], b[i]); });
  }

 private:
  std::int64_t count_;
};

template <template <class> class ElementKernel, class Function>
KernelPointer make(NodeBuilder& builder, const Layout& layout) {
  for (std::size_t i = 0; i < builder.input_count(); ++i) builder.read(i, layout);
  builder.write(0, layout);
  return std::make_unique<ElementKernel<Function>>(layout.stored_elements());
}

}  // namespace

KernelPointer make_relu(NodeBuilder& builder) {
  return make<Unary, elementwise::Relu>(builder, builder.input_layout(0));
}
KernelPointer make_relu_backward(NodeBuilder& builder) {
  return make<Binary, elementwise::ReluBackward>(builder, builder.input_layout(0));
}

// sigmoid(0) is not 0, and padding must be.
KernelPointer make_sigmoid(NodeBuilder& builder) {
  const Layout& layout = builder.input_layout(0);
  return make<Unary, elementwise::Sigmoid>(builder, layout.is_padded() ? Layout(builder.input_type(0)) : layout);
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

KernelPointer make_add(NodeBuilder& builder) {
  return make<Binary, elementwise::Add>(builder, builder.input_layout(0));
}

}  // namespace skua::cpu
