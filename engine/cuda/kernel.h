// What an operator's kernel on a GPU is, and how it is made. Values lie plain (row-major, NCHW).
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "libraries.h"
#include "skua/engine/device.h"

namespace skua::cuda {

// Host memory that the GPU writes where a node meets bad data; `count` 0: none.
struct Fault {
  std::int32_t count = 0;
  std::int32_t value = 0;  // of the first, by position
  std::int64_t position = 0;
};

struct Arguments {
  GpuStream& stream;
  std::span<void* const> inputs;
  std::span<void* const> outputs;
  void* scratch;     // Kernel::scratch_bytes(), aligned to 256
  const void* step;  // in the GPU's memory: what write_step wrote
  Fault* fault;
  int micro_batch;

  [[nodiscard]] const float* in(std::size_t i) const { return static_cast<const float*>(inputs[i]); }
  [[nodiscard]] const std::int32_t* in_ints(std::size_t i) const { return static_cast<const std::int32_t*>(inputs[i]); }
  [[nodiscard]] float* out(std::size_t i) const { return static_cast<float*>(outputs[i]); }
  [[nodiscard]] std::int32_t* out_ints(std::size_t i) const { return static_cast<std::int32_t*>(outputs[i]); }
  [[nodiscard]] float* in_place(std::size_t i) const { return static_cast<float*>(inputs[i]); }  // updates only
};

// Driven by one thread at a time. submit() only submits, allocates nothing, and submits the same whatever the step, so
// that it can be captured: what differs between steps comes through `step`.
class Kernel {
 public:
  virtual ~Kernel() = default;
  [[nodiscard]] virtual std::size_t scratch_bytes() const { return 0; }
  [[nodiscard]] virtual std::size_t step_bytes() const { return 0; }
  virtual void write_step(const StepContext& /*context*/, void* /*to*/) const {}
  // The error for what the GPU found; null: the kernel finds none.
  [[nodiscard]] virtual std::string describe(const Fault& /*fault*/) const { return {}; }
  [[nodiscard]] virtual bool finds_faults() const { return false; }
  virtual void submit(const Arguments& arguments) = 0;
};
using KernelPointer = std::unique_ptr<Kernel>;

// A node as its kernel's factory sees it.
struct NodeView {
  const Op& op;
  std::vector<ValueType> inputs;
  std::vector<ValueType> outputs;
  Libraries& libraries;
};

using KernelFactory = KernelPointer (*)(const NodeView&);
[[nodiscard]] KernelFactory find_kernel(std::string_view op_type);  // null: not supported

}  // namespace skua::cuda
