// GPUs of host threads: each stream a thread, memory the host's. What streams and events order is ordered, and nothing
// else, so that ThreadSanitizer reports work that lacks a wait; errors, lost waits and refusals come when asked for.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/cuda/libraries.h"
#include "work_queue.h"

namespace skua::fake {

struct FakeOptions {
  int gpus = 1;
  std::string no_gpu = "no CUDA-capable device is detected";  // why, where there are none
  double memory_bytes = 1 << 30;                              // of a GPU
  int multiprocessors = 128;
  bool refuse_capture = false;  // begin_capture throws
  bool refuse_parts = false;    // the parts share the GPU, with a warning
  // Null: make_libraries gives null.
  std::function<std::unique_ptr<cuda::Libraries>(cuda::Precision)> make_libraries = {};
};

// What all that belongs to one FakeRuntime shares.
struct FakeState;

class FakeRuntime final : public cuda::Runtime {
 public:
  explicit FakeRuntime(FakeOptions options = {});
  ~FakeRuntime() override;

  [[nodiscard]] int gpu_count(std::string& why) override;
  [[nodiscard]] std::string versions() override { return "CUDA of host threads"; }
  [[nodiscard]] std::vector<std::unique_ptr<cuda::Gpu>> open(int ordinal, int parts, std::string& warning) override;
  void enable_peers(const std::vector<int>& ordinals) override { peers_ = ordinals; }

  // Bytes that are allocated now: of a GPU's memory, by all its parts; of host memory, by all GPUs.
  [[nodiscard]] std::size_t live_bytes(int ordinal) const;
  [[nodiscard]] std::size_t live_host_bytes() const;
  [[nodiscard]] const std::vector<int>& peers() const { return peers_; }

  // Groups of reduces that communicators were given, recorded ones once.
  struct Reduced {
    long groups = 0;
    long reduces = 0;
    long most_ranks = 0;
  };
  [[nodiscard]] Reduced reduced() const;

  // Each work and copy begins so much later.
  void delay(int ordinal, double seconds);
  // Of the waits for events submitted from now on, those from `first` (0: the next) on, `count` of them, do not wait.
  void drop_waits(long first, long count);
  // From now on every call throws DeviceLost, and no work is done.
  void lose(int ordinal);
  // Of the works and copies submitted to it from now on, the one at `index` (0: the next) loses the GPU, or fails
  // alone: who synchronizes with what is behind it is told, until somebody has been.
  void lose_at(int ordinal, long index);
  void fail_at(int ordinal, long index);

 private:
  std::shared_ptr<FakeState> state_;
  std::vector<int> peers_;
};

}  // namespace skua::fake
