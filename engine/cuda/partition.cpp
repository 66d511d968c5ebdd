#include "partition.h"

#include <cuda.h>
#include <cudaTypedefs.h>
#include <fmt/format.h>

#include <stdexcept>

#include "check.h"

namespace skua::cuda {
namespace {

// What green contexts and their streams first came with.
constexpr unsigned int kVersion = 12050;

template <class Function>
Function entry(const char* name) {
  void* found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
  const cudaError_t status = cudaGetDriverEntryPointByVersion(name, &found, kVersion, cudaEnableDefault, &result);
  if (status != cudaSuccess || result != cudaDriverEntryPointSuccess || found == nullptr) {
    cudaGetLastError();
    throw std::runtime_error(fmt::format("the driver has no {}", name));
  }
  return reinterpret_cast<Function>(found);
}

struct Driver {
  PFN_cuGetErrorString_v6000 error_string = entry<PFN_cuGetErrorString_v6000>("cuGetErrorString");
  PFN_cuDeviceGet_v2000 device_get = entry<PFN_cuDeviceGet_v2000>("cuDeviceGet");
  PFN_cuDeviceGetDevResource_v12040 resource = entry<PFN_cuDeviceGetDevResource_v12040>("cuDeviceGetDevResource");
  PFN_cuDevSmResourceSplitByCount_v12040 split =
      entry<PFN_cuDevSmResourceSplitByCount_v12040>("cuDevSmResourceSplitByCount");
  PFN_cuDevResourceGenerateDesc_v12040 describe =
      entry<PFN_cuDevResourceGenerateDesc_v12040>("cuDevResourceGenerateDesc");
  PFN_cuGreenCtxCreate_v12040 create = entry<PFN_cuGreenCtxCreate_v12040>("cuGreenCtxCreate");
  PFN_cuGreenCtxDestroy_v12040 destroy = entry<PFN_cuGreenCtxDestroy_v12040>("cuGreenCtxDestroy");
  PFN_cuGreenCtxStreamCreate_v12050 stream_create = entry<PFN_cuGreenCtxStreamCreate_v12050>("cuGreenCtxStreamCreate");

  void check(CUresult status, const char* what) const {
    if (status == CUDA_SUCCESS) return;
    const char* text = nullptr;
    error_string(status, &text);
    throw std::runtime_error(
        fmt::format("CUDA: {}: {} ({})", what, text != nullptr ? text : "unknown error", static_cast<int>(status)));
  }
};

class GreenContext final : public Partition {
 public:
  GreenContext(std::shared_ptr<const Driver> driver, CUdevice device, CUdevResource resource)
      : driver_(std::move(driver)), multiprocessors_(static_cast<int>(resource.sm.smCount)) {
    CUdevResourceDesc description = nullptr;
    driver_->check(driver_->describe(&description, &resource, 1), "cuDevResourceGenerateDesc");
    driver_->check(driver_->create(&context_, description, device, CU_GREEN_CTX_DEFAULT_STREAM), "cuGreenCtxCreate");
  }
  ~GreenContext() override { driver_->destroy(context_); }
  GreenContext(const GreenContext&) = delete;
  GreenContext& operator=(const GreenContext&) = delete;

  [[nodiscard]] int multiprocessors() const override { return multiprocessors_; }
  [[nodiscard]] cudaStream_t make_stream() override {
    CUstream stream = nullptr;
    driver_->check(driver_->stream_create(&stream, context_, CU_STREAM_NON_BLOCKING, 0), "cuGreenCtxStreamCreate");
    return stream;
  }

 private:
  const std::shared_ptr<const Driver> driver_;
  const int multiprocessors_;
  CUgreenCtx context_ = nullptr;
};

std::vector<std::shared_ptr<Partition>> make_partitions(int ordinal, int parts) {
  const auto driver = std::make_shared<const Driver>();
  CUdevice device = 0;
  driver->check(driver->device_get(&device, ordinal), "cuDeviceGet");
  CUdevResource all{};
  driver->check(driver->resource(device, &all, CU_DEV_RESOURCE_TYPE_SM), "cuDeviceGetDevResource");
  const int each = part_multiprocessors(static_cast<int>(all.sm.smCount), parts);
  if (each == 0) throw std::runtime_error(fmt::format("{} multiprocessors are too few", all.sm.smCount));
  std::vector<CUdevResource> groups(static_cast<std::size_t>(parts));
  auto count = static_cast<unsigned int>(parts);
  driver->check(driver->split(groups.data(), &count, &all, nullptr, 0, static_cast<unsigned int>(each)),
                "cuDevSmResourceSplitByCount");
  if (count != static_cast<unsigned int>(parts)) {
    throw std::runtime_error(fmt::format("the driver makes {} parts of {} multiprocessors", count, each));
  }
  std::vector<std::shared_ptr<Partition>> partitions;
  for (const CUdevResource& group : groups) {
    if (group.sm.smCount != groups.front().sm.smCount) throw std::runtime_error("the driver makes unequal parts");
    partitions.push_back(std::make_shared<GreenContext>(driver, device, group));
  }
  return partitions;
}

}  // namespace

std::vector<std::shared_ptr<Partition>> split(int ordinal, int parts, std::string& why) {
  try {
    return make_partitions(ordinal, parts);
  } catch (const std::runtime_error& error) {
    why = error.what();
    return {};
  }
}

}  // namespace skua::cuda
