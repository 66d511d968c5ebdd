// The device that this test program tests.
#pragma once

#include <memory>

#include "skua/engine/device.h"

namespace skua::test {

// `threads`: of a kernel, where the kind of device has a choice.
[[nodiscard]] std::unique_ptr<Device> make_test_device(int threads = 1);

}  // namespace skua::test
