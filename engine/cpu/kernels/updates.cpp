// Updates change the parameter and its states in place, in the parameter's layout: padding has gradient 0 and stays 0.
#include "../parallel.h"
#include "kernels.h"
#include "skua/engine/elementwise.h"

namespace skua::cpu {

namespace {

// `make_rule(attributes, context)` gives a step's functor of (parameter, gradient, states...), of which there are up to
// two.
template <class MakeRule>
class Update final : public Kernel {
 public:
  Update(Attributes attributes, MakeRule make_rule, std::int64_t count)
      : attributes_(std::move(attributes)), make_rule_(make_rule), count_(count) {}
  void run(const KernelArguments& arguments) override {
    const auto rule = make_rule_(attributes_, arguments.context);
    using Rule = decltype(rule);
    const Part::Range range = arguments.part.of(static_cast<std::size_t>(count_) * sizeof(float));
    const std::size_t first = range.begin / sizeof(float);
    const auto count = static_cast<std::int64_t>(range.size() / sizeof(float));
    float* const p = arguments.in_place(0) + first;
    const float* const g = arguments.in(1) + first;
    if constexpr (std::is_invocable_v<Rule, float&, float>) {
      if (arguments.inputs.size() == 2) return for_each_element(count, [=](std::int64_t i) { rule(p[i], g[i]); });
    }
    if constexpr (std::is_invocable_v<Rule, float&, float, float&>) {
      if (arguments.inputs.size() == 3) {
        float* const a = arguments.in_place(2) + first;
        return for_each_element(count, [=](std::int64_t i) { rule(p[i], g[i], a[i]); });
      }
    }
    if constexpr (std::is_invocable_v<Rule, float&, float, float&, float&>) {
      float* const a = arguments.in_place(2) + first;
      float* const b = arguments.in_place(3) + first;
      for_each_element(count, [=](std::int64_t i) { rule(p[i], g[i], a[i], b[i]); });
    }
  }

 private:
  Attributes attributes_;
  MakeRule make_rule_;
  std::int64_t count_;
};

// A gradient that does not mirror the parameter is converted; states always mirror it.
template <class MakeRule>
KernelPointer make_update(NodeBuilder& builder, MakeRule make_rule) {
  const Layout layout = builder.input_layout(0);
  for (std::size_t i = 0; i < builder.input_count(); ++i) builder.read(i, layout);
  return std::make_unique<Update<MakeRule>>(builder.op().attributes, make_rule, layout.stored_elements());
}

}  // namespace

KernelPointer make_sgd_update(NodeBuilder& builder) {
  return make_update(builder, [](const Attributes& attributes, const StepContext& context) {
    return elementwise::Sgd::at(attributes, context.learning_rate);
  });
}

KernelPointer make_adam_update(NodeBuilder& builder) {
  return make_update(builder, [](const Attributes& attributes, const StepContext& context) {
    return elementwise::Adam::at(attributes, context.step, context.learning_rate);
  });
}

KernelPointer make_rmsprop_update(NodeBuilder& builder) {
  return make_update(builder, [](const Attributes& attributes, const StepContext& context) {
    return elementwise::RmsProp::at(attributes, context.learning_rate);
  });
}

KernelPointer make_adagrad_update(NodeBuilder& builder) {
  return make_update(builder, [](const Attributes& attributes, const StepContext& context) {
    return elementwise::Adagrad::at(attributes, context.learning_rate);
  });
}

KernelPointer make_moving_average_update(NodeBuilder& builder) {
  return make_update(builder, [](const Attributes& attributes, const StepContext&) {
    return elementwise::MovingAverage::of(attributes);
  });
}

}  // namespace skua::cpu
