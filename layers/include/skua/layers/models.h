// Models by name, for the command and for comparisons.
#pragma once

#include <string>
#include <vector>

#include "skua/layers/sequential.h"

namespace skua {

[[nodiscard]] std::vector<std::string> model_names();
// Throws std::invalid_argument listing the names where `name` is none of them.
[[nodiscard]] Sequential make_model(const std::string& name);

}  // namespace skua
