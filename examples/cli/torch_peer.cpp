#include "torch_peer.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <stdexcept>
#include <tuple>

namespace skua::cli {
namespace {

// What may be faster and computes the same; "" is the script's own setting.
std::vector<std::string> candidates(const std::string& model) {
  std::vector<std::string> by_model;
  if (model == "cnn") {
    by_model = {"", " --trace", " --channels-last", " --channels-last --trace"};
  } else if (model == "gan") {
    by_model = {"", " --convt", " --convt --fast-dropout", " --convt --fast-dropout --channels-last"};
  } else {
    by_model = {"", " --trace", " --custom", " --custom --foreach"};
  }
  std::vector<std::string> all{""};
  for (const char* const blas : {"", " --blas openblas-openmp"}) {
    for (const std::string& options : by_model) all.push_back("--malloc" + options + blas);
  }
  return all;
}

std::string quoted(const std::string& word) {
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? "'\\''" : std::string(1, c);
  return text + "'";
}

// Standard output and error of a shell command.
std::pair<int, std::string> run_command(const std::string& command) {
  FILE* const pipe = popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error(fmt::format("[peer] cannot start {}", command));
  std::string output;
  char buffer[4096];
  while (const std::size_t read = std::fread(buffer, 1, sizeof buffer, pipe)) output.append(buffer, read);
  const int status = pclose(pipe);
  return {status, output};
}

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);
}

}  // namespace

TorchPeer::TorchPeer(std::string python, std::string script) : python_(std::move(python)), script_(std::move(script)) {
  if (!std::filesystem::is_regular_file(script_)) {
    throw std::invalid_argument(fmt::format("[--peer] expected a Python script, got '{}'", script_));
  }
}

std::string TorchPeer::fastest_options(const PeerRun& run) const {
  std::string best;
  double best_ms = std::numeric_limits<double>::infinity();
  std::string error;
  for (const std::string& options : candidates(run.model)) {
    try {
      const double ms = median_ms(run, options);
      if (ms < best_ms) std::tie(best_ms, best) = std::tuple(ms, options);
    } catch (const std::runtime_error& failed) {  // this machine lacks what they need
      error = failed.what();
    }
  }
  if (std::isinf(best_ms)) throw std::runtime_error(error);
  return best;
}

double TorchPeer::median_ms(const PeerRun& run, const std::string& options) const {
  const auto [status, output] =
      run_command(fmt::format("{} {} --model {} --batch {} --threads {} --steps {} {}", quoted(python_),
                              quoted(script_), run.model, run.batch, run.threads, run.steps, options));
  const std::string line = last_line(output);
  constexpr std::string_view kKey = " median_ms=";
  const std::size_t at = line.find(kKey);
  if (status != 0 || !line.starts_with("RESULT") || at == std::string::npos) {
    throw std::runtime_error(
        fmt::format("[peer] {} {}: expected a line RESULT with median_ms, got '{}'", run.model, options, line));
  }
  return std::stod(line.substr(at + kKey.size()));
}

}  // namespace skua::cli
