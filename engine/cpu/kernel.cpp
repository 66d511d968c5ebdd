#include "kernel.h"

#include <algorithm>

namespace skua::cpu {

const Layout& fix_layout(const Graph& graph, Layouts& layouts, ValueId value, const Layout& preferred) {
  std::optional<Layout>& layout = layouts[value.index()];
  if (!layout) {
    const ValueId parameter = graph.value(value).mirrors;
    layout = parameter.valid() ? fix_layout(graph, layouts, parameter, Layout(graph.value(parameter).type)) : preferred;
  }
  return *layout;
}

const Layout& NodeBuilder::fix(ValueId value, const Layout& preferred) {
  return fix_layout(graph_, layouts_, value, preferred);
}

CompiledNode::Operand NodeBuilder::operand(const Layout& from, const Layout& to, std::size_t copy_bytes) {
  CompiledNode::Operand operand;
  if (from == to) return operand;
  operand.conversion.emplace(from, to);
  operand.offset = copies_bytes_;
  copies_bytes_ += aligned(copy_bytes);
  return operand;
}

void NodeBuilder::read(std::size_t i, const Layout& layout) {
  const ValueId value = node_.inputs.at(i);
  const bool parameter = graph_.value(value).kind == ValueKind::kParameter;
  inputs_[i] = operand(fix(value, parameter ? layout : Layout(input_type(i))), layout, layout.bytes());
}

void NodeBuilder::write(std::size_t i, const Layout& layout) {
  written_[i] = layout;
  outputs_[i] = operand(layout, fix(node_.outputs.at(i), layout), layout.bytes());
}

CompiledNode NodeBuilder::finish(std::unique_ptr<Kernel> kernel) {
  return {std::move(kernel), std::move(inputs_), std::move(outputs_), copies_bytes_, std::move(in_place_)};
}

CompiledNode::CompiledNode(std::unique_ptr<Kernel> kernel, std::vector<Operand> inputs, std::vector<Operand> outputs,
                           std::size_t copies_bytes, std::vector<InPlace> in_place)
    : kernel_(std::move(kernel)),
      inputs_(std::move(inputs)),
      outputs_(std::move(outputs)),
      copies_bytes_(copies_bytes),
      in_place_(std::move(in_place)),
      scratch_bytes_(kernel_->scratch_bytes()),
      input_data_(inputs_.size()),
      output_data_(outputs_.size()) {
  for (const auto* operands : {&inputs_, &outputs_}) {
    for (const Operand& operand : *operands) {
      if (operand.conversion) scratch_bytes_ = std::max(scratch_bytes_, operand.conversion->scratch_bytes());
    }
  }
  scratch_bytes_ += copies_bytes_;
}

void CompiledNode::run(const KernelCall& call, const StepContext& context) {
  auto* const copies = static_cast<std::byte*>(call.scratch);
  void* const rest = copies + copies_bytes_;
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    Operand& operand = inputs_[i];
    input_data_[i] = operand.conversion ? copies + operand.offset : call.inputs[i];
    if (operand.conversion) operand.conversion->run(call.inputs[i], input_data_[i], rest);
  }
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    output_data_[i] = outputs_[i].conversion ? copies + outputs_[i].offset : call.outputs[i];
  }
  kernel_->run({input_data_, output_data_, rest, context, call.micro_batch, call.part});
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    if (outputs_[i].conversion) outputs_[i].conversion->run(output_data_[i], call.outputs[i], rest);
  }
}

}  // namespace skua::cpu
