// Counts what the calling thread takes from the heap by operator new.
#pragma once

#include <cstddef>

namespace skua::test {

[[nodiscard]] std::size_t allocations();

}  // namespace skua::test
