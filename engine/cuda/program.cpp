#include "program.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <stdexcept>

#include "cuda_stream.h"
#include "kernels/kernels.h"

namespace skua::cuda {

namespace {

// Runs `action` with errors that say where they come from.
template <class Action>
auto labelled(const std::string& label, Action action) {
  try {
    return action();
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("[{}] {}", label, error.what()));
  } catch (const DeviceLost&) {
    throw;
  } catch (const std::runtime_error& error) {
    throw std::runtime_error(fmt::format("[{}] {}", label, error.what()));
  }
}

constexpr std::size_t kScratchAlignment = 256;
constexpr std::size_t kDeviceAlignment = 64;  // what memory from a device has at least
constexpr std::size_t kStepAlignment = 64;

std::size_t round_up(std::size_t bytes, std::size_t to) {
  return (bytes + to - 1) / to * to;
}

void* aligned_scratch(void* scratch) {
  const auto address = reinterpret_cast<std::uintptr_t>(scratch);
  return static_cast<std::byte*>(scratch) + (round_up(address, kScratchAlignment) - address);
}

using Memory = std::unique_ptr<void, std::function<void(void*)>>;

KernelPointer make_kernel(const Graph& graph, const Node& node, Libraries& libraries) {
  const KernelFactory factory = find_kernel(node.op.type);
  if (factory == nullptr) throw std::invalid_argument("expected an operator with a CUDA kernel, got one without");
  std::vector<ValueType> outputs;
  for (const ValueId output : node.outputs) outputs.push_back(graph.value(output).type);
  return factory({node.op, graph.input_types(node), std::move(outputs), libraries});
}

class CudaProgram final : public Program {
 public:
  CudaProgram(const Graph& graph, Gpu& gpu, Libraries& libraries) : own_stream_(gpu.make_stream()) {
    std::size_t most_scratch = 0;
    for (const Node& node : graph.nodes()) {
      const std::string label = node.op.type + " " + node.name;
      KernelPointer kernel = labelled(label, [&] { return make_kernel(graph, node, libraries); });
      most_scratch = std::max(most_scratch, kernel->scratch_bytes());
      nodes_.push_back({label, std::move(kernel), step_bytes_});
      step_bytes_ += round_up(nodes_.back().kernel->step_bytes(), kStepAlignment);
    }
    if (most_scratch > 0) scratch_bytes_ = most_scratch + kScratchAlignment - kDeviceAlignment;
    for (std::size_t i = 0; i < graph.value_count(); ++i) {
      const Value& value = graph.value(ValueId(static_cast<std::int64_t>(i)));
      values_.push_back({value.name, value.type});
    }
    const auto release_host = [&gpu](void* data) { gpu.release_host(data); };
    host_step_ = Memory(gpu.allocate_host(std::max<std::size_t>(step_bytes_, 1)), release_host);
    gpu_step_ = Memory(gpu.allocate(std::max<std::size_t>(step_bytes_, 1)), [&gpu](void* data) { gpu.release(data); });
    fault_memory_ = Memory(gpu.allocate_host((nodes_.size() + 1) * sizeof(Fault)), release_host);
    faults_ = static_cast<Fault*>(fault_memory_.get());
    reset_faults();
  }

  [[nodiscard]] std::size_t value_bytes(ValueId value) const override { return values_.at(value.index()).type.bytes(); }
  [[nodiscard]] std::size_t scratch_bytes() const override { return scratch_bytes_; }

  void set_step(const StepContext& context) override {
    for (const Compiled& node : nodes_) node.kernel->write_step(context, at(host_step_, node.step_offset));
    reset_faults();
  }
  void begin_step(Stream& stream) override {
    if (step_bytes_ == 0) return;
    static_cast<CudaStream&>(stream).gpu().copy(gpu_step_.get(), host_step_.get(), step_bytes_);
  }

  void launch(const KernelCall& call, Completion& completion) override {
    std::exception_ptr error;
    try {
      submit(call);
    } catch (...) {
      error = std::current_exception();
    }
    completion.done(error);
  }

  void accumulate(ValueId value, void* into, const void* from, Part /*whole*/, Stream* stream,
                  Completion& completion) override {
    std::exception_ptr error;
    try {
      const Held& held = values_.at(value.index());
      labelled("value " + held.name, [&] { add_into(static_cast<CudaStream&>(*stream).gpu(), held.type, into, from); });
    } catch (...) {
      error = std::current_exception();
    }
    completion.done(error);
  }

  void import_value(ValueId value, const Tensor& from, void* to) override {
    own_stream_->copy(to, checked(value, from).data(), from.bytes());
    own_stream_->synchronize();
  }
  void export_value(ValueId value, const void* from, Tensor& to) override {
    (void)checked(value, to);
    own_stream_->copy(to.data(), from, to.bytes());
    own_stream_->synchronize();
  }

 private:
  struct Compiled {
    std::string label;
    KernelPointer kernel;
    std::size_t step_offset;
  };
  struct Held {
    std::string name;
    ValueType type;
  };

  static void* at(const Memory& memory, std::size_t offset) { return static_cast<std::byte*>(memory.get()) + offset; }

  void reset_faults() { std::fill_n(faults_, nodes_.size(), Fault()); }

  void submit(const KernelCall& call) {
    const std::size_t i = call.node.index();
    const Compiled& node = nodes_.at(i);
    auto& stream = static_cast<CudaStream&>(*call.stream);
    labelled(node.label, [&] {
      node.kernel->submit({stream.gpu(), call.inputs, call.outputs, aligned_scratch(call.scratch),
                           at(gpu_step_, node.step_offset), &faults_[i], call.micro_batch});
    });
    if (node.kernel->finds_faults()) stream.expect({&faults_[i], node.kernel.get(), &node.label});
  }

  [[nodiscard]] const Tensor& checked(ValueId value, const Tensor& tensor) const {
    const Held& held = values_.at(value.index());
    if (tensor.type() != held.type) {
      throw std::invalid_argument(fmt::format("[value {}] expected a tensor of {}, got {}", held.name,
                                              held.type.to_string(), tensor.type().to_string()));
    }
    return tensor;
  }

  const std::unique_ptr<GpuStream> own_stream_;
  std::vector<Compiled> nodes_;
  std::vector<Held> values_;
  std::size_t scratch_bytes_ = 0;
  std::size_t step_bytes_ = 0;
  Memory host_step_;
  Memory gpu_step_;
  Memory fault_memory_;
  Fault* faults_ = nullptr;  // by node, in host memory
};

}  // namespace

std::unique_ptr<Program> make_program(const Graph& graph, Gpu& gpu, Libraries& libraries) {
  return std::make_unique<CudaProgram>(graph, gpu, libraries);
}

}  // namespace skua::cuda
