// Products and convolutions by plain loops on a fake stream, in float32 and in order.
#pragma once

#include <memory>

#include "engine/cuda/libraries.h"

namespace skua::fake {

[[nodiscard]] std::unique_ptr<cuda::Libraries> make_fake_libraries(cuda::Precision precision);

}  // namespace skua::fake
