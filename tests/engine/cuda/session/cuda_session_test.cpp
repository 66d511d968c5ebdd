// Sessions on fake GPUs, with the kernels themselves as host code: the same bits for any plan, devices and stealing,
// submitted or replayed.
#include <gtest/gtest.h>

#include <climits>
#include <cstdlib>
#include <stdexcept>

#include "engine/cuda/device.h"
#include "engine/problem.h"
#include "fake/fake_libraries.h"
#include "fake/fake_runtime.h"
#include "scheduler/plans.h"
#include "skua/scheduler/policy.h"

namespace skua::test {
namespace {

struct FakeDevices {
  explicit FakeDevices(const std::string& spec)
      : runtime({.gpus = 3, .make_libraries = fake::make_fake_libraries}),
        set(cuda::open_devices(runtime, spec, warning)) {}
  fake::FakeRuntime runtime;
  std::string warning;
  DeviceSet set;
};

constexpr int kSteps = 4;

std::string train(const Problem& problem, DeviceSet& devices, const Plan& plan, const SessionOptions& options) {
  Session session(problem.tasks, devices, plan, CostModel(), options);
  problem.start(session);
  for (int step = 0; step < kSteps; ++step) session.run(problem.inputs, {step, kLearningRate, 0});
  return problem.bits(session);
}

Plan single(const Problem& problem, const DeviceSet& devices) {
  return plan_with("single", problem.tasks, devices.cluster, CostModel());
}

std::string expected_bits(const Problem& problem) {
  FakeDevices one("cuda:0");
  return train(problem, one.set, single(problem, one.set), {});
}

TEST(CudaSession, AnyPlanGivesTheSameBits) {
  const Problem problem(training_graph(adam()), 4);
  const std::string expected = expected_bits(problem);
  Random random(7);
  for (const char* spec : {"cuda:0", "cuda:0/2", "cuda:0/4", "cuda:0,1", "cuda"}) {
    FakeDevices devices(spec);
    for (const std::string rule : {"none", "random", "cost"}) {
      for (int i = 0; i < 3; ++i) {
        const Plan plan = random_plan(problem.tasks, devices.set.cluster, random);
        ASSERT_EQ(train(problem, devices.set, plan, {.steal_rule = rule}), expected) << rule << " on " << spec;
      }
    }
  }
}

TEST(CudaSession, ReplayedStepsGiveTheSameBits) {
  const Problem problem(training_graph(adam()), 4);
  const std::string expected = expected_bits(problem);
  Random random(8);
  for (const char* spec : {"cuda:0", "cuda:0/4", "cuda:0,1"}) {
    FakeDevices devices(spec);
    for (int i = 0; i < 3; ++i) {
      const Plan plan = random_plan(problem.tasks, devices.set.cluster, random);
      ASSERT_EQ(train(problem, devices.set, plan, {.records_step = true}), expected) << spec;
    }
  }
}

TEST(CudaSession, LeavesNoMemoryAllocated) {
  const Problem problem(training_graph(adam()), 2);
  FakeDevices devices("cuda:0,1");
  {
    Random random(9);
    Session session(problem.tasks, devices.set, random_plan(problem.tasks, devices.set.cluster, random), CostModel());
    EXPECT_GT(devices.runtime.live_bytes(0), 0);
  }
  EXPECT_EQ(devices.runtime.live_bytes(0) + devices.runtime.live_bytes(1) + devices.runtime.live_host_bytes(), 0);
}

// A GPU that is lost in a step, and work that fails in one.
TEST(CudaSession, ErrorsOfTheGpuReachTheCaller) {
  const Problem problem(training_graph(adam()), 2);
  for (const bool replayed : {false, true}) {
    FakeDevices devices("cuda:0,1");
    Random random(10);
    const Plan plan = random_plan(problem.tasks, devices.set.cluster, random);
    Session session(problem.tasks, devices.set, plan, CostModel(), {.records_step = replayed});
    problem.start(session);
    session.run(problem.inputs, {0, kLearningRate, 0});
    if (!replayed) {
      devices.runtime.fail_at(1, 5);
      EXPECT_THROW(session.run(problem.inputs, {1, kLearningRate, 0}), std::runtime_error);
    }
    devices.runtime.lose(1);
    EXPECT_THROW(session.run(problem.inputs, {2, kLearningRate, 0}), DeviceLost);
  }
}

// Of the session's own waits, and those of a recording: in a process of its own, whose exit status ThreadSanitizer
// makes 66 where it saw a race.
[[noreturn]] void run_steps(bool replayed, long first_dropped, long dropped) {
  try {
    const Problem problem(training_graph(adam()), 2);
    FakeDevices devices("cuda:0,1");
    Random random(11);
    const Plan plan = random_plan(problem.tasks, devices.set.cluster, random);
    devices.runtime.drop_waits(first_dropped, dropped);
    (void)train(problem, devices.set, plan, {.records_step = replayed});
  } catch (const std::invalid_argument&) {  // labels that were read before they were there
  }
  std::exit(0);
}

TEST(CudaSessionDeathTest, ThreadSanitizerSeesDroppedWaits) {
#ifndef __SANITIZE_THREAD__
  GTEST_SKIP() << "needs ThreadSanitizer";
#endif
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const bool replayed : {false, true}) {
    EXPECT_EXIT(run_steps(replayed, 0, 0), testing::ExitedWithCode(0), "");
    EXPECT_EXIT(run_steps(replayed, 0, LONG_MAX), testing::ExitedWithCode(66), "data race");
  }
}

}  // namespace
}  // namespace skua::test
