// The memory of the machine that this runs on. Any thread.
#pragma once

#include <unistd.h>

namespace skua {

[[nodiscard]] inline double host_memory_bytes() {
  return static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGE_SIZE));
}

}  // namespace skua
