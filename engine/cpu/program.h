// A graph made ready for a CPU device: layouts of values and a compiled kernel per node.
#pragma once

#include "kernel.h"

namespace skua::cpu {

// Throws std::invalid_argument "[type name] ..." where an operator has no kernel.
[[nodiscard]] std::unique_ptr<Program> make_program(const Graph& graph, int threads);

}  // namespace skua::cpu
