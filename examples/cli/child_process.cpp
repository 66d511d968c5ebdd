#include "child_process.h"

#include <fmt/format.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace skua::cli {
namespace {

// What `read_end` gives until its other end is closed.
std::string content_of(int read_end) {
  std::string content;
  char buffer[4096];
  for (ssize_t count; (count = read(read_end, buffer, sizeof buffer)) != 0;) {
    if (count > 0) content.append(buffer, static_cast<std::size_t>(count));
    if (count < 0 && errno != EINTR) break;
  }
  return content;
}

// Its standard output and error go to `write_end`.
pid_t spawn(const std::vector<std::string>& words, int read_end, int write_end) {
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, write_end, STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, write_end, STDERR_FILENO);
  posix_spawn_file_actions_addclose(&actions, read_end);
  posix_spawn_file_actions_addclose(&actions, write_end);
  pid_t child = 0;
  const int error = posix_spawnp(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  close(write_end);
  if (error == 0) return child;
  close(read_end);
  throw std::runtime_error(fmt::format("cannot start {}: {}", words[0], std::strerror(error)));
}

}  // namespace

ChildRun run_child(const std::vector<std::string>& words) {
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error(fmt::format("no pipe to {}: {}", words[0], std::strerror(errno)));
  const auto start = std::chrono::steady_clock::now();
  const pid_t child = spawn(words, ends[0], ends[1]);
  ChildRun run;
  run.output = content_of(ends[0]);
  close(ends[0]);
  int status = 0;
  rusage usage{};
  while (wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  run.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  run.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  run.peak_bytes = static_cast<double>(usage.ru_maxrss) * 1024;  // Linux counts kilobytes
  return run;
}

std::string own_program() {
  return std::filesystem::read_symlink("/proc/self/exe").string();
}

}  // namespace skua::cli
