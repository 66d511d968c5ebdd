#include "engine/operators/operator_device.h"
#include "skua/engine/cpu/cpu_device.h"

namespace skua::test {

std::shared_ptr<Device> make_test_device(int threads) {
  return make_cpu_device({0, threads});
}

}  // namespace skua::test
