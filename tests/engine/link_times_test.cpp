// Links by copies whose times are known.
#include "skua/engine/link_times.h"

#include <gtest/gtest.h>

#include "skua/engine/cpu/cpu_device.h"
#include "skua/engine/forwarding_device.h"

namespace skua::test {
namespace {

constexpr double kLatencySeconds = 7e-6;
constexpr double kBytesPerSecond = 3e9;

// Time that goes on with copies alone.
class ClockedStream final : public Stream {
 public:
  explicit ClockedStream(double& now) : now_(now) {}
  void begin(Mark&) override { began_ = now_; }
  void end(Mark&, Completion* completion) override {
    completion->measured(now_ - began_ + 1, 1);
    completion->done(nullptr);
  }
  void wait(const Mark&) override {}

 private:
  double& now_;
  double began_ = 0;
};

class ClockedDevice final : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;
  void copy(void* to, const void* from, std::size_t bytes, Stream* stream, Completion& completion) override {
    now_ += kLatencySeconds + static_cast<double>(bytes) / kBytesPerSecond;
    device().copy(to, from, bytes, stream, completion);
  }
  std::unique_ptr<Stream> make_stream() override { return std::make_unique<ClockedStream>(now_); }
  std::unique_ptr<Mark> make_mark() override { return std::make_unique<Mark>(); }

 private:
  double now_ = 0;
};

TEST(LinkTimes, LatencyAndBandwidthAreThoseOfTheCopies) {
  DeviceSet devices = make_cpu_devices(2, 1, true);
  const Cluster before = devices.cluster;
  for (auto& device : devices.devices) device = std::make_unique<ClockedDevice>(std::move(device));
  const Cluster measured = measure_links(devices);
  ASSERT_EQ(measured.links().size(), before.links().size());
  for (std::size_t i = 0; i < measured.links().size(); ++i) {
    const LinkSpec& link = measured.links()[i];
    EXPECT_EQ(link.from, before.links()[i].from);
    EXPECT_EQ(link.to, before.links()[i].to);
    EXPECT_NEAR(link.latency_seconds, kLatencySeconds, 1e-9);
    EXPECT_NEAR(link.bytes_per_second, kBytesPerSecond, 1e-3 * kBytesPerSecond);
  }
  EXPECT_EQ(measured.device_count(), 2U);
  EXPECT_EQ(measured.name(), before.name());
}

TEST(LinkTimes, OfThisMachinesMemoryAreFigures) {
  DeviceSet devices = make_cpu_devices(1, 1, true);
  const Cluster measured = measure_links(devices);
  for (const LinkSpec& link : measured.links()) {
    EXPECT_GT(link.bytes_per_second, 1e6);
    EXPECT_GE(link.latency_seconds, 0);
  }
}

TEST(LinkTimes, NoLinksNothingToMeasure) {
  DeviceSet devices = make_cpu_devices(2);
  EXPECT_TRUE(measure_links(devices).links().empty());
}

}  // namespace
}  // namespace skua::test
