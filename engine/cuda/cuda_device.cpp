#include "skua/engine/cuda/cuda_device.h"

#include "device.h"

namespace skua {

DeviceSet open_cuda_devices(const std::string& spec, std::string* warning) {
  std::string unheard;
  return cuda::open_devices(cuda::machine_runtime(), spec, warning != nullptr ? *warning : unheard);
}

}  // namespace skua
