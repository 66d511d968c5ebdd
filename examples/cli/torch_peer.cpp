#include "torch_peer.h"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <sstream>
#include <stdexcept>
#include <tuple>

namespace skua::cli {
namespace {

constexpr std::string_view kMedian = " median_ms=";

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

ChildRun TorchPeer::train(const PeerRun& run, const std::string& options) const {
  std::vector<std::string> words{python_,     script_,
                                 "--model",   run.model,
                                 "--batch",   std::to_string(run.batch),
                                 "--threads", std::to_string(run.threads),
                                 "--steps",   std::to_string(run.steps)};
  std::istringstream more(options);
  for (std::string word; more >> word;) words.push_back(word);
  ChildRun child = run_child(words);
  const std::string line = last_line(child.output);
  if (child.status != 0 || !line.starts_with("RESULT") || line.find(kMedian) == std::string::npos) {
    throw std::runtime_error(
        fmt::format("[peer] {} {}: expected a line RESULT with median_ms, got '{}'", run.model, options, line));
  }
  return child;
}

double TorchPeer::median_ms(const PeerRun& run, const std::string& options) const {
  const std::string line = last_line(train(run, options).output);
  return std::stod(line.substr(line.find(kMedian) + kMedian.size()));
}

double TorchPeer::peak_bytes(const PeerRun& run, const std::string& options) const {
  PeerRun all = run;
  all.steps = run.steps - 1;  // the script trains one before those it times
  return train(all, options + " --warmup 0").peak_bytes;
}

}  // namespace skua::cli
