// Reading constraints that are part of another file.
#pragma once

#include "skua/scheduler/constraints.h"

namespace skua {

namespace proto {
class Constraints;
}

[[nodiscard]] Constraints constraints_from(const proto::Constraints& file);

}  // namespace skua
