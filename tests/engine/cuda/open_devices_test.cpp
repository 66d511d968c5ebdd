#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "engine/cuda/device.h"
#include "fake/fake_runtime.h"

namespace skua::cuda {
namespace {

using fake::FakeOptions;
using fake::FakeRuntime;

DeviceSet open(FakeRuntime& runtime, const std::string& spec) {
  std::string warning;
  DeviceSet set = open_devices(runtime, spec, warning);
  EXPECT_EQ(warning, "");
  return set;
}

std::string error_of(FakeRuntime& runtime, const std::string& spec) {
  try {
    (void)open(runtime, spec);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

std::vector<std::string> names(const std::string& spec) {
  FakeRuntime runtime({.gpus = 3});
  std::vector<std::string> all;
  for (const auto& device : open(runtime, spec).devices) all.push_back(device->spec().name);
  return all;
}

TEST(OpenCudaDevices, ReadsTheirNames) {
  using Names = std::vector<std::string>;
  EXPECT_EQ(names("cuda"), (Names{"cuda:0", "cuda:1", "cuda:2"}));
  EXPECT_EQ(names("cuda:all"), (Names{"cuda:0", "cuda:1", "cuda:2"}));
  EXPECT_EQ(names("cuda:1"), (Names{"cuda:1"}));
  EXPECT_EQ(names("cuda:2,0"), (Names{"cuda:2", "cuda:0"}));
  EXPECT_EQ(names("cuda:1/3"), (Names{"cuda:1.0", "cuda:1.1", "cuda:1.2"}));
  EXPECT_EQ(names("cuda:1/1"), (Names{"cuda:1"}));
  EXPECT_EQ(names("cuda:0/16").size(), 16);
  EXPECT_EQ(names("cuda:tf32").size(), 3);
}

TEST(OpenCudaDevices, RefusesOtherNames) {
  FakeRuntime runtime({.gpus = 2});
  for (const char* spec : {"",
                           "cud",
                           "cpu:1",
                           "cuda:",
                           "cuda0",
                           "cuda:x",
                           "cuda:-1",
                           "cuda:+1",
                           "cuda: 1",
                           "cuda:1 ",
                           "cuda:0,",
                           "cuda:,0",
                           "cuda:0,,1",
                           "cuda:0/",
                           "cuda:/2",
                           "cuda:0/x",
                           "cuda:0/-1",
                           "cuda:0/2/2",
                           "cuda:0,1/2",
                           "cuda:0/2,1",
                           "cuda:all/2",
                           "cuda/2",
                           "cuda:0:fp16",
                           "cuda:0:tf32:tf32",
                           "cuda:0:tf32:bfloat16",
                           "cuda:0:",
                           ":tf32",
                           "cuda:0.1",
                           "cuda:99999999999",
                           "cuda:all,0",
                           "CUDA:0"}) {
    EXPECT_EQ(
        error_of(runtime, spec),
        "[devices] expected cuda:N, cuda:N,M, cuda:N/PARTS or cuda:all, each with :tf32 or :bfloat16 behind it if "
        "so wished, got '" +
            std::string(spec) + "'");
  }
  for (const char* spec : {"cuda:0/0", "cuda:0/17", "cuda:0/1000:tf32"}) {
    EXPECT_EQ(error_of(runtime, spec), "[devices] expected 1 to 16 parts of a GPU, got '" + std::string(spec) + "'");
  }
  EXPECT_EQ(error_of(runtime, "cuda:1,0,1"), "[devices] expected each GPU once, got 'cuda:1,0,1'");
}

TEST(OpenCudaDevices, RefusesGpusThatAreNotThere) {
  FakeRuntime two({.gpus = 2});
  EXPECT_EQ(error_of(two, "cuda:5"), "[devices] expected one of the 2 GPUs 0 to 1, got 'cuda:5'");
  EXPECT_EQ(error_of(two, "cuda:0,2"), "[devices] expected one of the 2 GPUs 0 to 1, got 'cuda:0,2'");
  FakeRuntime one;
  EXPECT_EQ(error_of(one, "cuda:1/2"), "[devices] expected GPU 0, the only one, got 'cuda:1/2'");
  FakeRuntime none({.gpus = 0, .no_gpu = "no CUDA-capable device is detected"});
  for (const char* spec : {"cuda", "cuda:0"}) {
    EXPECT_EQ(error_of(none, spec),
              "[devices] expected a CUDA device, this machine has none: no CUDA-capable device is detected");
  }
}

TEST(OpenCudaDevices, DescribesThem) {
  FakeRuntime runtime({.gpus = 2, .memory_bytes = 8e9});
  const DeviceSet set = open(runtime, "cuda:0/4");
  const DeviceSpec& spec = set.devices[3]->spec();
  EXPECT_EQ(spec.kind, "Fake GPU, 32 multiprocessors");
  EXPECT_EQ(spec.memory, MemoryId(4));
  EXPECT_EQ(spec.flops_per_second, 2.5e11);
  EXPECT_EQ(spec.bytes_per_second, 2.5e10);
  EXPECT_TRUE(spec.copy_engine);
  EXPECT_EQ(set.devices[3]->memory_bytes(), 2e9);
  EXPECT_EQ(open(runtime, "cuda:1").devices[0]->spec().kind, "Fake GPU");
  EXPECT_EQ(open(runtime, "cuda:1:tf32").devices[0]->spec().kind, "Fake GPU, tf32");
  EXPECT_EQ(open(runtime, "cuda:1/2:bfloat16").devices[1]->spec().kind, "Fake GPU, 64 multiprocessors, bfloat16");
}

TEST(OpenCudaDevices, FormAClusterOfMemoriesAndLinks) {
  FakeRuntime runtime({.gpus = 2, .memory_bytes = 8e9});
  const DeviceSet parts = open(runtime, "cuda:0/2");
  EXPECT_EQ(parts.cluster.name(), "cuda:0/2");
  EXPECT_EQ(parts.cluster.device_count(), 2);
  ASSERT_EQ(parts.cluster.memory_count(), 3);
  EXPECT_GT(parts.cluster.memory(kHostMemory).capacity_bytes, 0);
  EXPECT_EQ(parts.cluster.memory(MemoryId(2)).name, "cuda:0.1");
  EXPECT_EQ(parts.cluster.memory(MemoryId(2)).capacity_bytes, 4e9);
  EXPECT_EQ(parts.cluster.links().size(), 6);
  // Half of the whole GPU's 1e11 bytes per second.
  EXPECT_DOUBLE_EQ(parts.cluster.copy_seconds(1e9, MemoryId(1), MemoryId(2)), 10e-6 + 0.02);
  EXPECT_TRUE(runtime.peers().empty());

  const DeviceSet gpus = open(runtime, "cuda:1,0");
  EXPECT_DOUBLE_EQ(gpus.cluster.copy_seconds(1e9, MemoryId(1), MemoryId(2)), 10e-6 + 0.02);
  EXPECT_DOUBLE_EQ(gpus.cluster.copy_seconds(1e9, kHostMemory, MemoryId(2)), 10e-6 + 0.04);
  EXPECT_DOUBLE_EQ(gpus.cluster.copy_seconds(1e9, MemoryId(1), kHostMemory), 10e-6 + 0.04);
  EXPECT_EQ(runtime.peers(), (std::vector<int>{1, 0}));
}

TEST(OpenCudaDevices, AsksForLibrariesOfThePrecision) {
  std::vector<Precision> asked;
  FakeRuntime runtime({.gpus = 2, .make_libraries = [&](Precision precision) {
                         asked.push_back(precision);
                         return nullptr;
                       }});
  (void)open(runtime, "cuda:0");
  (void)open(runtime, "cuda:0,1:tf32");
  (void)open(runtime, "cuda:1:bfloat16");
  EXPECT_EQ(asked,
            (std::vector<Precision>{Precision::kFloat32, Precision::kTf32, Precision::kTf32, Precision::kBfloat16}));
}

TEST(OpenCudaDevices, WarnsWherePartsShare) {
  FakeRuntime runtime({.refuse_parts = true});
  std::string warning;
  EXPECT_EQ(open_devices(runtime, "cuda:0/2", warning).devices.size(), 2);
  EXPECT_EQ(warning, "GPU 0 cannot be split: refused by the test");
  warning.clear();
  (void)open_devices(runtime, "cuda:0", warning);
  EXPECT_EQ(warning, "");
}

TEST(OpenCudaDevices, SupportsWhatHasAKernel) {
  FakeRuntime runtime;
  const DeviceSet set = open(runtime, "cuda");
  EXPECT_TRUE(set.devices[0]->supports({"relu", {}}));
  EXPECT_FALSE(set.devices[0]->supports({"no such operator", {}}));
}

}  // namespace
}  // namespace skua::cuda
