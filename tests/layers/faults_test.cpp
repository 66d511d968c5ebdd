// Training on devices that fail, and training that is told to stop.
#include <gtest/gtest.h>

#include <atomic>

#include "engine/hooked_device.h"
#include "graph/small_graphs.h"
#include "layers/small_models.h"
#include "skua/engine/cpu/cpu_device.h"
#include "skua/layers/devices.h"

namespace skua::test {
namespace {

// Counts what devices of the name "faulty:N" do, and fails where it is told to.
struct Plot {
  std::atomic<int> operations{0};
  int lost_at = -1;
  int lost_again_at = -1;
  std::function<void(int)> at;
  bool private_memory = false;
};
Plot* plot = nullptr;

DeviceSet open_faulty(const std::string& spec) {
  DeviceSet devices = make_cpu_devices(spec.back() - '0', 1, plot->private_memory);
  for (const auto& hook : hook(devices)) {
    *hook = [](const Operation&) {
      const int number = plot->operations++;
      if (plot->at) plot->at(number);
      if (number == plot->lost_at || number == plot->lost_again_at) throw DeviceLost("on fire");
    };
  }
  return devices;
}

class TrainingFaults : public testing::Test {
 protected:
  TrainingFaults() {
    static const bool registered = [] {
      register_devices("faulty", open_faulty);
      return true;
    }();
    (void)registered;
    plot = &plot_;
  }

  static Sequential made(const std::string& devices, bool recover = true) {
    Sequential model = small_model();
    model.compile({.devices = devices, .policy = "data_parallel", .micro_batches = 4, .seed = 3, .recover = recover});
    return model;
  }
  static FitOptions options() {
    return {.batch_size = 16, .drop_last = false, .epochs = 2, .verbose = false};  // batches of 16, 16, 8
  }
  static std::string trained(const std::string& devices) {
    Sequential model = made(devices);
    (void)model.fit(*corners(40), options());
    return model.weights_sha256();
  }

  Plot plot_;
};

TEST_F(TrainingFaults, ALostDeviceIsDroppedAndTheBitsStay) {
  const std::string expected = trained("cpu:1");
  EXPECT_EQ(trained("faulty:2"), expected);
  const int operations = plot_.operations;
  ASSERT_GT(operations, 200);
  for (int at = 0; at < operations; at += 37) {
    SCOPED_TRACE(at);
    plot_.operations = 0;
    plot_.lost_at = at;
    Sequential model = made("faulty:2");
    (void)model.fit(*corners(40), options());
    EXPECT_EQ(model.weights_sha256(), expected);
    ASSERT_EQ(model.report().lost_devices.size(), 1U);
    EXPECT_NE(model.report().lost_devices[0].find("on fire"), std::string::npos);
    EXPECT_EQ(model.report().devices.size(), 1U);
    EXPECT_EQ(model.report().steps, 6);
  }
}

// Without saved updates a device may still go until the first update of a step.
TEST_F(TrainingFaults, WithoutRecoveryALossBetweenUpdatesIsAnError) {
  const std::string expected = trained("cpu:1");
  int dropped = 0;
  int errors = 0;
  for (int at = 0; at < 100; ++at) {
    plot_.operations = 0;
    plot_.lost_at = at;
    Sequential model = made("faulty:2", false);
    try {
      (void)model.fit(*corners(40), options());
      EXPECT_EQ(model.weights_sha256(), expected);
      ++dropped;
    } catch (const DeviceLost&) {
      ++errors;
    }
  }
  EXPECT_GT(dropped, 20);
  EXPECT_GT(errors, 0);
}

TEST_F(TrainingFaults, TwoOfThreeMayGo) {
  const std::string expected = trained("cpu:1");
  plot_.lost_at = 50;
  plot_.lost_again_at = 150;
  Sequential model = made("faulty:3");
  (void)model.fit(*corners(40), options());
  EXPECT_EQ(model.weights_sha256(), expected);
  EXPECT_EQ(model.report().lost_devices.size(), 2U);
}

TEST_F(TrainingFaults, TheLastDeviceAndTheLastCopyOfWeightsAreMissed) {
  plot_.lost_at = 50;
  EXPECT_THROW(trained("faulty:1"), DeviceLost);
  plot_.operations = 0;
  plot_.private_memory = true;
  EXPECT_THROW(trained("faulty:2"), DeviceLost);
}

TEST_F(TrainingFaults, AStopEndsFitAndTrainingGoesOnWithTheSameBits) {
  const std::string expected = trained("cpu:1");
  std::stop_source source;
  plot_.at = [&](int number) {
    if (number == 120) source.request_stop();
  };
  Sequential model = made("faulty:2");
  FitOptions stopped = options();
  stopped.stop = source.get_token();
  const History history = model.fit(*corners(40), stopped);
  std::int64_t samples = 0;
  for (const EpochLogs& logs : history) samples += logs.samples;
  EXPECT_LT(samples, 80);
  EXPECT_NE(model.weights_sha256(), expected);
  (void)model.fit(*corners(40), options());
  EXPECT_EQ(model.weights_sha256(), expected);
}

TEST_F(TrainingFaults, NamesOfDevicesAreTakenOnce) {
  EXPECT_EQ(message_of([] { register_devices("faulty", open_faulty); }),
            "[devices] expected a new name, got 'faulty', which is taken");
  EXPECT_EQ(message_of([] { register_devices("cpu", open_faulty); }),
            "[devices] expected a new name, got 'cpu', which is taken");
  EXPECT_EQ(open_devices("faulty:2").devices.size(), 2U);
}

}  // namespace
}  // namespace skua::test
