// The seam to the CUDA runtime: GPUs and parts of them, memory, streams, events, graphs. cuda_runtime.cpp implements it
// on the machine's GPUs; tests do on host threads. Functions throw std::runtime_error "CUDA: what failed: why",
// DeviceLost where the GPU can run nothing any more, and std::bad_alloc.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

namespace skua::cuda {

class Libraries;
enum class Precision : int;

class Event {
 public:
  virtual ~Event() = default;
};

class GpuStream;

// Work that was captured.
class GpuGraph {
 public:
  virtual ~GpuGraph() = default;
  virtual void launch(GpuStream& stream) = 0;
};

// Runs what is submitted in order, beside the host. One thread at a time.
class GpuStream {
 public:
  virtual ~GpuStream() = default;
  // What kernels are launched on (launch.h): a cudaStream_t, whose GPU becomes the calling thread's.
  [[nodiscard]] virtual void* native() const = 0;
  // Between any two of the memories of GPUs and of the host.
  virtual void copy(void* to, const void* from, std::size_t bytes) = 0;
  virtual void record(Event& event) = 0;
  // What is submitted from now on waits for what `event` was last recorded behind; on any stream of any GPU.
  virtual void wait(const Event& event) = 0;
  virtual void synchronize() = 0;
  // Between the two, what is submitted here, and to streams that wait for an event recorded here, is captured and not
  // run. The other streams must have been waited for by this one before the end.
  virtual void begin_capture() = 0;
  [[nodiscard]] virtual std::unique_ptr<GpuGraph> end_capture() = 0;
};

struct GpuInfo {
  std::string name;  // "NVIDIA H100 80GB HBM3"
  int ordinal = 0;
  int multiprocessors = 0;      // of this part
  double memory_bytes = 0;      // of this part
  double flops_per_second = 0;  // float32, of this part's multiprocessors at their highest clock
  double bytes_per_second = 0;  // of its memory, this part's share
};

// A GPU or a part of one. Any thread.
class Gpu {
 public:
  virtual ~Gpu() = default;
  [[nodiscard]] virtual const GpuInfo& info() const = 0;

  // Aligned to 256 bytes.
  [[nodiscard]] virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* data) noexcept = 0;
  // Host memory that this GPU reads, writes and copies beside the host (pinned and mapped); one address for both.
  [[nodiscard]] virtual void* allocate_host(std::size_t bytes) = 0;
  virtual void release_host(void* data) noexcept = 0;

  [[nodiscard]] virtual std::unique_ptr<GpuStream> make_stream() = 0;
  [[nodiscard]] virtual std::unique_ptr<Event> make_event() = 0;
  // Sleeps until what `event` was last recorded behind has ended; throws the error that the GPU's work has met.
  virtual void synchronize(const Event& event) = 0;
  // Both have been recorded, and have ended.
  [[nodiscard]] virtual double seconds_between(const Event& from, const Event& to) = 0;

  [[nodiscard]] virtual std::unique_ptr<Libraries> make_libraries(Precision precision) = 0;
};

class Runtime {
 public:
  virtual ~Runtime() = default;
  // 0 where there is none; `why` then says why, in the driver's words.
  [[nodiscard]] virtual int gpu_count(std::string& why) = 0;
  [[nodiscard]] virtual std::string versions() = 0;  // "CUDA 13.0, driver 580.95, cuDNN 9.19, NCCL 2.28.9"
  // The GPU as `parts` parts of equal numbers of multiprocessors. Where the driver cannot split it, `warning` says so
  // and the parts share them all.
  [[nodiscard]] virtual std::vector<std::unique_ptr<Gpu>> open(int ordinal, int parts, std::string& warning) = 0;
  // Copies between the memories of these GPUs need not pass through the host from now on, where the machine has a way.
  virtual void enable_peers(const std::vector<int>& ordinals) = 0;
};

// Of this machine. One for the process.
[[nodiscard]] Runtime& machine_runtime();

}  // namespace skua::cuda
