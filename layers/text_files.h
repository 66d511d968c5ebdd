// Text files as strings. Throw std::invalid_argument naming the file where it cannot be read.
#pragma once

#include <string>
#include <vector>

namespace skua {

[[nodiscard]] std::string text_of(const std::string& path);
[[nodiscard]] std::vector<std::string> lines_of(const std::string& path);  // without the ends of lines

}  // namespace skua
