#include "recording.h"

#include <utility>
#include <vector>

namespace skua::cuda {
namespace {

class CudaRecording final : public Recording {
 public:
  CudaRecording(Gpu& gpu, CudaStream& stream, std::unique_ptr<GpuGraph> graph, std::vector<Check> checks)
      : stream_(stream), graph_(std::move(graph)), checks_(std::move(checks)), mark_(gpu) {}

  void replay(Completion& completion) override {
    stream_.begin(mark_);
    graph_->launch(stream_.gpu());
    stream_.end_replay(mark_, completion, checks_);
  }

 private:
  CudaStream& stream_;
  const std::unique_ptr<GpuGraph> graph_;
  const std::vector<Check> checks_;
  CudaMark mark_;
};

// The streams of a capture.
class Capture {
 public:
  explicit Capture(std::span<Stream* const> streams) {
    for (Stream* const stream : streams) streams_.push_back(static_cast<CudaStream*>(stream));
  }

  [[nodiscard]] CudaStream& first() { return *streams_.front(); }

  void begin() { first().gpu().begin_capture(); }
  void fork() {
    first().end(first().fork_mark(), nullptr);
    for (CudaStream* const other : others()) other->wait(first().fork_mark());
  }
  void join() {
    for (CudaStream* const other : others()) {
      other->end(other->fork_mark(), nullptr);
      first().wait(other->fork_mark());
    }
  }
  [[nodiscard]] std::vector<Check> take_checks() {
    std::vector<Check> checks;
    for (CudaStream* const stream : streams_) {
      for (const Check& check : stream->take_checks()) checks.push_back(check);
    }
    return checks;
  }
  // The streams can be submitted to again, whatever was captured.
  void abandon() noexcept {
    try {
      (void)take_checks();
      join();
    } catch (...) {  // then the end says so too
    }
    try {
      (void)first().gpu().end_capture();
    } catch (...) {  // what made it fail is what the caller learns
    }
  }

 private:
  [[nodiscard]] std::span<CudaStream* const> others() const { return std::span(streams_).subspan(1); }

  std::vector<CudaStream*> streams_;
};

}  // namespace

std::unique_ptr<Recording> record(Gpu& gpu, std::span<Stream* const> streams, const std::function<void()>& submit) {
  Capture capture(streams);
  capture.begin();
  try {
    capture.fork();
    submit();
    capture.join();
  } catch (...) {
    capture.abandon();
    throw;
  }
  std::vector<Check> checks = capture.take_checks();
  return std::make_unique<CudaRecording>(gpu, capture.first(), capture.first().gpu().end_capture(), std::move(checks));
}

}  // namespace skua::cuda
