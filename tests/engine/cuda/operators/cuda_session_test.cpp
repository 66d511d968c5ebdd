// Whole steps on GPUs of host threads: order by streams and events, thefts, recorded steps, errors.
#include <gtest/gtest.h>

#include <climits>
#include <cmath>
#include <cstdlib>

#include "engine/fuzz_graphs.h"
#include "engine/problem.h"
#include "fake/fake_devices.h"
#include "scheduler/plans.h"
#include "skua/engine/cpu/cpu_device.h"
#include "skua/scheduler/policy.h"

namespace skua::test {
namespace {

using fake::FakeDevices;

std::vector<std::pair<std::string, Graph>> small_steps() {
  return {{"cnn", training_graph(adam())}, {"rnn", rnn_step()}, {"lstm", lstm_step()}, {"gan", gan_step()}};
}

std::string trained_alone(const Problem& problem) {
  FakeDevices one("cuda:0");
  const Plan plan = plan_with("single", problem.tasks, one.devices.cluster, CostModel());
  return problem.train(one.devices, plan, "none");
}

TEST(CudaSession, RandomPlansAndTheftsGiveTheSameBits) {
  Random random(5);
  for (const auto& [name, graph] : small_steps()) {
    const Problem problem(graph, 3);
    const std::string expected = trained_alone(problem);
    for (const char* const spec : {"cuda:0", "cuda:0,1", "cuda:0/3"}) {
      FakeDevices gpus(spec);
      for (const std::string& rule : steal_rule_names()) {
        for (int i = 0; i < 3; ++i) {
          const Plan plan = random_plan(problem.tasks, gpus.devices.cluster, random);
          ASSERT_EQ(problem.train(gpus.devices, plan, rule, static_cast<std::uint64_t>(i)), expected)
              << name << " on " << spec << ", stealing " << rule;
        }
      }
    }
  }
}

TEST(CudaSession, StepsAgreeWithTheCpuDevices) {
  for (const auto& [name, graph] : small_steps()) {
    const Problem problem(graph, 2);
    const auto weights = [&](DeviceSet& devices) {
      const Plan plan = plan_with("data_parallel", problem.tasks, devices.cluster, CostModel());
      Session session(problem.tasks, devices, plan, CostModel());
      problem.start(session);
      for (int step = 0; step < 10; ++step) session.run(problem.inputs, {step, kLearningRate, 3});
      std::vector<float> all;
      for (const ValueId id : problem.graph().values_of(ValueKind::kParameter)) {
        // Batch norm follows: its gradient is 0 but for roundings, of which Adam makes steps.
        if (problem.graph().value(id).name == "make1.bias") continue;
        const Tensor value = session.value(id);
        all.insert(all.end(), value.floats().begin(), value.floats().end());
      }
      return all;
    };
    FakeDevices gpus("cuda:0,1");
    DeviceSet cpus = make_cpu_devices(2);
    const std::vector<float> on_gpus = weights(gpus.devices);
    const std::vector<float> on_cpus = weights(cpus);
    ASSERT_EQ(on_gpus.size(), on_cpus.size());
    for (std::size_t i = 0; i < on_gpus.size(); ++i) {
      ASSERT_NEAR(on_gpus[i], on_cpus[i], 1e-4 * std::max(1.0F, std::abs(on_cpus[i]))) << name << " " << i;
    }
  }
}

// Bits after `steps` steps whose batches, step numbers and learning rates differ.
std::string bits_after(const Problem& problem, DeviceSet& devices, const Plan& plan, const SessionOptions& options,
                       int steps) {
  Session session(problem.tasks, devices, plan, CostModel(), options);
  problem.start(session);
  for (int step = 0; step < steps; ++step) {
    std::map<ValueId, Tensor> batch;
    std::map<ValueId, const Tensor*> inputs;
    for (const auto& [id, tensor] : problem.batch) {
      batch[id] = random_tensor(tensor.type(), static_cast<std::uint64_t>(1000 * step + id.value));
      inputs[id] = &batch[id];
    }
    StepTrace trace;
    session.run(inputs, {step, kLearningRate / static_cast<float>(1 + step), 7}, &trace);
    EXPECT_EQ(trace.records.empty(), options.records_step);
    EXPECT_GT(trace.seconds, 0);
  }
  return problem.bits(session);
}

TEST(CudaSession, RecordedStepsGiveTheSameBits) {
  constexpr int kSteps = 20;
  Random random(6);
  for (const auto& [name, graph] : small_steps()) {
    const Problem problem(graph, 3);
    for (const char* const spec : {"cuda:0", "cuda:0,1", "cuda:0/3"}) {
      FakeDevices gpus(spec);
      const Plan plan = random_plan(problem.tasks, gpus.devices.cluster, random);
      const std::string expected = bits_after(problem, gpus.devices, plan, {}, kSteps);
      ASSERT_EQ(bits_after(problem, gpus.devices, plan, {.records_step = true}, kSteps), expected)
          << name << " on " << spec;
    }
  }
}

TEST(CudaSession, OptionsThatDoNotGoTogetherAreErrors) {
  const Problem problem(training_graph(adam()), 2);
  FakeDevices gpus("cuda:0");
  DeviceSet cpus = make_cpu_devices(1);
  const auto error = [&](DeviceSet& devices, const SessionOptions& options) {
    const Plan plan = one_device_plan(problem.tasks, devices.cluster);
    return message_of([&] { Session(problem.tasks, devices, plan, CostModel(), options); });
  };
  const std::string together = "[session] expected no thefts and no saved updates where steps are recorded";
  EXPECT_EQ(error(gpus.devices, {.steal_rule = "cost", .records_step = true}), together);
  EXPECT_EQ(error(gpus.devices, {.saves_updates = true, .records_step = true}), together);
  EXPECT_EQ(error(cpus, {.records_step = true}), "[session] expected devices that can record steps, got cpu:1");
}

// Half of the GPUs are late: what does not wait for them reads what is not there yet.
TEST(CudaSession, StepsWithoutTheirWaitsGiveOtherBits) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "a race on purpose";
#endif
  const Problem problem(training_graph(adam()), 4);
  const std::string expected = trained_alone(problem);
  for (const bool recorded : {false, true}) {
    FakeDevices gpus("cuda:0,1");
    gpus.runtime.delay(0, 300e-6);
    const Plan plan = plan_with("round_robin", problem.tasks, gpus.devices.cluster, CostModel());
    const auto train = [&] {
      Session session(problem.tasks, gpus.devices, plan, CostModel(), {.records_step = recorded});
      problem.start(session);
      for (int step = 0; step < 2; ++step) session.run(problem.inputs, {step, kLearningRate, 0});
      return problem.bits(session);
    };
    EXPECT_EQ(train(), expected);
    gpus.runtime.drop_waits(0, 1000000);
    EXPECT_NE(train(), expected);
    gpus.runtime.drop_waits(0, 0);
    EXPECT_EQ(train(), expected);
  }
}

TEST(CudaSession, AFailedWorkEndsTheStepAndTheSessionStaysUsable) {
  const Problem problem(training_graph(adam()), 2);
  for (const bool saves : {false, true}) {
    FakeDevices gpus("cuda:0,1");
    const Plan plan = plan_with("data_parallel", problem.tasks, gpus.devices.cluster, CostModel());
    Session session(problem.tasks, gpus.devices, plan, CostModel(), {.saves_updates = saves});
    problem.start(session);
    session.run(problem.inputs, {0, kLearningRate, 0});
    Sha256 before;
    problem.add_state(session, before);
    const std::string state = before.hex();
    int failures = 0;
    for (long index = 0; index < 60; ++index) {
      gpus.runtime.fail_at(static_cast<int>(index % 2), index / 2);
      try {
        session.run(problem.inputs, {1, kLearningRate, 0});
        break;  // there is no such work in a step
      } catch (const std::runtime_error& error) {
        ++failures;
        EXPECT_NE(std::string(error.what()).find("CUDA"), std::string::npos) << error.what();
      }
      if (!session.holds_state()) break;
      Sha256 after;
      problem.add_state(session, after);
      ASSERT_EQ(after.hex(), state);
    }
    EXPECT_GT(failures, 0);
    if (!saves) continue;  // the host may have gone on to updates before it was told
    EXPECT_GT(failures, 50);
    EXPECT_TRUE(session.holds_state());
    session.run(problem.inputs, {1, kLearningRate, 0});
    EXPECT_EQ(problem.bits(session), trained_alone(problem));
  }
}

TEST(CudaSession, ALostGpuIsNamedAndNothingLeaks) {
  const Problem problem(training_graph(adam()), 2);
  FakeDevices gpus("cuda:0,1");
  for (const bool recorded : {false, true}) {
    if (recorded) gpus.devices = FakeDevices::open(gpus.runtime, "cuda:0,2");
    const Plan plan = plan_with("data_parallel", problem.tasks, gpus.devices.cluster, CostModel());
    Session session(problem.tasks, gpus.devices, plan, CostModel(), {.records_step = recorded});
    problem.start(session);
    session.run(problem.inputs, {0, kLearningRate, 0});
    recorded ? gpus.runtime.lose(2) : gpus.runtime.lose_at(1, 3);
    try {
      session.run(problem.inputs, {1, kLearningRate, 0});
      ADD_FAILURE() << "expected DeviceLost";
    } catch (const DeviceLost& error) {
      if (!recorded) {
        EXPECT_EQ(error.device(), DeviceId(1)) << error.what();
      }
    }
    EXPECT_FALSE(session.holds_state());  // it had a memory to itself
  }
  gpus.devices = {};
  EXPECT_EQ(gpus.runtime.live_bytes(0), 0U);
  EXPECT_EQ(gpus.runtime.live_bytes(1), 0U);
  EXPECT_EQ(gpus.runtime.live_host_bytes(), 0U);
}

TEST(CudaSession, MemoryStaysWhatItIsFromStepToStep) {
  const Problem problem(training_graph(adam()), 3);
  FakeDevices gpus("cuda:0,1");
  const Plan plan = plan_with("data_parallel", problem.tasks, gpus.devices.cluster, CostModel());
  Session session(problem.tasks, gpus.devices, plan, CostModel());
  problem.start(session);
  const auto live = [&] { return std::array{gpus.runtime.live_bytes(0), gpus.runtime.live_bytes(1)}; };
  const auto before = live();
  const std::size_t host = gpus.runtime.live_host_bytes();
  for (int step = 0; step < 5; ++step) session.run(problem.inputs, {step, kLearningRate, 0});
  EXPECT_EQ(live(), before);
  EXPECT_EQ(gpus.runtime.live_host_bytes(), host);
  EXPECT_GE(before[0], session.stats().peak_bytes[1]);
}

// A batch's memory may go as soon as run() returns, and labels that no class has are found on the GPU.
TEST(CudaSession, BadLabelsAreErrorsThatNameTheLayer) {
  const Problem problem(training_graph(adam()), 2);
  FakeDevices gpus("cuda:0");
  const Plan plan = one_device_plan(problem.tasks, gpus.devices.cluster);
  for (const bool recorded : {false, true}) {
    Session session(problem.tasks, gpus.devices, plan, CostModel(), {.records_step = recorded});
    problem.start(session);
    auto batch = std::make_unique<std::map<ValueId, Tensor>>(problem.batch);
    std::map<ValueId, const Tensor*> inputs;
    for (auto& [id, tensor] : *batch) {
      if (tensor.type().dtype == DType::kInt32) tensor.ints()[1] = 99;
      inputs[id] = &tensor;
    }
    const std::string message = message_of([&] { session.run(inputs, {0, kLearningRate, 0}); });
    EXPECT_NE(message.find("got 99 in row 1"), std::string::npos) << message;
    batch.reset();
    session.run(problem.inputs, {1, kLearningRate, 0});
  }
}

// Of the session's own waits, and those of a recording: in a process of its own, whose exit status ThreadSanitizer
// makes 66 where it saw a race.
[[noreturn]] void run_steps(bool replayed, long first_dropped, long dropped) {
  try {
    const Problem problem(training_graph(adam()), 2);
    FakeDevices gpus("cuda:0,1");
    Random random(11);
    const Plan plan = random_plan(problem.tasks, gpus.devices.cluster, random);
    gpus.runtime.drop_waits(first_dropped, dropped);
    (void)bits_after(problem, gpus.devices, plan, {.records_step = replayed}, 3);
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
