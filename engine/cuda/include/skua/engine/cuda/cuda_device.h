// NVIDIA's GPUs as devices, each with a memory of its own; kernels by cuDNN, cuBLAS and our own. Bits are equal on
// equal GPUs, and on parts of equal size.
#pragma once

#include <string>

#include "skua/engine/device.h"

namespace skua {

// "cuda:N": a GPU; "cuda:N,M": several; "cuda" or "cuda:all": all; "cuda:N/PARTS": a GPU as 2 to 16 logical devices, of
// equal numbers of multiprocessors and equal shares of its memory. With ":tf32" or ":bfloat16" behind it, products and
// convolutions are computed in that. Throws std::invalid_argument saying what was expected, std::runtime_error where a
// GPU cannot be used. `warning` (null: nobody is told) says where the parts share the multiprocessors, as the driver
// splits none; else it stays. Any thread.
[[nodiscard]] DeviceSet open_cuda_devices(const std::string& spec, std::string* warning = nullptr);

}  // namespace skua
