// oneTBB's loop, for parallel.cpp alone. Compiled without ThreadSanitizer, which would take the tasks that oneTBB hands
// from thread to thread inside its library for races.
#pragma once

#include <cstddef>
#include <functional>

namespace skua {

// REQUIRES: `action` throws nothing.
void run_on_tbb(std::size_t count, const std::function<void(std::size_t)>& action);

}  // namespace skua
