#include "skua/engine/cpu/cpu_device.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#include "kernels/transform_choice.h"
#include "program.h"
#include "skua/engine/host_memory.h"
#include "skua/graph/op_registry.h"

namespace skua {

namespace {

// The figures of the cluster presets "cpu:NxT", so that plans do not depend on the machine.
constexpr double kFlopsPerThread = 60e9;
constexpr double kBytesPerThread = 12e9;
constexpr double kLaunchSeconds = 5e-6;
// Copies within host memory, where devices have memories of their own.
constexpr double kLinkBytesPerSecond = 10e9;
constexpr double kLinkSeconds = 2e-6;

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(const CpuDeviceOptions& options) : threads_(options.threads) {
    if (options.threads < 1) {
      throw std::invalid_argument(fmt::format("[cpu:{}] expected threads >= 1, got {}", options.index, threads_));
    }
    spec_.name = fmt::format("cpu:{}", options.index);
    spec_.kind = fmt::format("cpux{}", threads_);
    spec_.memory = options.memory;
    spec_.flops_per_second = kFlopsPerThread * threads_;
    spec_.bytes_per_second = kBytesPerThread * threads_;
    spec_.launch_seconds = kLaunchSeconds;
  }

  [[nodiscard]] const DeviceSpec& spec() const override { return spec_; }
  [[nodiscard]] double memory_bytes() const override { return host_memory_bytes(); }
  [[nodiscard]] bool supports(const Op& op) const override { return cpu::find_kernel(op.type) != nullptr; }
  [[nodiscard]] double flops_share(const Graph& graph, const Node& node) const override {
    if (!node.op.type.starts_with("conv2d")) return 1;
    return 2 * cpu::multiply_adds_that_pay(window_of(node.op, graph.input_types(node))) / cost_of(graph, node).flops;
  }

  // Large blocks start at a huge page, and the system is asked for huge pages.
  [[nodiscard]] void* allocate(std::size_t bytes) override {
    constexpr std::size_t kCacheLine = 64;
    constexpr std::size_t kHugePage = std::size_t{1} << 21;
    const std::size_t alignment = bytes >= kHugePage ? kHugePage : kCacheLine;
    if (bytes > SIZE_MAX - alignment) throw std::bad_alloc();
    const std::size_t rounded = (std::max<std::size_t>(bytes, 1) + alignment - 1) / alignment * alignment;
    void* const data = std::aligned_alloc(alignment, rounded);
    if (data == nullptr) throw std::bad_alloc();
    if (alignment == kHugePage) madvise(data, rounded, MADV_HUGEPAGE);  // advice: a refusal changes nothing
    return data;
  }
  void release(void* data) noexcept override { std::free(data); }

  void copy(void* to, const void* from, std::size_t bytes, Stream* /*stream*/, Completion& completion) override {
    std::memcpy(to, from, bytes);
    completion.done(nullptr);
  }

  [[nodiscard]] std::unique_ptr<Program> compile(const Graph& graph) override {
    return cpu::make_program(graph, threads_);
  }

 private:
  DeviceSpec spec_;
  int threads_;
};

}  // namespace

std::unique_ptr<Device> make_cpu_device(const CpuDeviceOptions& options) {
  return std::make_unique<CpuDevice>(options);
}

DeviceSet make_cpu_devices(int count, int threads, bool private_memory) {
  if (count < 1) throw std::invalid_argument(fmt::format("[cpu] expected at least 1 device, got {}", count));
  DeviceSet set;
  std::vector<DeviceSpec> specs;
  std::vector<MemorySpec> memories{{"host", host_memory_bytes()}};
  std::vector<LinkSpec> links;
  for (int i = 0; i < count; ++i) {
    const MemoryId memory = private_memory ? MemoryId(i + 1) : kHostMemory;
    set.devices.push_back(make_cpu_device({i, threads, memory}));
    specs.push_back(set.devices.back()->spec());
    if (!private_memory) continue;
    memories.push_back({specs.back().name, host_memory_bytes()});
    links.push_back({kHostMemory, memory, kLinkBytesPerSecond, kLinkSeconds});
    links.push_back({memory, kHostMemory, kLinkBytesPerSecond, kLinkSeconds});
  }
  const std::string name = threads == 1 ? fmt::format("cpu:{}", count) : fmt::format("cpu:{}x{}", count, threads);
  set.cluster = Cluster(name, std::move(specs), std::move(memories), std::move(links));
  return set;
}

}  // namespace skua
