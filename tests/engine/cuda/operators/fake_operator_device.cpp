#include "engine/cuda/device.h"
#include "engine/operators/operator_device.h"
#include "fake/fake_libraries.h"
#include "fake/fake_runtime.h"

namespace skua::test {

std::shared_ptr<Device> make_test_device(int /*threads*/) {
  static fake::FakeRuntime runtime({.make_libraries = fake::make_fake_libraries});
  std::string warning;
  return cuda::make_device(std::move(runtime.open(0, 1, warning).at(0)), {.name = "cuda:0", .memory = MemoryId(1)});
}

}  // namespace skua::test
