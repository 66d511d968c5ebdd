#include <fmt/format.h>

#include "kernels.h"

namespace skua::cuda {

std::string describe_label(const Fault& fault, std::int64_t classes) {
  return fmt::format("expected labels in [0,{}), got {} in row {}", classes, fault.value, fault.position);
}

std::string describe_id(const Fault& fault, std::int64_t rows) {
  return fmt::format("expected ids in [0,{}), got {} at position {}", rows, fault.value, fault.position);
}

}  // namespace skua::cuda
