#include "fake_runtime.h"

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

#include "fake_stream.h"

namespace skua::fake {
namespace {

constexpr std::size_t kAlignment = 256;

// Before each block.
struct Header {
  std::size_t bytes;
  int owner;  // the GPU's ordinal; kHost
};
constexpr int kHost = -1;

// The block starts as garbage: float NaNs.
void* take(std::size_t bytes, int owner) {
  if (bytes > SIZE_MAX / 2) throw std::bad_alloc();
  void* start = nullptr;  // ends with the block, so that AddressSanitizer sees what lies behind
  if (posix_memalign(&start, kAlignment, kAlignment + bytes) != 0) throw std::bad_alloc();
  new (start) Header{bytes, owner};
  void* const data = static_cast<std::byte*>(start) + kAlignment;
  std::memset(data, 0xff, bytes);
  return data;
}

// The bytes that it had.
std::size_t give_back(void* data, int owner) {
  void* const start = static_cast<std::byte*>(data) - kAlignment;
  const Header header = *static_cast<Header*>(start);
  if (header.owner != owner) std::abort();  // another memory's
  std::free(start);
  return header.bytes;
}

class FakeGpu final : public cuda::Gpu {
 public:
  FakeGpu(std::shared_ptr<FakeState> state, cuda::GpuInfo info)
      : state_(std::move(state)), info_(std::move(info)), hardware_(*state_->hardware[info_.ordinal]) {}

  [[nodiscard]] const cuda::GpuInfo& info() const override { return info_; }

  [[nodiscard]] void* allocate(std::size_t bytes) override {
    hardware_.check();
    const std::size_t before = hardware_.live_bytes.fetch_add(bytes, std::memory_order_relaxed);
    if (static_cast<double>(before) + static_cast<double>(bytes) > state_->options.memory_bytes) {
      hardware_.live_bytes.fetch_sub(bytes, std::memory_order_relaxed);
      throw std::bad_alloc();
    }
    return take(bytes, info_.ordinal);
  }
  void release(void* data) noexcept override {
    hardware_.live_bytes.fetch_sub(give_back(data, info_.ordinal), std::memory_order_relaxed);
  }
  [[nodiscard]] void* allocate_host(std::size_t bytes) override {
    hardware_.check();
    void* const data = take(bytes, kHost);
    state_->live_host_bytes.fetch_add(bytes, std::memory_order_relaxed);
    return data;
  }
  void release_host(void* data) noexcept override {
    state_->live_host_bytes.fetch_sub(give_back(data, kHost), std::memory_order_relaxed);
  }

  [[nodiscard]] std::unique_ptr<cuda::GpuStream> make_stream() override {
    hardware_.check();
    return std::make_unique<FakeStream>(state_, hardware_, this);
  }
  [[nodiscard]] std::unique_ptr<cuda::Event> make_event() override {
    hardware_.check();
    return std::make_unique<FakeEvent>(this);
  }
  void synchronize(const cuda::Event& event) override {
    const Moment* const moment = static_cast<const FakeEvent&>(event).moment();
    if (moment != nullptr) moment->wait();
    hardware_.check();
    if (moment != nullptr) moment->tell();
  }
  [[nodiscard]] double seconds_between(const cuda::Event& from, const cuda::Event& to) override {
    hardware_.check();
    return seconds(to, *this) - seconds(from, *this);
  }

  [[nodiscard]] std::unique_ptr<cuda::Libraries> make_libraries(cuda::Precision precision) override {
    hardware_.check();
    return state_->options.make_libraries ? state_->options.make_libraries(precision) : nullptr;
  }

 private:
  [[nodiscard]] static double seconds(const cuda::Event& of, const FakeGpu& gpu) {
    const auto& event = static_cast<const FakeEvent&>(of);
    if (event.gpu() != &gpu) throw std::runtime_error("CUDA: elapsed time failed: the event is another GPU's");
    const Moment* const moment = event.moment();
    if (moment == nullptr || !moment->reached()) throw std::runtime_error("CUDA: elapsed time failed: not ended");
    return moment->seconds();
  }

  const std::shared_ptr<FakeState> state_;
  const cuda::GpuInfo info_;
  FakeHardware& hardware_;
};

}  // namespace

FakeRuntime::FakeRuntime(FakeOptions options) : state_(std::make_shared<FakeState>(std::move(options))) {}
FakeRuntime::~FakeRuntime() = default;

int FakeRuntime::gpu_count(std::string& why) {
  if (state_->options.gpus == 0) why = state_->options.no_gpu;
  return state_->options.gpus;
}

std::vector<std::unique_ptr<cuda::Gpu>> FakeRuntime::open(int ordinal, int parts, std::string& warning) {
  if (state_->options.refuse_parts && parts > 1) {
    warning = "GPU " + std::to_string(ordinal) + " cannot be split: refused by the test";
  }
  cuda::GpuInfo info;
  info.name = "Fake GPU";
  info.ordinal = ordinal;
  info.multiprocessors = state_->options.multiprocessors / parts;
  info.memory_bytes = state_->options.memory_bytes / parts;
  info.flops_per_second = 1e12 / parts;
  info.bytes_per_second = 1e11 / parts;
  std::vector<std::unique_ptr<cuda::Gpu>> gpus;
  for (int i = 0; i < parts; ++i) gpus.push_back(std::make_unique<FakeGpu>(state_, info));
  return gpus;
}

std::size_t FakeRuntime::live_bytes(int ordinal) const {
  return state_->hardware.at(ordinal)->live_bytes;
}
std::size_t FakeRuntime::live_host_bytes() const {
  return state_->live_host_bytes;
}

FakeRuntime::Reduced FakeRuntime::reduced() const {
  return {state_->groups, state_->reduces, state_->most_ranks};
}

void FakeRuntime::delay(int ordinal, double seconds) {
  state_->hardware.at(ordinal)->conditions.delay_nanoseconds = static_cast<std::int64_t>(1e9 * seconds);
}
void FakeRuntime::drop_waits(long first, long count) {
  state_->drop_waits.set(first, count);
}
void FakeRuntime::lose(int ordinal) {
  state_->hardware.at(ordinal)->conditions.lost = true;
}
void FakeRuntime::lose_at(int ordinal, long index) {
  state_->hardware.at(ordinal)->lose.set(index, 1);
}
void FakeRuntime::fail_at(int ordinal, long index) {
  state_->hardware.at(ordinal)->fail.set(index, 1);
}

}  // namespace skua::fake
