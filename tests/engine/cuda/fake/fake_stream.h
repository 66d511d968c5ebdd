// Streams, events and captured work of fake GPUs.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "fake_runtime.h"
#include "work_thread.h"

namespace skua::fake {

// Counts down to an event of a test's: below 0 none is due.
class Countdown {
 public:
  void set(long first, long count) {
    count_.store(count, std::memory_order_relaxed);
    left_.store(first, std::memory_order_relaxed);
  }
  [[nodiscard]] bool due() {
    const long left = left_.fetch_sub(1, std::memory_order_relaxed);
    return left <= 0 && left > -count_.load(std::memory_order_relaxed);
  }

 private:
  std::atomic<long> left_{0};
  std::atomic<long> count_{0};
};

// A GPU of the machine; its parts share it.
struct FakeHardware {
  int ordinal = 0;
  Conditions conditions;
  std::atomic<std::size_t> live_bytes{0};
  Countdown lose;
  Countdown fail;

  void check() const;  // throws DeviceLost
};

struct FakeState {
  explicit FakeState(FakeOptions from);
  FakeOptions options;
  std::vector<std::unique_ptr<FakeHardware>> hardware;
  std::atomic<std::size_t> live_host_bytes{0};
  Countdown drop_waits;
  Moments moments;
  void add_group(std::size_t reduces, std::size_t ranks);
  std::atomic<long> groups{0};
  std::atomic<long> reduces{0};
  std::atomic<long> most_ranks{0};

  std::vector<std::unique_ptr<float[]>> kept;  // declared before `left`, whose work may use it

  // Of streams that are no more: as in CUDA, their work goes on.
  std::mutex left_mutex;  // also of `kept`
  std::vector<std::unique_ptr<WorkThread>> left;
  // What communicators send through: `floats` of it, for good.
  [[nodiscard]] float* keep(std::size_t floats);
};

// What was pushed between begin_capture and end_capture: for each stream a chain of commands, whose moments are slots
// that each launch fills anew.
struct Capture {
  struct Step {
    Command command;
    std::size_t slot = 0;  // of kRecord and kWait
  };
  struct Chain {
    FakeHardware* hardware = nullptr;
    std::vector<Step> steps;
    std::size_t works = 0;
    std::vector<std::size_t> joined;  // by chain: of its works, those that this one has waited for
  };
  std::vector<Chain> chains;  // the first is the stream's that captures
  std::size_t slots = 0;
  bool ended = false;
};

class FakeEvent final : public cuda::Event {
 public:
  explicit FakeEvent(const void* gpu) : gpu_(gpu) {}
  [[nodiscard]] const void* gpu() const { return gpu_; }
  // What it was last recorded behind, where that was not captured; throws where it was. Null: never recorded.
  [[nodiscard]] Moment* moment() const;

 private:
  friend class FakeStream;
  const void* gpu_;
  Moment* moment_ = nullptr;
  std::shared_ptr<Capture> capture_;
  std::size_t slot_ = 0;
  std::vector<std::size_t> joined_;
};

class FakeStream final : public cuda::GpuStream, public WorkQueue {
 public:
  FakeStream(std::shared_ptr<FakeState> state, FakeHardware& hardware, const void* gpu);
  ~FakeStream() override;
  FakeStream(const FakeStream&) = delete;
  FakeStream& operator=(const FakeStream&) = delete;

  void push(std::function<void()> work) override;
  [[nodiscard]] void* native() const override;
  void copy(void* to, const void* from, std::size_t bytes) override;
  void record(cuda::Event& event) override;
  void wait(const cuda::Event& event) override;
  void synchronize() override;
  void begin_capture() override;
  [[nodiscard]] std::unique_ptr<cuda::GpuGraph> end_capture() override;

  // Waits for what the other has been given so far, whatever waits are dropped: the library's own.
  void follow(FakeStream& other);
  [[nodiscard]] FakeState& state() { return *state_; }

 private:
  friend class FakeGraph;
  void submit_work(Command command);
  void wait(const FakeEvent& event, bool dropped);
  void wait_captured(const FakeEvent& event, bool dropped);
  [[nodiscard]] bool capturing() const { return capture_ != nullptr && !capture_->ended; }
  [[nodiscard]] Capture::Chain& chain() { return capture_->chains[chain_]; }

  const std::shared_ptr<FakeState> state_;
  FakeHardware& hardware_;
  const void* const gpu_;
  std::shared_ptr<Capture> capture_;
  std::size_t chain_ = 0;
  std::unique_ptr<WorkThread> thread_;
};

}  // namespace skua::fake
