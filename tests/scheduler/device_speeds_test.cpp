// Which devices are slower than others of their kind: against the slowness that the samples were made with.
#include "skua/scheduler/device_speeds.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <functional>

#include "graph/small_graphs.h"
#include "scheduler/plans.h"
#include "skua/graph/random.h"

namespace skua::test {
namespace {

constexpr int kMicroBatches = 8;

// Steps in which the devices take turns, by task, so that many keys run on one device alone, or by micro-batch. A task
// takes its key's time times the device's slowness, and noise.
class Steps {
 public:
  explicit Steps(int devices, double noise = 0)
      : cluster(make_cluster("cpu:" + std::to_string(devices))), slowness(cluster.device_count(), 1), noise_(noise) {}

  void run(int steps) {
    for (int i = 0; i < steps; ++i) step();
  }

  void step() {
    std::vector<TaskSample> samples;
    for (std::size_t i = 0; i < graph.task_count(); ++i) {
      const Task& task = graph.task(TaskId(static_cast<std::int64_t>(i)));
      const bool whole = !by_micro_batch || task.micro_batch == kWholeStep;
      const std::size_t d = (whole ? i : static_cast<std::size_t>(task.micro_batch)) % cluster.device_count();
      if (idle[d]) continue;
      double seconds = key_seconds(task.cost_key) * slowness[d] * common * std::exp(noise_ * random_.normal());
      if (spoil) seconds *= spoil(task.cost_key, d);
      samples.push_back({task.cost_key, DeviceId(static_cast<std::int64_t>(d)), seconds});
    }
    model.observe_step(graph, cluster, std::move(samples));
  }

  [[nodiscard]] double factor(int device) const { return model.slowness(cluster.device(DeviceId(device)).name); }
  // 1 to 5 ms.
  [[nodiscard]] static double key_seconds(CostKeyId key) { return 1e-3 * static_cast<double>(1 + key.value % 5); }
  // Of the costs of a healthy device: how far they are from the times of the keys, at most.
  [[nodiscard]] double worst_error() const {
    DeviceSpec healthy = cluster.devices()[0];
    healthy.name = "another";
    double worst = 0;
    for (std::size_t k = 0; k < graph.cost_keys().size(); ++k) {
      const double expected = key_seconds(CostKeyId(static_cast<std::int64_t>(k))) * common;
      worst = std::max(worst, std::abs(model.seconds(graph.cost_keys()[k], healthy) / expected - 1));
    }
    return worst;
  }

  TaskGraph graph{training_graph(adam()), kMicroBatches};
  Cluster cluster;
  CostModel model;
  std::vector<double> slowness;  // by device
  double common = 1;             // of all times
  bool by_micro_batch = false;
  std::vector<bool> idle = std::vector<bool>(16, false);
  std::function<double(CostKeyId, std::size_t)> spoil;  // a further factor

 private:
  double noise_;
  Random random_{17};
};

TEST(DeviceSpeeds, ADeviceThatTurnsSlowIsFoundInThreeSteps) {
  for (const int devices : {2, 4}) {
    for (const double slowness : {1.3, 2.0, 10.0}) {
      Steps steps(devices);
      steps.run(10);
      steps.slowness[1] = slowness;
      steps.run(2);
      EXPECT_EQ(steps.factor(1), 1);
      steps.run(1);
      EXPECT_NEAR(steps.factor(1), slowness, 1e-9) << devices;
      steps.run(20);
      EXPECT_NEAR(steps.factor(1), slowness, 1e-9) << devices;
      for (const int other : {0, 2, 3}) {
        if (other >= devices) continue;
        EXPECT_EQ(steps.factor(other), 1);
      }
      EXPECT_LT(steps.worst_error(), 1e-9);  // the kind's times stay a healthy device's
      const CostTable costs(steps.graph, steps.cluster, steps.model);
      EXPECT_NEAR(costs.seconds(TaskId(0), DeviceId(1)), slowness * costs.seconds(TaskId(0), DeviceId(0)), 1e-12);
      const DeviceId last(devices == 4 ? 3 : 0);  // the table looks only at what is unlike the device before
      EXPECT_EQ(costs.seconds(TaskId(0), last), costs.seconds(TaskId(0), DeviceId(0)));
    }
  }
}

TEST(DeviceSpeeds, ASlowDeviceIsFoundFromTheFirstStepOn) {
  for (const int devices : {2, 4}) {
    Steps steps(devices);
    steps.by_micro_batch = true;
    steps.slowness[1] = 2;
    steps.run(15);
    EXPECT_NEAR(steps.factor(1), 2, 1e-9) << devices;
    EXPECT_EQ(steps.factor(0), 1);
    EXPECT_LT(steps.worst_error(), 1e-9);
  }
}

TEST(DeviceSpeeds, HalfOfTheOthersMayBeSlow) {
  for (const std::vector<double>& slowness : {std::vector<double>{1, 3, 2, 1}, {1, 3, 2}}) {
    Steps steps(static_cast<int>(slowness.size()));
    steps.run(10);
    steps.slowness = slowness;
    steps.run(3);
    for (std::size_t d = 0; d < slowness.size(); ++d) {
      EXPECT_NEAR(steps.factor(static_cast<int>(d)), slowness[d], 1e-9) << d << " of " << slowness.size();
    }
    EXPECT_EQ(steps.factor(0), 1);
  }
}

TEST(DeviceSpeeds, NoiseRaisesNoAlarmAndHidesNoSlowness) {
  for (const int devices : {2, 4}) {
    Steps steps(devices, 0.1);
    for (int i = 0; i < 1000; ++i) {
      steps.step();
      for (int d = 0; d < devices; ++d) ASSERT_EQ(steps.factor(d), 1) << "step " << i;
    }
    steps.slowness[1] = 2;
    steps.run(4);
    for (int i = 0; i < 200; ++i) {
      steps.step();
      ASSERT_NEAR(steps.factor(1), 2, 0.25) << "step " << i;
      ASSERT_EQ(steps.factor(0), 1);
    }
    EXPECT_LT(steps.worst_error(), 0.15);
  }
}

TEST(DeviceSpeeds, ASlownessOfAllDevicesIsNone) {
  Steps steps(2);
  steps.run(20);
  steps.common = 2;
  for (std::size_t step = 0; step <= CostModel::kKeptSamples / 2; ++step) {
    steps.step();
    EXPECT_EQ(steps.factor(0), 1);
    EXPECT_EQ(steps.factor(1), 1);
  }
  EXPECT_LT(steps.worst_error(), 1e-9);  // five steps later, with many samples of a key in each step as with one
}

TEST(DeviceSpeeds, OneBadSampleOrStepChangesNothing) {
  Steps steps(2);
  steps.run(10);
  bool first = true;
  steps.spoil = [&](CostKeyId, std::size_t) { return std::exchange(first, false) ? 1e6 : 1; };
  for (int i = 0; i < 10; ++i) {
    first = true;
    steps.step();
    EXPECT_EQ(steps.factor(0), 1);
    EXPECT_EQ(steps.factor(1), 1);
  }
  steps.spoil = [](CostKeyId, std::size_t device) { return device == 1 ? 5.0 : 1.0; };
  steps.run(2);
  steps.spoil = nullptr;
  steps.run(1);
  EXPECT_EQ(steps.factor(1), 1);
  EXPECT_LT(steps.worst_error(), 1e-9);
}

// Half of a device's time by the costs, run nowhere else, and ten times as long as they say.
TEST(DeviceSpeeds, OneWrongKeyChangesNothing) {
  const Cluster cluster = make_cluster("cpu:2");
  for (const double wrong : {10.0, 0.1}) {
    DeviceSpeeds speeds;
    std::vector<std::vector<KeyRatio>> ratios(2);
    ratios[0] = {{1, 1}, {1, 1}, {1, 1}};
    ratios[1] = {{wrong, 3}, {1, 1}, {1, 1}, {1, 1}};
    for (int i = 0; i < 10; ++i) {
      EXPECT_EQ(speeds.observe(cluster, ratios), (std::vector<double>{1, 1}));
      EXPECT_EQ(speeds.factor("cpu:0"), 1);
      EXPECT_EQ(speeds.factor("cpu:1"), 1);
    }
    ratios[1] = {{wrong, 5}};  // nothing else: no verdict
    for (int i = 0; i < 10; ++i) (void)speeds.observe(cluster, ratios);
    EXPECT_EQ(speeds.factor("cpu:1"), 1);
  }
}

TEST(DeviceSpeeds, ADeviceThatIsFastAgainIsFoundInTwoSteps) {
  Steps steps(2);
  steps.run(10);
  steps.slowness[1] = 2;
  steps.run(10);
  steps.slowness[1] = 1;
  steps.run(1);
  EXPECT_NEAR(steps.factor(1), 2, 1e-9);
  steps.run(1);
  EXPECT_EQ(steps.factor(1), 1);
  EXPECT_LT(steps.worst_error(), 1e-9);
}

TEST(DeviceSpeeds, ADeviceWithoutTasksIsSlowForAWhileOnly) {
  Steps steps(2);
  steps.run(10);
  steps.slowness[1] = 2;
  steps.run(10);
  steps.idle[1] = true;
  steps.run(31);
  EXPECT_NEAR(steps.factor(1), 2, 1e-9);
  steps.run(1);
  EXPECT_NEAR(steps.factor(1), std::sqrt(2.0), 1e-9);
  steps.run(32 * 3);
  EXPECT_EQ(steps.factor(1), 1);
  steps.idle[1] = false;  // it still is
  steps.run(3);
  EXPECT_NEAR(steps.factor(1), 2, 1e-9);
}

TEST(DeviceSpeeds, ProfilesHoldAHealthyDevicesTimes) {
  Steps steps(2);
  steps.run(10);
  steps.slowness[1] = 2;
  steps.run(10);
  const std::string path = (std::filesystem::path(testing::TempDir()) / "skua_profile_slow.json").string();
  steps.model.save(path);
  steps.model = CostModel::load(path);
  EXPECT_EQ(steps.factor(1), 1);
  EXPECT_LT(steps.worst_error(), 1e-9);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace skua::test
