// The seam between the executor and hardware. A Device owns memory; a Program is one graph made ready for one device:
// layouts chosen, kernels created. The executor drives each device from one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "skua/graph/graph.h"
#include "skua/graph/tensor.h"
#include "skua/scheduler/cluster.h"
#include "skua/scheduler/in_place.h"
#include "skua/scheduler/part.h"

namespace skua {

// What changes from step to step.
struct StepContext {
  std::int64_t step = 0;  // from 0
  float learning_rate = 0;
  std::uint64_t seed = 0;
};

class Stream;

// One run of one node. Input and output pointers are in the node's order; scratch has Program::scratch_bytes() bytes.
struct KernelCall {
  NodeId node;
  std::span<void* const> inputs;
  std::span<void* const> outputs;
  void* scratch = nullptr;
  int micro_batch = 0;
  Stream* stream = nullptr;  // the lane's; null: its device has none
  Part part = {};            // of an update, on devices that compute in the host's memory
};

// Told exactly once when work has ended, from any thread, possibly before the launching call returns.
class Completion {
 public:
  virtual void done(std::exception_ptr error) noexcept = 0;  // null: it succeeded
  // Before done, by who measures it: how long ago the work began and ended.
  virtual void measured(double /*began_seconds_ago*/, double /*ended_seconds_ago*/) noexcept {}

 protected:
  ~Completion() = default;
};

// A moment in a stream's work: when what was submitted between begin and end ran. Used again step after step, when
// whoever its end was to tell has been told.
class Mark {
 public:
  virtual ~Mark() = default;
};

// A lane's queue on a device that works beside the host, in the order in which work is submitted. There, launch,
// accumulate and copy have submitted when they return, and tell their completion no more than that; how the work itself
// went is told where it is asked for by `end`. One thread at a time; marks are waited for by any stream of the kind.
class Stream {
 public:
  virtual ~Stream() = default;
  virtual void begin(Mark& mark) = 0;
  // `completion` (null: nobody) is told when all that was submitted here has ended, with measured times.
  virtual void end(Mark& mark, Completion* completion) = 0;
  // What is submitted from now on waits for the end of `mark`, which has been submitted.
  virtual void wait(const Mark& mark) = 0;
};

// Work of several streams that was submitted once and can be run again.
class Recording {
 public:
  virtual ~Recording() = default;
  virtual void replay(Completion& completion) = 0;  // told when all has ended; the last one has been
};

// Sums over the memories of several devices, each of which takes part by a stream: rank r is that of the r-th one.
class Collectives {
 public:
  struct Sum {
    std::vector<float*> data;  // by rank, in its device's memory
    std::size_t floats = 0;
    std::size_t root = 0;  // a rank, whose data become the sum of all
  };
  virtual ~Collectives() = default;
  // Submits all of them as one piece of work. What the sums are depends on the ranks and on the sums that are submitted
  // together, and is the same in every run. One thread at a time.
  virtual void reduce(std::span<const Sum> sums) = 0;
};

class Program {
 public:
  virtual ~Program() = default;
  // Bytes of one instance of a value in this device's layout; the same on all devices of a kind.
  [[nodiscard]] virtual std::size_t value_bytes(ValueId value) const = 0;
  [[nodiscard]] virtual std::size_t scratch_bytes() const = 0;  // enough for any node
  // What a node may make in the place of what, the best first; the same on all devices of a kind.
  [[nodiscard]] virtual std::span<const InPlace> in_place(NodeId /*node*/) const { return {}; }

  // What launches from now on compute by; none is under way.
  virtual void set_step(const StepContext& context) = 0;
  // Submits what launches on the device's stream need of it, before them.
  virtual void begin_step(Stream& /*stream*/) {}
  // Both may return before the work has ended; neither takes memory from the heap.
  virtual void launch(const KernelCall& call, Completion& completion) = 0;
  // into += from, both instances of `value`; on devices that compute in the host's memory a part of it.
  virtual void accumulate(ValueId value, void* into, const void* from, Part part, Stream* stream,
                          Completion& completion) = 0;

  // Between a plain host tensor and an instance in this device's memory and layout; return when done.
  // REQUIRES: the tensor has the value's type.
  virtual void import_value(ValueId value, const Tensor& from, void* to) = 0;
  virtual void export_value(ValueId value, const void* from, Tensor& to) = 0;
};

// Thrown, or handed to a completion, by a device that has failed for good: nothing more can run on it.
class DeviceLost : public std::runtime_error {
 public:
  explicit DeviceLost(const std::string& what, DeviceId device = {}) : std::runtime_error(what), device_(device) {}
  // Known to who catches it from the executor; where it is invalid before, it becomes that of the lane.
  [[nodiscard]] DeviceId device() const { return device_; }

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
  // Of the FLOPs that cost_of counts, the share that this device does: below 1 where it has an algorithm with fewer.
  [[nodiscard]] virtual double flops_share(const Graph& /*graph*/, const Node& /*node*/) const { return 1; }

  // Throws std::bad_alloc. The pointer is aligned to 64 bytes; release takes it back.
  [[nodiscard]] virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* data) noexcept = 0;
  // Host memory that copies from and to this device's memory run beside the host from; released by release_host.
  [[nodiscard]] virtual void* allocate_host(std::size_t bytes) { return allocate(bytes); }
  virtual void release_host(void* data) noexcept { release(data); }
  // Copies between this device's memory and any other memory (the host's included); may return early. Where `stream`
  // is null, the completion is told when the copy has ended, also by devices with streams.
  virtual void copy(void* to, const void* from, std::size_t bytes, Stream* stream, Completion& completion) = 0;

  // Devices that work beside the host: a stream and marks of it for whoever drives a lane, and how many tasks a lane
  // should have submitted at a time. Null: work has ended, or will, when completions are told.
  [[nodiscard]] virtual std::unique_ptr<Stream> make_stream() { return nullptr; }
  [[nodiscard]] virtual std::unique_ptr<Mark> make_mark() { return nullptr; }
  [[nodiscard]] virtual int window() const { return 1; }
  // What `submit` submits to these streams, the first of which is this device's, without running it. Throws what
  // `submit` throws. REQUIRES: can_record().
  [[nodiscard]] virtual bool can_record() const { return false; }
  [[nodiscard]] virtual std::unique_ptr<Recording> record(std::span<Stream* const> /*streams*/,
                                                          const std::function<void()>& /*submit*/) {
    return nullptr;
  }
  // Between the devices of these streams, which outlive it. Null: devices of this kind have none. Throws
  // std::invalid_argument where such devices cannot take part together.
  [[nodiscard]] virtual std::unique_ptr<Collectives> make_collectives(std::span<Stream* const> /*streams*/) {
    return nullptr;
  }

  // Throws std::invalid_argument naming the node where an operator is not supported.
  [[nodiscard]] virtual std::unique_ptr<Program> compile(const Graph& graph) = 0;
};

// Some devices, and the cluster that they form.
struct DeviceSet {
  std::vector<std::unique_ptr<Device>> devices;  // by DeviceId
  Cluster cluster;
};

}  // namespace skua
