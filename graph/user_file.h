// Files that users bring, for the rooms' sources. Not installed.
#pragma once

#include <string>
#include <string_view>

namespace skua {

// All of a file. Throws std::invalid_argument, `prefix` before its text, where it cannot be read.
[[nodiscard]] std::string bytes_of(const std::string& path, const std::string& prefix = "");

// For errors that quote a file: line breaks and other control characters become spaces, several of them one.
[[nodiscard]] std::string one_line(std::string_view text);

}  // namespace skua
