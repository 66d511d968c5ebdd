// What the fuzz targets share. A target is a source with LLVMFuzzerTestOneInput, which libFuzzer calls under the preset
// `fuzz` and mutate.cpp in all others. An uncaught exception ends the process, and so is a finding.
#pragma once

#include <cctype>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <stdexcept>
#include <string>

#include "files.h"

// Called by name; there is no header that declares it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace skua::test {

inline std::string text_of(const std::uint8_t* data, std::size_t size) {
  return {data, data + size};
}

// Files of this process, gone at its end.
inline const Folder& fuzz_folder() {
  static const Folder folder("fuzz");
  return folder;
}

// What must hold of whatever is read.
inline void require(bool holds, const std::string& what) {
  if (holds) return;
  std::fprintf(stderr, "fuzz: expected %s\n", what.c_str());
  std::abort();
}

// What `read` makes of a file; nothing where it refuses that as it should: std::invalid_argument, one line.
template <class Read>
auto accepted(Read read) -> std::optional<decltype(read())> {
  try {
    return read();
  } catch (const std::invalid_argument& error) {
    const std::string text = error.what();
    bool one_line = !text.empty();
    for (const char c : text) one_line = one_line && std::iscntrl(static_cast<unsigned char>(c)) == 0;
    require(one_line, "an error of one line, got: " + text);
    return {};
  }
}

// What comes later may refuse what was read.
template <class Use>
void attempt(Use use) {
  try {
    use();
  } catch (const std::invalid_argument&) {
  }
}

}  // namespace skua::test
