// The seam between the executor and hardware. A Device owns memory; a Program is one graph made ready for one device:
// layouts chosen, kernels created. The executor drives each device from one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "skua/graph/graph.h"
#include "skua/graph/tensor.h"
#include "skua/scheduler/cluster.h"

namespace skua {

// What changes from step to step.
struct StepContext {
  std::int64_t step = 0;  // from 0
  float learning_rate = 0;
  std::uint64_t seed = 0;
};

// One run of one node. Input and output pointers are in the node's order; scratch has Program::scratch_bytes() bytes.
struct KernelCall {
  NodeId node;
  std::span<void* const> inputs;
  std::span<void* const> outputs;
  void* scratch = nullptr;
  const StepContext* context = nullptr;
  int micro_batch = 0;
};

// Told exactly once when work has ended, from any thread, possibly before the launching call returns.
class Completion {
 public:
  virtual void done(std::exception_ptr error) noexcept = 0;  // null: it succeeded

 protected:
  ~Completion() = default;
};

class Program {
 public:
  virtual ~Program() = default;
  // Bytes of one instance of a value in this device's layout; the same on all devices of a kind.
  [[nodiscard]] virtual std::size_t value_bytes(ValueId value) const = 0;
  [[nodiscard]] virtual std::size_t scratch_bytes() const = 0;  // enough for any node

  // Both may return before the work has ended; neither takes memory from the heap.
  virtual void launch(const KernelCall& call, Completion& completion) = 0;
  // into += from, both instances of `value`.
  virtual void accumulate(ValueId value, void* into, const void* from, Completion& completion) = 0;

  // Between a plain host tensor and an instance in this device's memory and layout; return when done.
  // REQUIRES: the tensor has the value's type.
  virtual void import_value(ValueId value, const Tensor& from, void* to) = 0;
  virtual void export_value(ValueId value, const void* from, Tensor& to) = 0;
};

// Thrown, or handed to a completion, by a device that has failed for good: nothing more can run on it.
class DeviceLost : public std::runtime_error {
 public:
  explicit DeviceLost(const std::string& what, DeviceId device = {}) : std::runtime_error(what), device_(device) {}
  [[nodiscard]] DeviceId device() const { return device_; }  // known to who catches it from the executor

 private:
  DeviceId device_;
};

class Device {
 public:
  virtual ~Device() = default;
  // As the planner sees it. `memory` is kHostMemory for devices that compute in host memory; other ids tell the
  // memories of one set of devices apart.
  [[nodiscard]] virtual const DeviceSpec& spec() const = 0;
  [[nodiscard]] virtual double memory_bytes() const = 0;  // capacity of its memory
  [[nodiscard]] virtual bool supports(const Op& op) const = 0;

  // Throws std::bad_alloc. The pointer is aligned to 64 bytes; release takes it back.
  [[nodiscard]] virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* data) noexcept = 0;
  // Copies between this device's memory and any other memory (the host's included); may return early.
  virtual void copy(void* to, const void* from, std::size_t bytes, Completion& completion) = 0;

  // Throws std::invalid_argument naming the node where an operator is not supported.
  [[nodiscard]] virtual std::unique_ptr<Program> compile(const Graph& graph) = 0;
};

// Some devices, and the cluster that they form.
struct DeviceSet {
  std::vector<std::unique_ptr<Device>> devices;  // by DeviceId
  Cluster cluster;
};

}  // namespace skua
