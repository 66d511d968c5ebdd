#include <cuda_runtime_api.h>
#include <fmt/format.h>

#include <fstream>
#include <regex>
#include <stdexcept>

#include "check.h"
#include "machine_libraries.h"
#include "partition.h"
#include "runtime.h"
#include "skua/engine/cuda/gpus.h"

namespace skua::cuda {
namespace {

// The runtime's calls are for the calling thread's GPU, which any call may have to change.
void use(int ordinal) {
  check(cudaSetDevice(ordinal), "cudaSetDevice");
}

class MachineEvent final : public Event {
 public:
  MachineEvent() {
    // Whoever synchronizes with it sleeps and does not spin.
    check(cudaEventCreateWithFlags(&event_, cudaEventBlockingSync), "cudaEventCreateWithFlags");
  }
  ~MachineEvent() override { cudaEventDestroy(event_); }
  MachineEvent(const MachineEvent&) = delete;
  MachineEvent& operator=(const MachineEvent&) = delete;
  static cudaEvent_t of(const Event& event) { return static_cast<const MachineEvent&>(event).event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

class MachineGraph final : public GpuGraph {
 public:
  explicit MachineGraph(cudaGraph_t graph) {
    const cudaError_t status = cudaGraphInstantiate(&graph_, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "cudaGraphInstantiate");
  }
  ~MachineGraph() override { cudaGraphExecDestroy(graph_); }
  MachineGraph(const MachineGraph&) = delete;
  MachineGraph& operator=(const MachineGraph&) = delete;
  void launch(GpuStream& stream) override {
    check(cudaGraphLaunch(graph_, static_cast<cudaStream_t>(stream.native())), "cudaGraphLaunch");
  }

 private:
  cudaGraphExec_t graph_ = nullptr;
};

class MachineStream final : public GpuStream {
 public:
  MachineStream(int ordinal, std::shared_ptr<Partition> partition)
      : ordinal_(ordinal), partition_(std::move(partition)) {
    use(ordinal_);
    if (partition_) {
      stream_ = partition_->make_stream();
    } else {
      check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "cudaStreamCreateWithFlags");
    }
  }
  ~MachineStream() override { cudaStreamDestroy(stream_); }
  MachineStream(const MachineStream&) = delete;
  MachineStream& operator=(const MachineStream&) = delete;

  [[nodiscard]] void* native() const override {
    use(ordinal_);
    return stream_;
  }
  void copy(void* to, const void* from, std::size_t bytes) override {
    use(ordinal_);
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, stream_), "cudaMemcpyAsync");
  }
  void record(Event& event) override {
    use(ordinal_);
    check(cudaEventRecord(MachineEvent::of(event), stream_), "cudaEventRecord");
  }
  void wait(const Event& event) override {
    use(ordinal_);
    check(cudaStreamWaitEvent(stream_, MachineEvent::of(event), 0), "cudaStreamWaitEvent");
  }
  void synchronize() override {
    use(ordinal_);
    check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
  }

  // Of this thread: what other threads allocate and free meanwhile is none of the capture's business, while a call on
  // this one that cannot be captured fails, where cudaStreamCaptureModeRelaxed would let it escape.
  void begin_capture() override {
    use(ordinal_);
    check(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
  }
  [[nodiscard]] std::unique_ptr<GpuGraph> end_capture() override {
    use(ordinal_);
    cudaGraph_t graph = nullptr;
    check(cudaStreamEndCapture(stream_, &graph), "cudaStreamEndCapture");
    return std::make_unique<MachineGraph>(graph);
  }

 private:
  const int ordinal_;
  const std::shared_ptr<Partition> partition_;
  cudaStream_t stream_ = nullptr;
};

int attribute(int ordinal, cudaDeviceAttr which) {
  int value = 0;
  check(cudaDeviceGetAttribute(&value, which, ordinal), "cudaDeviceGetAttribute");
  return value;
}

// Float32 lanes of a multiprocessor: the CUDA C++ programming guide's table of arithmetic throughput.
int lanes(int major, int minor) {
  return (major == 8 && minor == 0) || major < 8 ? 64 : 128;
}

// Bytes per second: two transfers a clock over the bus. Drivers that no longer tell the clock get the data sheet of the
// family's first card.
double memory_bandwidth(int ordinal, int major) {
  const double kilohertz = attribute(ordinal, cudaDevAttrMemoryClockRate);
  if (kilohertz > 0) return 2e3 * kilohertz * attribute(ordinal, cudaDevAttrGlobalMemoryBusWidth) / 8;
  return major >= 10 ? 8e12 : major == 9 ? 3.35e12 : major == 8 ? 1.555e12 : 0.9e12;
}

GpuInfo describe(int ordinal) {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, ordinal), "cudaGetDeviceProperties");
  GpuInfo info;
  info.name = properties.name;
  info.ordinal = ordinal;
  info.multiprocessors = properties.multiProcessorCount;
  info.memory_bytes = static_cast<double>(properties.totalGlobalMem);
  info.flops_per_second = 2e3 * properties.multiProcessorCount * lanes(properties.major, properties.minor) *
                          attribute(ordinal, cudaDevAttrClockRate);
  info.bytes_per_second = memory_bandwidth(ordinal, properties.major);
  return info;
}

// One of `parts` equal parts, of `multiprocessors`.
GpuInfo part_of(GpuInfo whole, int parts, int multiprocessors) {
  whole.flops_per_second *= static_cast<double>(multiprocessors) / whole.multiprocessors;
  whole.multiprocessors = multiprocessors;
  whole.memory_bytes /= parts;
  whole.bytes_per_second /= parts;
  return whole;
}

class MachineGpu final : public Gpu {
 public:
  MachineGpu(GpuInfo info, std::shared_ptr<Partition> partition)
      : info_(std::move(info)), partition_(std::move(partition)) {}

  [[nodiscard]] const GpuInfo& info() const override { return info_; }
  [[nodiscard]] void* allocate(std::size_t bytes) override {
    use(info_.ordinal);
    void* data = nullptr;
    check(cudaMalloc(&data, bytes), "cudaMalloc");
    return data;
  }
  void release(void* data) noexcept override { cudaFree(data); }
  [[nodiscard]] void* allocate_host(std::size_t bytes) override {
    use(info_.ordinal);
    void* data = nullptr;
    check(cudaHostAlloc(&data, bytes, cudaHostAllocMapped | cudaHostAllocPortable), "cudaHostAlloc");
    return data;
  }
  void release_host(void* data) noexcept override { cudaFreeHost(data); }

  [[nodiscard]] std::unique_ptr<GpuStream> make_stream() override {
    return std::make_unique<MachineStream>(info_.ordinal, partition_);
  }
  [[nodiscard]] std::unique_ptr<Event> make_event() override {
    use(info_.ordinal);
    return std::make_unique<MachineEvent>();
  }
  void synchronize(const Event& event) override {
    use(info_.ordinal);
    check(cudaEventSynchronize(MachineEvent::of(event)), "cudaEventSynchronize");
  }
  [[nodiscard]] double seconds_between(const Event& from, const Event& to) override {
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, MachineEvent::of(from), MachineEvent::of(to)), "cudaEventElapsedTime");
    return milliseconds * 1e-3;
  }
  [[nodiscard]] std::unique_ptr<Libraries> make_libraries(Precision precision) override {
    use(info_.ordinal);
    return make_machine_libraries(precision, partition_ ? info_.multiprocessors : 0);
  }

 private:
  const GpuInfo info_;
  const std::shared_ptr<Partition> partition_;  // null: the whole GPU, or parts that share it
};

// "580.95.05", of the kernel's module; empty where the system does not show it.
std::string driver_release() {
  std::ifstream file("/proc/driver/nvidia/version");
  std::string line;
  std::getline(file, line);
  std::smatch found;
  return std::regex_search(line, found, std::regex(R"(\s(\d+\.\d+(\.\d+)?)\s)")) ? found[1].str() : "";
}

std::string cuda_version(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

class MachineRuntime final : public Runtime {
 public:
  [[nodiscard]] int gpu_count(std::string& why) override {
    int count = 0;
    const cudaError_t status = cudaGetDeviceCount(&count);
    if (status == cudaSuccess && count > 0) return count;
    cudaGetLastError();
    why = cudaGetErrorString(status == cudaSuccess ? cudaErrorNoDevice : status);
    return 0;
  }

  [[nodiscard]] std::string versions() override {
    int runtime = 0;
    int driver = 0;  // the newest CUDA that it can serve
    check(cudaRuntimeGetVersion(&runtime), "cudaRuntimeGetVersion");
    check(cudaDriverGetVersion(&driver), "cudaDriverGetVersion");
    std::string release = driver_release();
    if (release.empty()) release = driver == 0 ? "none" : "for CUDA " + cuda_version(driver);
    return fmt::format("CUDA {}, driver {}, {}", cuda_version(runtime), release, library_versions());
  }

  [[nodiscard]] std::vector<std::unique_ptr<Gpu>> open(int ordinal, int parts, std::string& warning) override {
    check(cudaInitDevice(ordinal, cudaDeviceScheduleBlockingSync | cudaDeviceMapHost, cudaInitDeviceFlagsAreValid),
          "cudaInitDevice");
    use(ordinal);
    const GpuInfo whole = describe(ordinal);
    std::vector<std::unique_ptr<Gpu>> gpus;
    if (parts == 1) {
      gpus.push_back(std::make_unique<MachineGpu>(whole, nullptr));
      return gpus;
    }
    std::string why;
    std::vector<std::shared_ptr<Partition>> partitions = split(ordinal, parts, why);
    if (partitions.empty()) {
      warning =
          fmt::format("GPU {} cannot be split into {} parts: {}; they share its multiprocessors", ordinal, parts, why);
      partitions.resize(static_cast<std::size_t>(parts));
    }
    for (const auto& partition : partitions) {
      const int multiprocessors = partition ? partition->multiprocessors() : whole.multiprocessors / parts;
      gpus.push_back(std::make_unique<MachineGpu>(part_of(whole, parts, multiprocessors), partition));
    }
    return gpus;
  }

  void enable_peers(const std::vector<int>& ordinals) override {
    for (const int from : ordinals) {
      for (const int to : ordinals) {
        int possible = 0;
        if (from != to) check(cudaDeviceCanAccessPeer(&possible, from, to), "cudaDeviceCanAccessPeer");
        if (possible == 0) continue;
        use(from);
        const cudaError_t status = cudaDeviceEnablePeerAccess(to, 0);
        if (status == cudaErrorPeerAccessAlreadyEnabled) {
          cudaGetLastError();
        } else {
          check(status, "cudaDeviceEnablePeerAccess");
        }
      }
    }
  }
};

}  // namespace

Runtime& machine_runtime() {
  static MachineRuntime runtime;
  return runtime;
}

}  // namespace skua::cuda

namespace skua {

GpuList list_gpus() {
  cuda::Runtime& runtime = cuda::machine_runtime();
  GpuList list;
  list.versions = runtime.versions();
  const int count = runtime.gpu_count(list.why);
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    const cuda::GpuInfo info = cuda::describe(ordinal);
    list.gpus.push_back({info.name, ordinal, info.multiprocessors, info.memory_bytes});
  }
  return list;
}

}  // namespace skua
