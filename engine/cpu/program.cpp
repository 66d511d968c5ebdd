#include "program.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "parallel.h"
#include "skua/engine/elementwise.h"

namespace skua::cpu {

namespace {

// Runs `action` with errors that say where they come from.
template <class Action>
auto labelled(const std::string& label, Action action) {
  try {
    return action();
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("[{}] {}", label, error.what()));
  } catch (const dnnl::error& error) {
    throw std::runtime_error(
        fmt::format("[{}] oneDNN: {} (status {})", label, error.what(), static_cast<int>(error.status)));
  }
}

CompiledNode compile_node(const Graph& graph, const Node& node, Layouts& layouts) {
  const KernelFactory factory = find_kernel(node.op.type);
  if (factory == nullptr) throw std::invalid_argument("expected an operator with a CPU kernel, got one without");
  NodeBuilder builder(graph, node, layouts);
  std::unique_ptr<Kernel> kernel = factory(builder);
  return builder.finish(std::move(kernel));
}

class CpuProgram final : public Program {
 public:
  CpuProgram(const Graph& graph, int threads) : threads_(threads) {
    const ThreadCount guard(threads);
    Layouts layouts(graph.value_count());
    for (const Node& node : graph.nodes()) {
      labels_.push_back(node.op.type + " " + node.name);
      nodes_.push_back(labelled(labels_.back(), [&] { return compile_node(graph, node, layouts); }));
      scratch_bytes_ = std::max(scratch_bytes_, nodes_.back().scratch_bytes());
    }
    for (std::size_t i = 0; i < graph.value_count(); ++i) {
      const ValueId id(static_cast<std::int64_t>(i));
      const ValueType& type = graph.value(id).type;
      values_.push_back({graph.value(id).name, type, fix_layout(graph, layouts, id, Layout(type))});
    }
  }

  [[nodiscard]] std::size_t value_bytes(ValueId value) const override {
    return values_.at(value.index()).layout.bytes();
  }
  [[nodiscard]] std::size_t scratch_bytes() const override { return scratch_bytes_; }

  [[nodiscard]] std::span<const InPlace> in_place(NodeId node) const override {
    return nodes_.at(node.index()).in_place();
  }

  void set_step(const StepContext& context) override { context_ = context; }

  void launch(const KernelCall& call, Completion& completion) override {
    std::exception_ptr error;
    try {
      const ThreadCount guard(threads_);
      labelled(labels_.at(call.node.index()), [&] { nodes_[call.node.index()].run(call, context_); });
    } catch (...) {
      error = std::current_exception();
    }
    completion.done(error);
  }

  void accumulate(ValueId value, void* into, const void* from, Part part, Stream* /*stream*/,
                  Completion& completion) override {
    const ThreadCount guard(threads_);
    const Held& held = values_.at(value.index());
    const Part::Range range = part.of(held.layout.bytes());
    if (held.type.dtype == DType::kFloat32) {
      add<float>(into, from, range, elementwise::Add());
    } else {
      add<std::int32_t>(into, from, range, std::plus<>());
    }
    completion.done(nullptr);
  }

  void import_value(ValueId value, const Tensor& from, void* to) override {
    const Held& held = checked(value, from);
    convert(held, Layout(held.type), held.layout, from.data(), to);
  }

  void export_value(ValueId value, const void* from, Tensor& to) override {
    const Held& held = checked(value, to);
    convert(held, held.layout, Layout(held.type), from, to.data());
  }

 private:
  struct Held {
    std::string name;
    ValueType type;
    Layout layout;
  };

  [[nodiscard]] const Held& checked(ValueId value, const Tensor& tensor) const {
    const Held& held = values_.at(value.index());
    if (tensor.type() != held.type) {
      throw std::invalid_argument(fmt::format("[value {}] expected a tensor of {}, got {}", held.name,
                                              held.type.to_string(), tensor.type().to_string()));
    }
    return held;
  }

  template <class T, class Add>
  static void add(void* into, const void* from, Part::Range range, Add sum) {
    T* const to = static_cast<T*>(into) + range.begin / sizeof(T);
    const T* const x = static_cast<const T*>(from) + range.begin / sizeof(T);
    for_each_element(static_cast<std::int64_t>(range.size() / sizeof(T)),
                     [=](std::int64_t i) { to[i] = sum(to[i], x[i]); });
  }

  struct alignas(64) CacheLine {
    std::byte bytes[64];
  };

  void convert(const Held& held, const Layout& from_layout, const Layout& to_layout, const void* from, void* to) const {
    const ThreadCount guard(threads_);
    labelled("value " + held.name, [&] {
      Conversion conversion(from_layout, to_layout);
      std::vector<CacheLine> scratch(aligned(conversion.scratch_bytes()) / sizeof(CacheLine));
      conversion.run(from, to, scratch.data());
    });
  }

  int threads_;
  StepContext context_;
  std::vector<std::string> labels_;  // by node
  std::vector<CompiledNode> nodes_;
  std::vector<Held> values_;
  std::size_t scratch_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Program> make_program(const Graph& graph, int threads) {
  return std::make_unique<CpuProgram>(graph, threads);
}

}  // namespace skua::cpu
