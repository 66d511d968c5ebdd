// Element-wise operators in a row: their own kernels one after another, what is between them in scratch.
#include <array>

#include "kernels.h"
#include "scratch.h"
#include "skua/graph/element_steps.h"

namespace skua::cuda {

namespace {

class ElementWise final : public Kernel {
 public:
  explicit ElementWise(const NodeView& node) : inputs_(node.inputs.size()) {
    const std::vector<ElementStep> steps = element_steps(node.op);
    const std::vector<std::size_t> buffers = step_buffers(steps, inputs_);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const auto& [op, from] = steps[i];
      const std::vector<ValueType> types(from.size(), node.outputs[0]);
      KernelPointer kernel = find_kernel(op.type)({op, types, node.outputs, node.libraries});
      while (buffers_.size() <= buffers[i]) buffers_.push_back(scratch_.add(node.outputs[0].bytes()));
      const std::size_t step_at = step_data_.add(kernel->step_bytes());
      steps_.push_back({std::move(kernel), from, buffers[i], step_at});
    }
  }

  [[nodiscard]] std::size_t scratch_bytes() const override { return scratch_.bytes(); }
  [[nodiscard]] std::size_t step_bytes() const override { return step_data_.bytes(); }
  void write_step(const StepContext& context, void* to) const override {
    for (const Step& step : steps_) step.kernel->write_step(context, piece(to, step.step_at));
  }

  void submit(const Arguments& arguments) override {
    const auto buffer = [&](std::size_t i) { return piece(arguments.scratch, buffers_[steps_[i].buffer]); };
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      std::array<void*, 2> operands{};
      for (std::size_t k = 0; k < step.from.size(); ++k) {
        const auto value = static_cast<std::size_t>(step.from[k]);
        operands[k] = value < inputs_ ? arguments.inputs[value] : buffer(value - inputs_);
      }
      const std::array<void*, 1> result{i + 1 == steps_.size() ? arguments.outputs[0] : buffer(i)};
      const auto* const data = static_cast<const std::byte*>(arguments.step) + step.step_at;
      step.kernel->submit({arguments.stream, std::span(operands).first(step.from.size()), result, nullptr, data,
                           arguments.fault, arguments.micro_batch});
    }
  }

 private:
  struct Step {
    KernelPointer kernel;  // needs no scratch
    std::vector<std::int64_t> from;
    std::size_t buffer;
    std::size_t step_at;
  };

  std::size_t inputs_;
  std::vector<Step> steps_;
  std::vector<std::size_t> buffers_;  // in scratch
  Scratch scratch_;
  Scratch step_data_;
};

}  // namespace

KernelPointer make_element_wise(const NodeView& node) {
  return std::make_unique<ElementWise>(node);
}

}  // namespace skua::cuda
