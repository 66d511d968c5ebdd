#include "skua/engine/link_times.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "arena.h"
#include "skua/scheduler/median.h"
#include "step_clock.h"
#include "waiter.h"

namespace skua {
namespace {

constexpr std::size_t kShortBytes = 4096;
constexpr std::size_t kLongBytes = std::size_t{1} << 25;
constexpr int kRounds = 5;
constexpr int kCopies = 8;  // a round

class TimedWaiter final : public Completion {
 public:
  void measured(double began_seconds_ago, double ended_seconds_ago) noexcept override {
    seconds_ = began_seconds_ago - ended_seconds_ago;
  }
  void done(std::exception_ptr error) noexcept override { waiter_.done(std::move(error)); }
  double wait() {
    waiter_.wait();
    return seconds_;
  }

 private:
  double seconds_ = 0;
  Waiter waiter_;
};

struct Route {
  Device& device;  // that copies
  void* to;
  const void* from;
};

// Of the copies together.
double round_seconds(const Route& route, Stream* stream, Mark* mark, std::size_t bytes) {
  const auto copy_all = [&] {
    for (int i = 0; i < kCopies; ++i) {
      Waiter copied;
      route.device.copy(route.to, route.from, bytes, stream, copied);
      copied.wait();
    }
  };
  if (stream == nullptr) {
    StepClock clock;
    clock.start();
    copy_all();
    return clock.seconds();
  }
  TimedWaiter ended;
  stream->begin(*mark);
  copy_all();
  stream->end(*mark, &ended);
  return ended.wait();
}

double copy_seconds(const Route& route, std::size_t bytes) {
  const std::unique_ptr<Stream> stream = route.device.make_stream();
  const std::unique_ptr<Mark> mark = route.device.make_mark();
  std::vector<double> seconds;
  round_seconds(route, stream.get(), mark.get(), bytes);  // first touches
  for (int i = 0; i < kRounds; ++i) seconds.push_back(round_seconds(route, stream.get(), mark.get(), bytes) / kCopies);
  return median_of(std::move(seconds));
}

Device* device_in(DeviceSet& devices, MemoryId memory) {
  for (const auto& device : devices.devices) {
    if (device->spec().memory == memory) return device.get();
  }
  return nullptr;
}

void measure(DeviceSet& devices, LinkSpec& link) {
  Device* const reader = device_in(devices, link.from);
  Device* const writer = device_in(devices, link.to);
  Device& copier = writer != nullptr ? *writer : *reader;
  const Arena from(reader != nullptr ? *reader : copier, reader == nullptr, kLongBytes);
  const Arena to(copier, writer == nullptr, kLongBytes);
  const Route route{copier, to.data(), from.data()};
  const double short_seconds = copy_seconds(route, kShortBytes);
  const double long_seconds = copy_seconds(route, kLongBytes);
  // Noise may leave nothing for the bytes: then all of the time is theirs.
  const double more = long_seconds > short_seconds ? long_seconds - short_seconds : long_seconds;
  link.bytes_per_second = static_cast<double>(kLongBytes - kShortBytes) / more;
  link.latency_seconds = std::max(0.0, short_seconds - static_cast<double>(kShortBytes) / link.bytes_per_second);
}

}  // namespace

Cluster measure_links(DeviceSet& devices) {
  const Cluster& cluster = devices.cluster;
  std::vector<LinkSpec> links = cluster.links();
  for (LinkSpec& link : links) measure(devices, link);
  return {cluster.name(), cluster.devices(), cluster.memories(), std::move(links)};
}

}  // namespace skua
