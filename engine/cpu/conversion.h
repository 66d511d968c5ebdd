// Moving a value between two layouts. Made at compile time; run() is for one thread at a time.
#pragma once

#include <vector>

#include "layout.h"

namespace skua::cpu {

class Conversion {
 public:
  // REQUIRES: as many elements of the same type in both.
  Conversion(const Layout& from, const Layout& to);

  [[nodiscard]] std::size_t scratch_bytes() const;
  void run(const void* from, void* to, void* scratch);

 private:
  std::size_t bytes_;             // where both are plain
  std::size_t middle_bytes_ = 0;  // of the plain copy between two layouts of different dimensions
  std::vector<Execution> steps_;
};

// Rounded up to whole cache lines.
[[nodiscard]] std::size_t aligned(std::size_t bytes);

}  // namespace skua::cpu
