// Commands run as processes of their own, to their end.
#pragma once

#include <string>
#include <vector>

namespace skua::cli {

struct ChildRun {
  int status = 0;         // what it exited with; 128 + signal where one ended it
  std::string output;     // standard output and error
  double seconds = 0;     // from its start to its end
  double peak_bytes = 0;  // resident; the largest of itself and of children that it waited for
};

// words[0] is looked for in PATH. Linux counts this process's own peak until now as the child's, so start what shall be
// measured while this process is small. Throws std::runtime_error where it cannot be started.
[[nodiscard]] ChildRun run_child(const std::vector<std::string>& words);

// This program's file.
[[nodiscard]] std::string own_program();

}  // namespace skua::cli
