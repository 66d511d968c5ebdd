#include "device.h"

#include <fmt/format.h>

#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>

#include "collectives.h"
#include "cuda_stream.h"
#include "program.h"
#include "recording.h"

namespace skua::cuda {
namespace {

constexpr double kLaunchSeconds = 4e-6;
// A lane's tasks that are submitted at a time: enough that the GPU does not wait for the host, few enough that others
// find something to steal.
constexpr int kWindow = 16;

// Devices of one kind give the same bits: the vendor's libraries sum in an order that depends on the multiprocessors.
std::string kind_of(const GpuInfo& info, const DeviceOptions& options) {
  std::string kind = info.name;
  if (options.part) kind += fmt::format(", {} multiprocessors", info.multiprocessors);
  if (options.precision == Precision::kTf32) kind += ", tf32";
  if (options.precision == Precision::kBfloat16) kind += ", bfloat16";
  return kind;
}

DeviceSpec spec_of(const GpuInfo& info, const DeviceOptions& options) {
  DeviceSpec spec;
  spec.name = options.name;
  spec.kind = kind_of(info, options);
  spec.memory = options.memory;
  spec.flops_per_second = info.flops_per_second;
  spec.bytes_per_second = info.bytes_per_second;
  spec.launch_seconds = kLaunchSeconds;
  spec.copy_engine = true;
  return spec;
}

class CudaDevice final : public Device {
 public:
  CudaDevice(std::unique_ptr<Gpu> gpu, const DeviceOptions& options)
      : gpu_(std::move(gpu)),
        spec_(spec_of(gpu_->info(), options)),
        libraries_(gpu_->make_libraries(options.precision)),
        copies_(gpu_->make_stream()) {}

  [[nodiscard]] const DeviceSpec& spec() const override { return spec_; }
  [[nodiscard]] double memory_bytes() const override { return gpu_->info().memory_bytes; }
  [[nodiscard]] bool supports(const Op& op) const override { return find_kernel(op.type) != nullptr; }

  // A part of a GPU takes no more than its share of the memory, though the driver would give it.
  [[nodiscard]] void* allocate(std::size_t bytes) override {
    const std::scoped_lock lock(blocks_mutex_);
    if (static_cast<double>(bytes) > memory_bytes() - static_cast<double>(allocated_bytes_)) throw std::bad_alloc();
    void* const data = gpu_->allocate(std::max<std::size_t>(bytes, 1));
    blocks_.emplace(data, bytes);
    allocated_bytes_ += bytes;
    return data;
  }
  void release(void* data) noexcept override {
    const std::scoped_lock lock(blocks_mutex_);
    allocated_bytes_ -= blocks_.extract(data).mapped();
    gpu_->release(data);
  }
  [[nodiscard]] void* allocate_host(std::size_t bytes) override {
    return gpu_->allocate_host(std::max<std::size_t>(bytes, 1));
  }
  void release_host(void* data) noexcept override { gpu_->release_host(data); }

  void copy(void* to, const void* from, std::size_t bytes, Stream* stream, Completion& completion) override {
    std::exception_ptr error;
    try {
      if (stream != nullptr) {
        static_cast<CudaStream&>(*stream).gpu().copy(to, from, bytes);
      } else {
        const std::scoped_lock lock(copies_mutex_);
        copies_->copy(to, from, bytes);
        copies_->synchronize();
      }
    } catch (...) {
      error = std::current_exception();
    }
    completion.done(std::move(error));
  }

  [[nodiscard]] std::unique_ptr<Stream> make_stream() override { return std::make_unique<CudaStream>(*gpu_); }
  [[nodiscard]] std::unique_ptr<Mark> make_mark() override { return std::make_unique<CudaMark>(*gpu_); }
  [[nodiscard]] int window() const override { return kWindow; }
  [[nodiscard]] bool can_record() const override { return true; }
  [[nodiscard]] std::unique_ptr<Recording> record(std::span<Stream* const> streams,
                                                  const std::function<void()>& submit) override {
    return cuda::record(*gpu_, streams, submit);
  }
  [[nodiscard]] std::unique_ptr<Collectives> make_collectives(std::span<Stream* const> streams) override {
    return cuda::make_collectives(streams);
  }

  [[nodiscard]] std::unique_ptr<Program> compile(const Graph& graph) override {
    return make_program(graph, *gpu_, *libraries_);
  }

 private:
  const std::unique_ptr<Gpu> gpu_;
  const DeviceSpec spec_;
  const std::unique_ptr<Libraries> libraries_;

  std::mutex blocks_mutex_;
  std::unordered_map<void*, std::size_t> blocks_;
  std::size_t allocated_bytes_ = 0;

  std::mutex copies_mutex_;
  const std::unique_ptr<GpuStream> copies_;
};

}  // namespace

std::unique_ptr<Device> make_device(std::unique_ptr<Gpu> gpu, const DeviceOptions& options) {
  return std::make_unique<CudaDevice>(std::move(gpu), options);
}

}  // namespace skua::cuda
