// Tells when what was submitted to a stream has ended: a thread that sleeps until the oldest has. Nothing that it does
// orders the submitting thread behind the GPU's work but the completions themselves.
#pragma once

#include <semaphore.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "kernel.h"

namespace skua::cuda {

class CudaMark final : public Mark {
 public:
  explicit CudaMark(Gpu& gpu) : began(gpu.make_event()), ended(gpu.make_event()) {}
  const std::unique_ptr<Event> began;
  const std::unique_ptr<Event> ended;
};

// What a node may find wrong with its data; looked at when it has ended.
struct Check {
  const Fault* fault = nullptr;
  const Kernel* kernel = nullptr;
  const std::string* label = nullptr;  // "embedding embedding_1"
};

class Watcher {
 public:
  Watcher(Gpu& gpu, GpuStream& stream);
  ~Watcher();  // when all is told
  Watcher(const Watcher&) = delete;
  Watcher& operator=(const Watcher&) = delete;

  // The mark's end was the last thing recorded. `checks` are copied, `lasting` outlive the work. Sleeps while
  // kMostUnderWay are under way. One thread at a time.
  void watch(const CudaMark& mark, Completion& completion, std::span<const Check> checks,
             std::span<const Check> lasting);

  static constexpr std::size_t kMostUnderWay = 256;

 private:
  struct Entry {
    const CudaMark* mark = nullptr;
    Completion* completion = nullptr;
    std::vector<Check> checks;
    std::span<const Check> lasting;
    const Event* anchor = nullptr;  // recorded right behind it; null: none
  };

  void serve();
  void tell(const Entry& entry);
  [[nodiscard]] double ended_seconds(const CudaMark& mark, double now_seconds);
  void follow(const Event& anchor, const CudaMark& mark, double ended_seconds);

  Gpu& gpu_;
  GpuStream& stream_;
  std::vector<Entry> entries_;  // a ring
  sem_t posted_;
  std::atomic<std::uint64_t> told_{0};

  // By the host's clock, times are those of an event of our own plus what the GPU measured from there; a new one is
  // recorded now and then, into the other of two, once the watcher has come to the last.
  std::array<std::unique_ptr<Event>, 2> anchors_;
  std::atomic<std::uint64_t> followed_{0};

  // The submitting thread's.
  std::uint64_t pushed_ = 0;
  std::uint64_t known_told_ = 0;
  std::uint64_t anchored_ = 0;
  double anchored_seconds_;

  // The watcher's.
  const Event* anchor_ = nullptr;
  double anchor_seconds_ = 0;

  std::thread thread_;
};

}  // namespace skua::cuda
