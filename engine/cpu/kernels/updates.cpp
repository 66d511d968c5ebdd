// Updates change the parameter and its states in place, in the parameter's layout: padding has gradient 0 and stays 0.
#include "../parallel.h"
#include "kernels.h"
#include "skua/engine/elementwise.h"

namespace skua::cpu {

namespace {

class SgdUpdate final : public Kernel {
 public:
  SgdUpdate(double momentum, std::int64_t count) : momentum_(static_cast<float>(momentum)), count_(count) {}
  void run(const KernelArguments& arguments) override {
    const elementwise::Sgd sgd{arguments.context.learning_rate, momentum_};
    float* const p = arguments.in_place(0);
    const float* const g = arguments.in(1);
    if (arguments.inputs.size() == 2) {
      for_each_element(count_, [=](std::int64_t i) { sgd(p[i], g[i]); });
    } else {
      float* const v = arguments.in_place(2);
      for_each_element(count_, [=](std::int64_t i) { sgd(p[i], g[i], v[i]); });
    }
  }

 private:
  float momentum_;
  std::int64_t count_;
};

class AdamUpdate final : public Kernel {
 public:
  AdamUpdate(Attributes attributes, std::int64_t count) : attributes_(std::move(attributes)), count_(count) {}
  void run(const KernelArguments& arguments) override {
    const auto adam = elementwise::Adam::at(attributes_, arguments.context.step, arguments.context.learning_rate);
    float* const p = arguments.in_place(0);
    const float* const g = arguments.in(1);
    float* const m = arguments.in_place(2);
    float* const v = arguments.in_place(3);
    for_each_element(count_, [=](std::int64_t i) { adam(p[i], g[i], m[i], v[i]); });
  }

 private:
  Attributes attributes_;
  std::int64_t count_;
};

// A gradient that does not mirror the parameter is converted; states always mirror it.
std::int64_t read_all(NodeBuilder& builder) {
  const Layout layout = builder.input_layout(0);
  for (std::size_t i = 0; i < builder.input_count(); ++i) builder.read(i, layout);
  return layout.stored_elements();
}

}  // namespace

KernelPointer make_sgd_update(NodeBuilder& builder) {
  return std::make_unique<SgdUpdate>(builder.op().attributes.real("momentum"), read_all(builder));
}

KernelPointer make_adam_update(NodeBuilder& builder) {
  return std::make_unique<AdamUpdate>(builder.op().attributes, read_all(builder));
}

}  // namespace skua::cpu
