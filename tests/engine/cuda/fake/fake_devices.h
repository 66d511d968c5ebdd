// Devices on GPUs of host threads, whose kernels and libraries are those of the tests.
#pragma once

#include <string>
#include <utility>

#include "engine/cuda/device.h"
#include "fake/fake_libraries.h"
#include "fake/fake_runtime.h"

namespace skua::fake {

// The devices and what they run on.
struct FakeDevices {
  FakeRuntime runtime;
  DeviceSet devices;

  explicit FakeDevices(const std::string& spec, int gpus = 4)
      : runtime({.gpus = gpus, .make_libraries = make_fake_libraries}), devices(open(spec)) {}

 private:
  DeviceSet open(const std::string& spec) {
    std::string warning;
    return cuda::open_devices(runtime, spec, warning);
  }
};

}  // namespace skua::fake
