// Operators that carry an activation (OpTraits::takes_activation).
#pragma once

#include "skua/graph/op_registry.h"

namespace skua::ops {

// The same operator, which may also carry one: its gradient rule then gets the gradient by what the activation takes.
[[nodiscard]] OpDefinition with_activation(OpDefinition definition);
// The operator as if it carried none.
[[nodiscard]] Op without_activation(const Op& op);

}  // namespace skua::ops
