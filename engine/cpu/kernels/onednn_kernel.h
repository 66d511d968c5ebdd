// A kernel that is one oneDNN primitive.
#pragma once

#include <algorithm>

#include "../kernel.h"

namespace skua::cpu {

class OneDnnKernel final : public Kernel {
 public:
  explicit OneDnnKernel(Execution execution) : execution_(std::move(execution)) {
    data_.reserve(execution_.argument_count());
  }
  [[nodiscard]] std::size_t scratch_bytes() const override { return execution_.scratch_bytes(); }
  void run(const KernelArguments& arguments) override {
    data_.assign(arguments.inputs.begin(), arguments.inputs.end());
    data_.insert(data_.end(), arguments.outputs.begin(), arguments.outputs.end());
    execution_.run(data_, arguments.scratch);
  }

 private:
  Execution execution_;
  std::vector<void*> data_;  // keeps its capacity from run to run
};

// `arguments`: oneDNN's ids of the node's inputs, then of its outputs. The layouts are those that the primitive wants.
template <class Primitive>
std::unique_ptr<Kernel> make_onednn_kernel(NodeBuilder& builder, const typename Primitive::primitive_desc& desc,
                                           std::span<const int> arguments) {
  const auto layout = [&](std::size_t i) { return Layout(desc.query_md(dnnl::query::exec_arg_md, arguments[i])); };
  const std::size_t inputs = builder.input_count();
  for (std::size_t i = 0; i < inputs; ++i) builder.read(i, layout(i));
  for (std::size_t i = inputs; i < arguments.size(); ++i) builder.write(i - inputs, layout(i));
  return std::make_unique<OneDnnKernel>(Execution(Primitive(desc), desc, arguments));
}

}  // namespace skua::cpu
