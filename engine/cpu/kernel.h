// What an operator's kernel is, and how it is made: a factory tells the builder in which layouts the kernel reads and
// writes; the builder fixes the layouts of values and puts conversions where a value has another one.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "conversion.h"
#include "skua/engine/device.h"

namespace skua::cpu {

// Pointers in the node's order, to data in the layouts that the kernel asked for.
struct KernelArguments {
  std::span<void* const> inputs;
  std::span<void* const> outputs;
  void* scratch;  // Kernel::scratch_bytes(), aligned to 64
  const StepContext& context;
  int micro_batch;
  Part part;

  [[nodiscard]] const float* in(std::size_t i) const { return static_cast<const float*>(inputs[i]); }
  [[nodiscard]] const std::int32_t* in_ints(std::size_t i) const { return static_cast<const std::int32_t*>(inputs[i]); }
  [[nodiscard]] float* out(std::size_t i) const { return static_cast<float*>(outputs[i]); }
  [[nodiscard]] std::int32_t* out_ints(std::size_t i) const { return static_cast<std::int32_t*>(outputs[i]); }
  [[nodiscard]] float* in_place(std::size_t i) const { return static_cast<float*>(inputs[i]); }  // updates only
};

// Driven by one thread at a time; run() allocates nothing. It throws std::invalid_argument on bad data and dnnl::error.
class Kernel {
 public:
  virtual ~Kernel() = default;
  [[nodiscard]] virtual std::size_t scratch_bytes() const { return 0; }
  virtual void run(const KernelArguments& arguments) = 0;
};

// By value; empty: not fixed yet.
using Layouts = std::vector<std::optional<Layout>>;

// A kernel with the conversions around it.
class CompiledNode {
 public:
  struct Operand {
    std::optional<Conversion> conversion;
    std::size_t offset = 0;  // in scratch: the kernel's copy
  };

  CompiledNode(std::unique_ptr<Kernel> kernel, std::vector<Operand> inputs, std::vector<Operand> outputs,
               std::size_t copies_bytes, std::vector<InPlace> in_place);
  [[nodiscard]] std::size_t scratch_bytes() const { return scratch_bytes_; }
  [[nodiscard]] std::span<const InPlace> in_place() const { return in_place_; }
  void run(const KernelCall& call, const StepContext& context);

 private:
  std::unique_ptr<Kernel> kernel_;
  std::vector<Operand> inputs_;
  std::vector<Operand> outputs_;
  std::size_t copies_bytes_;
  std::vector<InPlace> in_place_;
  std::size_t scratch_bytes_;
  std::vector<void*> input_data_;
  std::vector<void*> output_data_;
};

class NodeBuilder {
 public:
  NodeBuilder(const Graph& graph, const Node& node, Layouts& layouts)
      : graph_(graph),
        node_(node),
        layouts_(layouts),
        inputs_(node.inputs.size()),
        outputs_(node.outputs.size()),
        written_(node.outputs.size()) {}

  [[nodiscard]] const Op& op() const { return node_.op; }
  [[nodiscard]] std::size_t input_count() const { return node_.inputs.size(); }
  [[nodiscard]] std::size_t output_count() const { return node_.outputs.size(); }
  [[nodiscard]] std::vector<ValueType> input_types() const { return graph_.input_types(node_); }
  [[nodiscard]] const ValueType& input_type(std::size_t i) const { return graph_.value(node_.inputs.at(i)).type; }
  [[nodiscard]] const ValueType& output_type(std::size_t i) const { return graph_.value(node_.outputs.at(i)).type; }
  // How input i lies; fixed as plain if it was not fixed yet.
  [[nodiscard]] const Layout& input_layout(std::size_t i) { return fix(node_.inputs.at(i), Layout(input_type(i))); }

  // The kernel gets input i in `layout`, which also becomes the layout of a parameter that nothing has used yet.
  void read(std::size_t i, const Layout& layout);
  // The kernel gives output i in `layout`, which becomes the value's unless it mirrors a parameter.
  void write(std::size_t i, const Layout& layout);
  // The kernel may find input and output in one place: where it writes an element, it has no need any more of what was
  // there. Ways that are better come first.
  void may_overwrite(std::size_t input, std::size_t output) { in_place_.push_back({input, output}); }
  void read_plain(std::size_t i) { read(i, Layout(input_type(i))); }
  void write_plain(std::size_t i) { write(i, Layout(output_type(i))); }
  // As the kernel gives output i. REQUIRES: it was written.
  [[nodiscard]] const Layout& written_layout(std::size_t i) const { return *written_.at(i); }

  // REQUIRES: every input was read and every output written.
  [[nodiscard]] CompiledNode finish(std::unique_ptr<Kernel> kernel);

 private:
  const Layout& fix(ValueId value, const Layout& preferred);
  CompiledNode::Operand operand(const Layout& from, const Layout& to, std::size_t copy_bytes);

  const Graph& graph_;
  const Node& node_;
  Layouts& layouts_;
  std::vector<CompiledNode::Operand> inputs_;
  std::vector<CompiledNode::Operand> outputs_;
  Layouts written_;  // by output
  std::size_t copies_bytes_ = 0;
  std::vector<InPlace> in_place_;
};

// The layout of `value`: that of the parameter that it mirrors, or what it has been given before, or `preferred`.
const Layout& fix_layout(const Graph& graph, Layouts& layouts, ValueId value, const Layout& preferred);

using KernelFactory = std::unique_ptr<Kernel> (*)(NodeBuilder&);
[[nodiscard]] KernelFactory find_kernel(std::string_view op_type);  // null: not supported

}  // namespace skua::cpu
