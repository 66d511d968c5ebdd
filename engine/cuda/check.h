// CUDA's statuses as exceptions. Any thread.
#pragma once

#include <cuda_runtime_api.h>

namespace skua::cuda {

// Throws "CUDA: cudaMemcpyAsync: an illegal memory access was encountered (700)" where `status` is an error:
// std::bad_alloc for want of memory, DeviceLost where the GPU runs nothing any more in this process.
void check(cudaError_t status, const char* what);

}  // namespace skua::cuda
