// How CPU devices are written: "cpu:N" is N devices of one thread each, "cpu:NxT" N devices of T threads.
#pragma once

#include <optional>
#include <string>

namespace skua {

struct CpuSpec {
  int devices = 1;
  int threads = 1;  // of each device

  static constexpr int kMostThreads = 4096;  // in all
};

// Nothing where the text is none of the two forms or asks for more threads than there may be.
[[nodiscard]] std::optional<CpuSpec> parse_cpu_spec(const std::string& text);

}  // namespace skua
