// Libraries by cuBLASLt and cuDNN.
#pragma once

#include <memory>
#include <string>

#include "libraries.h"

namespace skua::cuda {

// For the calling thread's GPU, or a part of it with so many multiprocessors; 0: all of them.
[[nodiscard]] std::unique_ptr<Libraries> make_machine_libraries(Precision precision, int multiprocessors);
[[nodiscard]] std::string library_versions();  // "cuDNN 9.19.0, NCCL 2.28.9"

}  // namespace skua::cuda
