#include "fake_stream.h"

#include <algorithm>
#include <stdexcept>
#include <utility>

#include "skua/engine/device.h"

namespace skua::fake {

// Runs each chain on a thread of its own, between what its stream ran before and what it runs after.
class FakeGraph final : public cuda::GpuGraph {
 public:
  FakeGraph(std::shared_ptr<FakeState> state, std::shared_ptr<Capture> capture)
      : state_(std::move(state)), capture_(std::move(capture)) {
    for (const Capture::Chain& chain : capture_->chains) {
      threads_.push_back(std::make_unique<WorkThread>(chain.hardware->conditions));
    }
    slots_.resize(capture_->slots);
  }

  void launch(cuda::GpuStream& on) override {
    auto& stream = static_cast<FakeStream&>(on);
    stream.hardware_.check();
    for (const Capture::Chain& chain : capture_->chains) chain.hardware->check();
    if (stream.capturing()) throw std::runtime_error("CUDA: graph launch failed: the stream is capturing");
    for (Moment*& slot : slots_) slot = &state_->moments.make();
    Moment& begin = state_->moments.make();
    stream.thread_->push({.kind = Command::Kind::kRecord, .moment = &begin});
    for (std::size_t i = 0; i < threads_.size(); ++i) {
      WorkThread& thread = *threads_[i];
      thread.push({.kind = Command::Kind::kWait, .moment = &begin});
      for (const Capture::Step& step : capture_->chains[i].steps) thread.push(command(step));
      Moment& end = state_->moments.make();
      thread.push({.kind = Command::Kind::kRecord, .moment = &end});
      stream.thread_->push({.kind = Command::Kind::kJoin, .moment = &end});
    }
  }

 private:
  [[nodiscard]] Command command(const Capture::Step& step) const {
    const Command& from = step.command;
    if (from.kind == Command::Kind::kWork) return {.kind = Command::Kind::kSharedWork, .shared_work = &from.work};
    Command command{.kind = from.kind, .to = from.to, .from = from.from, .bytes = from.bytes};
    if (from.kind == Command::Kind::kRecord || from.kind == Command::Kind::kWait) command.moment = slots_[step.slot];
    return command;
  }

  const std::shared_ptr<FakeState> state_;
  const std::shared_ptr<Capture> capture_;
  std::vector<Moment*> slots_;
  std::vector<std::unique_ptr<WorkThread>> threads_;
};

void FakeHardware::check() const {
  if (conditions.lost.load(std::memory_order_relaxed)) {
    throw DeviceLost("CUDA: GPU " + std::to_string(ordinal) + " is lost: told to by the test");
  }
}

FakeState::FakeState(FakeOptions from) : options(std::move(from)) {
  for (int i = 0; i < options.gpus; ++i) {
    hardware.push_back(std::make_unique<FakeHardware>());
    hardware.back()->ordinal = i;
  }
}

void FakeState::add_group(std::size_t of_reduces, std::size_t ranks) {
  groups.fetch_add(1, std::memory_order_relaxed);
  reduces.fetch_add(static_cast<long>(of_reduces), std::memory_order_relaxed);
  if (most_ranks.load(std::memory_order_relaxed) < static_cast<long>(ranks)) most_ranks = static_cast<long>(ranks);
}

float* FakeState::keep(std::size_t floats) {
  const std::scoped_lock lock(left_mutex);
  return kept.emplace_back(std::make_unique<float[]>(floats)).get();
}

Moment* FakeEvent::moment() const {
  if (capture_ != nullptr) throw std::runtime_error("CUDA: event failed: last recorded in a capture");
  return moment_;
}

FakeStream::FakeStream(std::shared_ptr<FakeState> state, FakeHardware& hardware, const void* gpu)
    : state_(std::move(state)),
      hardware_(hardware),
      gpu_(gpu),
      thread_(std::make_unique<WorkThread>(hardware.conditions)) {}

FakeStream::~FakeStream() {
  const std::scoped_lock lock(state_->left_mutex);
  state_->left.push_back(std::move(thread_));
}

void* FakeStream::native() const {
  return const_cast<WorkQueue*>(static_cast<const WorkQueue*>(this));
}

void FakeStream::push(std::function<void()> work) {
  submit_work({.kind = Command::Kind::kWork, .work = std::move(work)});
}

void FakeStream::copy(void* to, const void* from, std::size_t bytes) {
  submit_work({.kind = Command::Kind::kCopy, .to = to, .from = from, .bytes = bytes});
}

void FakeStream::submit_work(Command command) {
  hardware_.check();
  if (hardware_.lose.due()) command = {.kind = Command::Kind::kLose};
  if (hardware_.fail.due()) command = {.kind = Command::Kind::kFail};
  if (!capturing()) {
    thread_->push(std::move(command));
    return;
  }
  chain().steps.push_back({std::move(command)});
  chain().joined[chain_] = ++chain().works;
}

void FakeStream::record(cuda::Event& event) {
  hardware_.check();
  auto& recorded = static_cast<FakeEvent&>(event);
  if (recorded.gpu_ != gpu_) throw std::runtime_error("CUDA: record failed: the event is another GPU's");
  if (!capturing()) {
    recorded.capture_ = nullptr;
    recorded.moment_ = &state_->moments.make();
    thread_->push({.kind = Command::Kind::kRecord, .moment = recorded.moment_});
    return;
  }
  recorded.capture_ = capture_;
  recorded.slot_ = capture_->slots++;
  recorded.joined_ = chain().joined;
  chain().steps.push_back({{.kind = Command::Kind::kRecord}, recorded.slot_});
}

void FakeStream::wait(const cuda::Event& event) {
  hardware_.check();
  wait(static_cast<const FakeEvent&>(event), state_->drop_waits.due());
}

void FakeStream::follow(FakeStream& other) {
  FakeEvent event(other.gpu_);
  other.record(event);
  wait(event, false);
}

void FakeStream::wait(const FakeEvent& awaited, bool dropped) {
  if (awaited.capture_ != nullptr) {
    wait_captured(awaited, dropped);
    return;
  }
  if (capturing()) throw std::runtime_error("CUDA: wait failed: the event was recorded before the capture");
  if (awaited.moment_ == nullptr || dropped) return;
  thread_->push({.kind = Command::Kind::kWait, .moment = awaited.moment_});
}

// A dropped wait still joins the capture, and counts as joined at its end.
void FakeStream::wait_captured(const FakeEvent& event, bool dropped) {
  if (event.capture_->ended) throw std::runtime_error("CUDA: wait failed: the event was recorded in a capture");
  if (!capturing()) {
    capture_ = event.capture_;
    chain_ = capture_->chains.size();
    capture_->chains.emplace_back().hardware = &hardware_;
  }
  if (capture_ != event.capture_) throw std::runtime_error("CUDA: wait failed: the event is another capture's");
  std::vector<std::size_t>& joined = chain().joined;
  joined.resize(capture_->chains.size());
  for (std::size_t i = 0; i < event.joined_.size(); ++i) joined[i] = std::max(joined[i], event.joined_[i]);
  if (!dropped) chain().steps.push_back({{.kind = Command::Kind::kWait}, event.slot_});
}

// Also of a lost GPU nothing is under way any more when it throws.
void FakeStream::synchronize() {
  if (capturing()) throw std::runtime_error("CUDA: synchronize failed: the stream is capturing");
  Moment& moment = state_->moments.make();
  thread_->push({.kind = Command::Kind::kRecord, .moment = &moment});
  moment.wait();
  hardware_.check();
  moment.tell();
}

void FakeStream::begin_capture() {
  hardware_.check();
  if (state_->options.refuse_capture) throw std::runtime_error("CUDA: capture failed: refused by the test");
  if (capturing()) throw std::runtime_error("CUDA: capture failed: the stream is capturing");
  capture_ = std::make_shared<Capture>();
  capture_->chains.emplace_back().hardware = &hardware_;
  capture_->chains[0].joined.resize(1);
  chain_ = 0;
}

std::unique_ptr<cuda::GpuGraph> FakeStream::end_capture() {
  hardware_.check();
  if (!capturing() || chain_ != 0) throw std::runtime_error("CUDA: end of capture failed: none was begun here");
  const std::shared_ptr<Capture> capture = std::exchange(capture_, nullptr);
  capture->ended = true;
  std::vector<std::size_t>& joined = capture->chains[0].joined;
  joined.resize(capture->chains.size());
  for (std::size_t i = 0; i < joined.size(); ++i) {
    if (joined[i] != capture->chains[i].works) {
      throw std::runtime_error("CUDA: end of capture failed: a stream was not waited for");
    }
  }
  return std::make_unique<FakeGraph>(state_, capture);
}

}  // namespace skua::fake
