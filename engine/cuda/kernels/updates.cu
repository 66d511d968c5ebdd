// Updates change the parameter and its states in place. The step's rule is made on the host, which knows the step.
#include <cstring>
#include <type_traits>

#include "kernels.h"
#include "launch.h"
#include "skua/engine/elementwise.h"

namespace skua::cuda {

namespace {

template <class Rule>
Rule rule_at(const Attributes& attributes, const StepContext& context) {
  if constexpr (requires { Rule::of(attributes); }) {
    return Rule::of(attributes);
  } else if constexpr (requires { Rule::at(attributes, context.step, context.learning_rate); }) {
    return Rule::at(attributes, context.step, context.learning_rate);
  } else {
    return Rule::at(attributes, context.learning_rate);
  }
}

// A rule is a step's functor of (parameter, gradient, states...), of which there are up to two.
template <class Rule>
class Update final : public Kernel {
  static_assert(std::is_trivially_copyable_v<Rule>);

 public:
  explicit Update(const NodeView& node) : attributes_(node.op.attributes), count_(node.inputs[0].shape.elements()) {}

  [[nodiscard]] std::size_t step_bytes() const override { return sizeof(Rule); }
  void write_step(const StepContext& context, void* to) const override {
    const Rule rule = rule_at<Rule>(attributes_, context);
    std::memcpy(to, &rule, sizeof(rule));
  }

  void submit(const Arguments& arguments) override {
    const auto* const rule = static_cast<const Rule*>(arguments.step);
    float* const p = arguments.in_place(0);
    const float* const g = arguments.in(1);
    if constexpr (std::is_invocable_v<Rule, float&, float>) {
      if (arguments.inputs.size() == 2) return submit_plain(arguments.stream, rule, p, g);
    }
    if constexpr (std::is_invocable_v<Rule, float&, float, float&>) {
      if (arguments.inputs.size() == 3) return submit_one(arguments.stream, rule, p, g, arguments.in_place(2));
    }
    if constexpr (std::is_invocable_v<Rule, float&, float, float&, float&>) {
      submit_two(arguments.stream, rule, p, g, arguments.in_place(2), arguments.in_place(3));
    }
  }

  // By the number of states. Public for nvcc, whose device lambdas stand in no private functions.
  void submit_plain(GpuStream& stream, const Rule* rule, float* p, const float* g) const {
    for_each(stream, count_, [=] SKUA_DEVICE(std::int64_t i) { (*rule)(p[i], g[i]); });
  }
  void submit_one(GpuStream& stream, const Rule* rule, float* p, const float* g, float* a) const {
    for_each(stream, count_, [=] SKUA_DEVICE(std::int64_t i) { (*rule)(p[i], g[i], a[i]); });
  }
  void submit_two(GpuStream& stream, const Rule* rule, float* p, const float* g, float* a, float* b) const {
    for_each(stream, count_, [=] SKUA_DEVICE(std::int64_t i) { (*rule)(p[i], g[i], a[i], b[i]); });
  }

 private:
  Attributes attributes_;
  std::int64_t count_;
};

}  // namespace

KernelPointer make_update(const NodeView& node) {
  const std::string& type = node.op.type;
  if (type == "sgd_update") return std::make_unique<Update<elementwise::Sgd>>(node);
  if (type == "adam_update") return std::make_unique<Update<elementwise::Adam>>(node);
  if (type == "rmsprop_update") return std::make_unique<Update<elementwise::RmsProp>>(node);
  if (type == "adagrad_update") return std::make_unique<Update<elementwise::Adagrad>>(node);
  return std::make_unique<Update<elementwise::MovingAverage>>(node);
}

}  // namespace skua::cuda
