// The machine's first GPU; where there is none, all tests of this program are skipped.
#include <gtest/gtest.h>

#include "device.h"
#include "engine/operators/operator_device.h"

namespace skua::test {
namespace {

// Made once: its context and the libraries' handles take long.
std::shared_ptr<Device>& shared_device() {
  static std::shared_ptr<Device> device;
  return device;
}

class NeedsGpu final : public testing::Environment {
 public:
  void SetUp() override {
    std::string why;
    if (cuda::machine_runtime().gpu_count(why) == 0) GTEST_SKIP() << "no CUDA device: " << why;
  }
  void TearDown() override { shared_device().reset(); }  // before CUDA goes
};

[[maybe_unused]] const testing::Environment* const kNeedsGpu = testing::AddGlobalTestEnvironment(new NeedsGpu);

}  // namespace

std::shared_ptr<Device> make_test_device(int /*threads*/) {
  std::shared_ptr<Device>& device = shared_device();
  if (!device) {
    std::string warning;
    device = cuda::make_device(std::move(cuda::machine_runtime().open(0, 1, warning).at(0)),
                               {.name = "cuda:0", .memory = MemoryId(1)});
  }
  return device;
}

}  // namespace skua::test
