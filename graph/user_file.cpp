#include "user_file.h"

#include <fmt/format.h>

#include <cctype>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace skua {

std::string bytes_of(const std::string& path, const std::string& prefix) {
  errno = 0;
  std::ifstream stream(path, std::ios::binary);
  std::string bytes;
  char chunk[1 << 16];
  while (stream) {
    stream.read(chunk, sizeof chunk);
    bytes.append(chunk, static_cast<std::size_t>(stream.gcount()));
  }
  if (stream.eof()) return bytes;
  throw std::invalid_argument(fmt::format("{}expected a readable file, got: {}", prefix, std::strerror(errno)));
}

std::string one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    const bool space = c == ' ' || std::iscntrl(static_cast<unsigned char>(c)) != 0;
    if (!space) line += c;
    if (space && !line.ends_with(' ')) line += ' ';
  }
  return line;
}

}  // namespace skua
