// Collectives of CUDA devices, by a communicator.
#pragma once

#include <memory>
#include <span>

#include "skua/engine/device.h"

namespace skua::cuda {

// As Device::make_collectives; all streams are CudaStreams.
[[nodiscard]] std::unique_ptr<Collectives> make_collectives(std::span<Stream* const> streams);

}  // namespace skua::cuda
