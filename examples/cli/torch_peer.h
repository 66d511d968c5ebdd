// The PyTorch side of `skua bench models`: a Python script that trains one model and prints a line
// "RESULT ... variant=... median_ms=...".
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "child_process.h"

namespace skua::cli {

struct PeerRun {
  std::string model;  // cnn, rnn, lstm, gan
  std::int64_t batch = 0;
  int threads = 1;
  int steps = 30;
};

class TorchPeer {
 public:
  // `python` starts the script. Throws std::invalid_argument where the script cannot be read.
  TorchPeer(std::string python, std::string script);

  // Of those of its options that change no mathematics, the fastest for this run, each tried once. Throws
  // std::runtime_error where none works.
  [[nodiscard]] std::string fastest_options(const PeerRun& run) const;
  // Median milliseconds of a step. Throws std::runtime_error with the script's last line where it fails.
  [[nodiscard]] double median_ms(const PeerRun& run, const std::string& options) const;
  // Peak resident memory of a process that trains `run.steps` steps, at least 2. Throws likewise.
  [[nodiscard]] double peak_bytes(const PeerRun& run, const std::string& options) const;

 private:
  [[nodiscard]] ChildRun train(const PeerRun& run, const std::string& options) const;

  std::string python_;
  std::string script_;
};

}  // namespace skua::cli
