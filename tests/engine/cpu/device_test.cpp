// CPU devices and their cluster.
#include <gtest/gtest.h>
#include <omp.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <thread>

#include "engine/operators/runner.h"
#include "graph/small_graphs.h"
#include "skua/engine/cpu/cpu_device.h"

namespace skua::test {
namespace {

TEST(CpuDevice, DescribesItselfAsThePresetDoes) {
  for (const int threads : {1, 2}) {
    const DeviceSet set = make_cpu_devices(3, threads);
    const Cluster preset = make_cluster(threads == 1 ? "cpu:3" : "cpu:3x2");
    EXPECT_EQ(set.cluster.name(), preset.name());
    ASSERT_EQ(set.devices.size(), 3U);
    ASSERT_EQ(set.cluster.device_count(), preset.device_count());
    for (std::size_t i = 0; i < set.devices.size(); ++i) {
      const DeviceSpec& expected = preset.devices()[i];
      for (const DeviceSpec* spec : {&set.devices[i]->spec(), &set.cluster.devices()[i]}) {
        EXPECT_EQ(spec->name, expected.name);
        EXPECT_EQ(spec->kind, expected.kind);
        EXPECT_EQ(spec->memory, kHostMemory);
        EXPECT_EQ(spec->flops_per_second, expected.flops_per_second);
        EXPECT_EQ(spec->bytes_per_second, expected.bytes_per_second);
        EXPECT_EQ(spec->launch_seconds, expected.launch_seconds);
        EXPECT_EQ(spec->copy_engine, expected.copy_engine);
      }
    }
    EXPECT_EQ(set.cluster.memory_count(), 1U);
    EXPECT_GT(set.devices[0]->memory_bytes(), 1e8);
  }
}

TEST(CpuDevice, PrivateMemoriesAreLinkedToTheHost) {
  const DeviceSet set = make_cpu_devices(2, 1, true);
  EXPECT_EQ(set.cluster.memory_count(), 3U);
  for (std::int64_t i = 0; i < 2; ++i) {
    const MemoryId memory(i + 1);
    EXPECT_EQ(set.cluster.device(DeviceId(i)).memory, memory);
    const double to = set.cluster.copy_seconds(1e9, kHostMemory, memory);
    EXPECT_GT(to, 0.01);
    EXPECT_EQ(to, set.cluster.copy_seconds(1e9, memory, kHostMemory));
  }
  EXPECT_GT(set.cluster.copy_seconds(1e9, MemoryId(1), MemoryId(2)),
            set.cluster.copy_seconds(1e9, kHostMemory, MemoryId(1)));
}

std::ptrdiff_t threads_of_this_process() {
  const std::filesystem::directory_iterator tasks("/proc/self/task");
  return std::distance(begin(tasks), end(tasks));
}

// How many threads a run adds to a calling thread that has none yet and whose own OpenMP setting is four.
std::ptrdiff_t threads_added_by(Device& device) {
  std::ptrdiff_t added = -1;
  std::thread([&] {
    omp_set_num_threads(4);
    const std::ptrdiff_t before = threads_of_this_process();
    Runner runner(device, training_graph(sgd(0)));
    for (const ValueId id : runner.graph().values_of(ValueKind::kInput)) {
      runner.set(id, Tensor(runner.graph().value(id).type));
    }
    runner.run();
    added = threads_of_this_process() - before;
    EXPECT_EQ(omp_get_max_threads(), 4);
  }).join();
  return added;
}

TEST(CpuDevice, UsesItsNumberOfThreadsAndLeavesTheCallersSetting) {
  EXPECT_EQ(threads_added_by(*make_cpu_device({0, 1})), 0);
  EXPECT_EQ(threads_added_by(*make_cpu_device({0, 2})), 1);
}

TEST(CpuDevice, BadOptionsAreErrors) {
  EXPECT_EQ(message_of([] { (void)make_cpu_devices(0); }), "[cpu] expected at least 1 device, got 0");
  EXPECT_EQ(message_of([] { (void)make_cpu_device({2, 0}); }), "[cpu:2] expected threads >= 1, got 0");
}

TEST(CpuDevice, AllocatesAlignedMemoryAndCopies) {
  const auto device = make_cpu_device({});
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{5000001}}) {
    void* const a = device->allocate(bytes);
    void* const b = device->allocate(bytes);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a) % 64, 0U);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b) % 64, 0U);
    std::memset(a, 7, bytes);
    std::memset(b, 8, bytes);
    Finished finished;
    device->copy(b, a, bytes, nullptr, finished);
    finished.check();
    EXPECT_EQ(std::memcmp(a, b, bytes), 0);
    device->release(a);
    device->release(b);
  }
  EXPECT_THROW((void)device->allocate(SIZE_MAX), std::bad_alloc);
}

}  // namespace
}  // namespace skua::test
