// Models trained on GPUs of host threads: the same bits by any plan, recorded or not; checkpoints, evaluation,
// prediction.
#include <gtest/gtest.h>

#include <filesystem>

#include "fake/fake_devices.h"
#include "graph/small_graphs.h"
#include "layers/small_models.h"
#include "skua/layers/devices.h"
#include "skua/scheduler/adaptation.h"

namespace skua::test {
namespace {

constexpr int kFirstSteps = Adaptation::kWarmUpSteps + Adaptation::kMeasuredSteps;

// "gpus:0,1" opens what "cuda:0,1" names, of four.
fake::FakeRuntime& gpus() {
  static fake::FakeRuntime runtime({.gpus = 4, .make_libraries = fake::make_fake_libraries});
  [[maybe_unused]] static const bool registered = [] {
    register_devices("gpus", [](const std::string& spec) {
      return fake::FakeDevices::open(runtime, "cuda" + spec.substr(spec.find(':')));
    });
    return true;
  }();
  return runtime;
}

class GpuTraining : public testing::Test {
 protected:
  GpuTraining() { (void)gpus(); }

  static Sequential compiled(CompileOptions options) {
    Sequential model = small_model();
    options.seed = 5;
    options.micro_batches = 4;
    options.plan_in_background = false;
    model.compile(options);
    return model;
  }
  static Sequential trained(const CompileOptions& options, std::int64_t steps = 2 * kFirstSteps) {
    Sequential model = compiled(options);
    model.fit(*corners(128), {.batch_size = 16, .steps = steps, .verbose = false});
    return model;
  }
};

TEST_F(GpuTraining, BitsDoNotDependOnGpusPolicyStealingOrRecording) {
  const std::string expected = trained({.devices = "gpus:0", .policy = "single", .stealing = "none"}).weights_sha256();
  for (const char* const devices : {"gpus:0", "gpus:0,1", "gpus:0/4"}) {
    for (const char* const policy : {"data_parallel", "gpipe", "heft"}) {
      for (const char* const stealing : {"none", "cost"}) {
        EXPECT_EQ(trained({.devices = devices, .policy = policy, .stealing = stealing}).weights_sha256(), expected)
            << devices << " " << policy << " " << stealing;
      }
      const CompileOptions recorded{.devices = devices, .policy = policy, .stealing = "none", .record_steps = true};
      EXPECT_EQ(trained(recorded).weights_sha256(), expected) << devices << " " << policy;
    }
  }
}

TEST_F(GpuTraining, AgreesWithTheCpu) {
  const Sequential on_gpus = trained({.devices = "gpus:0,1"});
  const Sequential on_cpu = trained({.devices = "cpu:1"});
  for (const auto& [name, tensor] : on_gpus.weights()) {
    const Tensor& other = on_cpu.weights().at(name);
    for (std::size_t i = 0; i < tensor.floats().size(); ++i) {
      ASSERT_NEAR(tensor.floats()[i], other.floats()[i], 1e-3) << name;
    }
  }
  EXPECT_NEAR(on_gpus.report().final_loss, on_cpu.report().final_loss, 1e-4);
}

// The first plan is measured; from the second on steps are replayed, and have no tasks' traces.
TEST_F(GpuTraining, StepsAreRecordedOnceTimesAreMeasured) {
  Sequential model = compiled({.devices = "gpus:0,1", .stealing = "none", .record_steps = true});
  const FitOptions fit{.batch_size = 16, .steps = kFirstSteps, .verbose = false, .trace_steps = 100};
  model.fit(*corners(128), fit);
  EXPECT_EQ(model.report().traces.size(), static_cast<std::size_t>(kFirstSteps));
  Sequential longer = compiled({.devices = "gpus:0,1", .stealing = "none", .record_steps = true});
  FitOptions more = fit;
  more.steps = kFirstSteps + 20;
  longer.fit(*corners(128), more);
  EXPECT_EQ(longer.report().plans_made, 2);
  EXPECT_TRUE(longer.report().traces.empty());
  EXPECT_GT(longer.report().median_step_seconds, 0);
}

TEST_F(GpuTraining, RecordingAsksForDevicesAndOptionsThatGoWithIt) {
  const auto error = [](const CompileOptions& options) { return message_of([&] { compiled(options); }); };
  EXPECT_EQ(error({.devices = "cpu:2", .stealing = "none", .record_steps = true}),
            "[record steps] expected devices that can record a step, got cpu:2");
  EXPECT_EQ(error({.devices = "gpus:0", .stealing = "cost", .record_steps = true}),
            "[record steps] expected stealing none and no recovery, got stealing cost");
  EXPECT_EQ(error({.devices = "gpus:0", .stealing = "none", .recover = true, .record_steps = true}),
            "[record steps] expected stealing none and no recovery, got stealing none and recovery");
}

// Measured times differ from run to run; what NCCL sums does not depend on them where the plan does not.
TEST_F(GpuTraining, CollectivesGiveTheSameBitsUnderOnePlan) {
  CompileOptions options{.devices = "gpus:0,1", .policy = "data_parallel", .stealing = "none"};
  const Sequential tree = trained(options);
  options.collectives = "nccl";
  options.plan_file = file_in_temp("collectives_plan");
  save_plan(tree.report().plan, options.plan_file);
  options.policy = "replay";
  const long before = gpus().reduced().reduces;
  const Sequential first = trained(options);
  EXPECT_GT(gpus().reduced().reduces, before);
  for (const auto& [name, tensor] : tree.weights()) {
    for (std::size_t i = 0; i < tensor.floats().size(); ++i) {
      ASSERT_NEAR(tensor.floats()[i], first.weights().at(name).floats()[i], 1e-3) << name;
    }
  }
  for (int run = 0; run < 6; ++run) {
    gpus().delay(run % 2, 20e-6 * run);
    options.record_steps = run >= 3;
    EXPECT_EQ(trained(options).weights_sha256(), first.weights_sha256()) << run;
  }
  for (const int gpu : {0, 1}) gpus().delay(gpu, 0);
  std::filesystem::remove(options.plan_file);
}

TEST_F(GpuTraining, CollectivesAskForDevicesAndStealingThatGoWithThem) {
  const auto error = [](const CompileOptions& options) { return message_of([&] { trained(options, 1); }); };
  EXPECT_EQ(error({.devices = "gpus:0,1", .stealing = "none", .collectives = "ring"}),
            "[collectives] expected one of fixed_tree, nccl, got ring");
  EXPECT_EQ(error({.devices = "gpus:0,1", .stealing = "cost", .collectives = "nccl"}),
            "[collectives] expected stealing none with nccl, got stealing cost");
  EXPECT_EQ(error({.devices = "cpu:2", .stealing = "none", .collectives = "nccl"}),
            "[collectives] expected devices with NCCL, got cpu:2");
}

TEST_F(GpuTraining, EvaluatesAndPredictsAsTheCpuWithTheSameWeights) {
  const auto data = corners(70, 2);
  Sequential on_gpus = trained({.devices = "gpus:0,1"});
  Sequential on_cpu = compiled({.devices = "cpu:1"});
  on_cpu.set_weights(on_gpus.weights());
  EXPECT_NEAR(on_gpus.evaluate(*data, 32).loss, on_cpu.evaluate(*data, 32).loss, 1e-5);
  Tensor features(ValueType{{9, 1, 8, 8}});
  for (std::size_t i = 0; i < features.floats().size(); ++i) features.floats()[i] = 0.01F * static_cast<float>(i % 97);
  const Tensor a = on_gpus.predict(features, 4);
  const Tensor b = on_cpu.predict(features, 4);
  ASSERT_EQ(a.type(), b.type());
  for (std::size_t i = 0; i < a.floats().size(); ++i) EXPECT_NEAR(a.floats()[i], b.floats()[i], 1e-4);
}

TEST_F(GpuTraining, CheckpointsGoOnWithTheSameBits) {
  const std::string folder = file_in_temp("gpu_checkpoint");
  const FitOptions epoch{.batch_size = 16, .epochs = 1, .verbose = false};
  FitOptions two = epoch;
  two.epochs = 2;
  Sequential whole = compiled({.devices = "gpus:0,1"});
  whole.fit(*corners(64), two);
  Sequential first = compiled({.devices = "gpus:0,1"});
  first.fit(*corners(64), epoch);
  first.save_checkpoint(folder);
  Sequential second = compiled({.devices = "gpus:2"});
  second.load_checkpoint(folder);
  second.fit(*corners(64), epoch);
  std::filesystem::remove_all(folder);
  EXPECT_EQ(second.weights_sha256(), whole.weights_sha256());
}

// Its memory was its own: the weights there are gone, and the caller is told.
TEST_F(GpuTraining, ALostGpuEndsTraining) {
  Sequential model = compiled({.devices = "gpus:2,3", .policy = "data_parallel"});
  model.fit(*corners(64), {.batch_size = 16, .steps = 2, .verbose = false});
  gpus().lose(3);
  EXPECT_THROW(model.fit(*corners(64), {.batch_size = 16, .steps = 2, .verbose = false}), DeviceLost);
}

}  // namespace
}  // namespace skua::test
