#include "runtime.h"

#include <cuda_runtime_api.h>

#include <new>
#include <stdexcept>
#include <thread>

#include "check.h"
#include "first_gpu.h"
#include "partition.h"
#include "skua/engine/cuda/gpus.h"
#include "skua/engine/device.h"

namespace skua::test {
namespace {

TEST(Check, ErrorsSayWhatFailedAndWhy) {
  EXPECT_NO_THROW(cuda::check(cudaSuccess, "cudaMalloc"));
  EXPECT_THROW(cuda::check(cudaErrorMemoryAllocation, "cudaMalloc"), std::bad_alloc);
  try {
    cuda::check(cudaErrorIllegalAddress, "cudaMemcpyAsync");
    FAIL();
  } catch (const DeviceLost& lost) {
    EXPECT_STREQ(lost.what(), "CUDA: cudaMemcpyAsync: an illegal memory access was encountered (700)");
  }
  try {
    cuda::check(cudaErrorInvalidValue, "cudaMemcpyAsync");
    FAIL();
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "CUDA: cudaMemcpyAsync: invalid argument (1)");
    EXPECT_EQ(dynamic_cast<const DeviceLost*>(&error), nullptr);
  }
}

TEST(Partition, PartsAreMultiplesOfEight) {
  static_assert(cuda::part_multiprocessors(132, 2) == 64);
  static_assert(cuda::part_multiprocessors(132, 4) == 32);
  static_assert(cuda::part_multiprocessors(132, 8) == 16);
  static_assert(cuda::part_multiprocessors(132, 16) == 8);
  static_assert(cuda::part_multiprocessors(132, 17) == 0);
}

TEST(Runtime, SaysWhyThereIsNoGpu) {
  const GpuList list = list_gpus();
  EXPECT_EQ(list.versions.rfind("CUDA ", 0), 0U) << list.versions;
  EXPECT_NE(list.versions.find(", cuDNN "), std::string::npos) << list.versions;
  if (!list.gpus.empty()) GTEST_SKIP() << "there is a GPU";
  EXPECT_NE(list.why, "");
  std::string warning;
  EXPECT_THROW(static_cast<void>(cuda::machine_runtime().open(0, 1, warning)), std::runtime_error);
}

class RuntimeOnGpu : public FirstGpu {};

TEST_F(RuntimeOnGpu, DescribesTheGpu) {
  const cuda::GpuInfo& info = gpu_->info();
  EXPECT_NE(info.name, "");
  EXPECT_GT(info.multiprocessors, 0);
  EXPECT_GT(info.flops_per_second, 1e12);
  EXPECT_GT(info.bytes_per_second, 1e11);
  EXPECT_EQ(list_gpus().gpus.at(0).name, info.name);
}

TEST_F(RuntimeOnGpu, AnotherStreamsWorkIsWaitedForAndTimed) {
  const std::vector<float> values(std::size_t{1} << 22, 3);
  void* first = put(values);
  void* second = put(std::vector<float>(values.size()));
  const auto other = gpu_->make_stream();
  const auto began = gpu_->make_event();
  const auto ended = gpu_->make_event();
  std::thread thread([&] {  // any thread
    stream_->record(*began);
    stream_->copy(second, first, values.size() * sizeof(float));
    stream_->record(*ended);
    other->wait(*ended);
  });
  thread.join();
  const auto host = static_cast<float*>(gpu_->allocate_host(values.size() * sizeof(float)));
  other->copy(host, second, values.size() * sizeof(float));
  other->synchronize();
  EXPECT_EQ(std::vector<float>(host, host + values.size()), values);
  gpu_->release_host(host);
  gpu_->synchronize(*ended);
  EXPECT_GT(gpu_->seconds_between(*began, *ended), 0);
}

TEST_F(RuntimeOnGpu, CapturedWorkRunsWhenItIsLaunched) {
  void* from = put({1, 2, 3});
  void* to = put({0, 0, 0});
  const auto other = gpu_->make_stream();
  const auto fork = gpu_->make_event();
  const auto join = gpu_->make_event();
  stream_->begin_capture();
  stream_->record(*fork);
  other->wait(*fork);
  other->copy(to, from, 3 * sizeof(float));
  other->record(*join);
  stream_->wait(*join);
  const auto graph = stream_->end_capture();
  EXPECT_EQ(get(to, 3), (std::vector<float>{0, 0, 0}));
  graph->launch(*stream_);
  EXPECT_EQ(get(to, 3), (std::vector<float>{1, 2, 3}));
}

TEST_F(RuntimeOnGpu, MoreMemoryThanThereIsIsRefused) {
  EXPECT_THROW(static_cast<void>(gpu_->allocate(std::size_t{1} << 50)), std::bad_alloc);
  EXPECT_EQ(get(put({5}), 1), (std::vector<float>{5}));
}

TEST_F(RuntimeOnGpu, PartsWorkSideBySide) {
  std::string warning;
  auto parts = cuda::machine_runtime().open(0, 4, warning);
  ASSERT_EQ(parts.size(), 4U);
  if (warning.empty()) {
    EXPECT_EQ(parts[3]->info().multiprocessors % 8, 0);
    EXPECT_LE(4 * parts[3]->info().multiprocessors, gpu_->info().multiprocessors);
  }
  void* data = put({7, 8});
  const auto ended = parts[0]->make_event();
  const auto first = parts[0]->make_stream();
  const auto last = parts[3]->make_stream();
  void* second = put({0, 0});
  first->copy(second, data, 2 * sizeof(float));
  first->record(*ended);
  last->wait(*ended);
  std::vector<float> got(2);
  last->copy(got.data(), second, 2 * sizeof(float));
  last->synchronize();
  EXPECT_EQ(got, (std::vector<float>{7, 8}));
}

}  // namespace
}  // namespace skua::test
