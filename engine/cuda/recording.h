// Work of several streams as a graph of the CUDA runtime.
#pragma once

#include <functional>
#include <memory>
#include <span>

#include "cuda_stream.h"

namespace skua::cuda {

// As Device::record, of the device whose GPU `gpu` is; all streams are CudaStreams. The recording is replayed on the
// first, and both must outlive it. Throws also where the runtime refuses.
[[nodiscard]] std::unique_ptr<Recording> record(Gpu& gpu, std::span<Stream* const> streams,
                                                const std::function<void()>& submit);

}  // namespace skua::cuda
