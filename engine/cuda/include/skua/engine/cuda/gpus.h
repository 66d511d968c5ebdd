// This machine's GPUs as the CUDA runtime lists them; none is opened. Any thread.
#pragma once

#include "skua/engine/gpu_list.h"

namespace skua {

[[nodiscard]] GpuList list_gpus();

}  // namespace skua
