// The device that this test program tests.
#pragma once

#include <memory>

#include "skua/engine/device.h"

namespace skua::test {

// `threads`: of a kernel, where the kind of device has a choice. A device of its own each time, unless making one takes
// long.
[[nodiscard]] std::shared_ptr<Device> make_test_device(int threads = 1);

}  // namespace skua::test
