// A graph made ready for a GPU: a kernel per node.
#pragma once

#include <memory>

#include "kernel.h"

namespace skua::cuda {

// `gpu` and `libraries` must outlive it. Throws std::invalid_argument "[type name] ..." where an operator has no
// kernel.
[[nodiscard]] std::unique_ptr<Program> make_program(const Graph& graph, Gpu& gpu, Libraries& libraries);

}  // namespace skua::cuda
