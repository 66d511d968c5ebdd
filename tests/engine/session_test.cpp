// Sessions on CPU devices: the same bits for any plan, devices and stealing; memory; errors; no allocation.
#include "skua/engine/session.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "engine/allocations.h"
#include "engine/fuzz_graphs.h"
#include "engine/problem.h"
#include "scheduler/plans.h"
#include "skua/engine/cpu/cpu_device.h"
#include "skua/engine/forwarding_device.h"
#include "skua/scheduler/policy.h"

namespace skua::test {
namespace {

// A CPU device that works on a thread of its own and counts the memory that it gives.
class AsynchronousDevice final : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;
  void* allocate(std::size_t bytes) override {
    allocated += bytes;
    return device().allocate(bytes);
  }
  void copy(void* to, const void* from, std::size_t bytes, Stream* stream, Completion& completion) override {
    std::jthread([=, this, &completion] { device().copy(to, from, bytes, stream, completion); }).detach();
  }
  std::unique_ptr<Program> compile(const Graph& graph) override {
    return std::make_unique<AsynchronousProgram>(device().compile(graph));
  }

  std::size_t allocated = 0;

 private:
  class AsynchronousProgram final : public ForwardingProgram {
   public:
    using ForwardingProgram::ForwardingProgram;
    void launch(const KernelCall& call, Completion& completion) override {
      std::jthread([=, this, &completion] { program().launch(call, completion); }).detach();
    }
    void accumulate(ValueId value, void* into, const void* from, Part part, Stream* stream,
                    Completion& completion) override {
      std::jthread([=, this, &completion] {
        program().accumulate(value, into, from, part, stream, completion);
      }).detach();
    }
  };
};

DeviceSet asynchronous_devices(int count, bool private_memory) {
  DeviceSet set = make_cpu_devices(count, 1, private_memory);
  for (auto& device : set.devices) device = std::make_unique<AsynchronousDevice>(std::move(device));
  return set;
}

TEST(Session, RandomPlansGiveTheSameBits) {
  constexpr int kMicroBatches = 4;
  const Problem problem(training_graph(adam()), kMicroBatches);
  DeviceSet one = make_cpu_devices(1);
  const std::string expected = problem.train(one, plan_with("single", problem.tasks, one.cluster, CostModel()), "none");
  Random random(7);
  int plans = 0;
  for (const bool private_memory : {false, true}) {
    for (int count = 1; count <= 3; ++count) {
      DeviceSet devices = make_cpu_devices(count, 1, private_memory);
      for (const std::string rule : {"none", "random", "locality", "cost"}) {
        for (int i = 0; i < 10; ++i, ++plans) {
          const Plan plan = random_plan(problem.tasks, devices.cluster, random);
          ASSERT_EQ(problem.train(devices, plan, rule), expected)
              << rule << " on " << count << (private_memory ? " with memories of their own" : "");
        }
      }
    }
  }
  EXPECT_GE(plans, 200);
}

TEST(Session, PoliciesGiveTheSameBits) {
  for (const int micro_batches : {1, 3}) {
    const Problem problem(training_graph(adam()), micro_batches);
    DeviceSet one = make_cpu_devices(1);
    const std::string expected =
        problem.train(one, plan_with("single", problem.tasks, one.cluster, CostModel()), "none");
    for (int count = 1; count <= 3; ++count) {
      DeviceSet devices = make_cpu_devices(count);
      for (const PolicyInfo& policy : policies()) {
        if (policy.name == "replay") continue;
        const Plan plan = plan_with(policy.name, problem.tasks, devices.cluster, CostModel(), {"", 0.05});
        for (const std::string rule : {"none", "cost"}) {
          ASSERT_EQ(problem.train(devices, plan, rule), expected) << policy.name << " on " << count;
        }
      }
    }
  }
}

TEST(Session, SumsAndUpdatesInPartsGiveTheSameBits) {
  Random random(5);
  for (const int micro_batches : {1, 2, 5}) {
    const Problem whole(wide_step(), micro_batches);
    DeviceSet one = make_cpu_devices(1);
    const std::string expected = whole.train(one, plan_with("single", whole.tasks, one.cluster, CostModel()), "none");
    for (int count = 2; count <= 4; ++count) {
      DeviceSet devices = make_cpu_devices(count);
      const Problem parts(wide_step(), micro_batches, devices.cluster.sharers());
      ASSERT_NE(parts.tasks.task_count(), whole.tasks.task_count());
      for (const std::string rule : {"none", "random", "cost"}) {
        const Plan plan = random_plan(parts.tasks, devices.cluster, random);
        ASSERT_EQ(parts.train(devices, plan, rule), expected) << rule << " on " << count;
      }
      const Plan plan = plan_with("data_parallel", parts.tasks, devices.cluster, CostModel());
      ASSERT_EQ(parts.train(devices, plan, "none"), expected) << count;
    }
  }
}

TEST(Session, DevicesThatWorkAsynchronouslyGiveTheSameBits) {
  const Problem problem(training_graph(adam()), 3);
  DeviceSet one = make_cpu_devices(1);
  const std::string expected = problem.train(one, plan_with("single", problem.tasks, one.cluster, CostModel()), "none");
  Random random(3);
  for (const bool private_memory : {false, true}) {
    DeviceSet devices = asynchronous_devices(2, private_memory);
    for (const std::string rule : {"none", "random", "cost"}) {
      const Plan plan = random_plan(problem.tasks, devices.cluster, random);
      ASSERT_EQ(problem.train(devices, plan, rule), expected) << rule;
    }
  }
}

// Everything planned on one device, so that the other has only what it steals through copies. The devices work on
// threads of their own, so that a lane can look around while the other is busy.
TEST(Session, TheftsBetweenMemoriesKeepTheBits) {
  const Problem problem(training_graph(adam()), 4);
  DeviceSet devices = asynchronous_devices(2, true);
  const Plan plan = plan_with("single", problem.tasks, devices.cluster, CostModel());
  const std::string expected = problem.train(devices, plan, "none");
  Session session(problem.tasks, devices, plan, CostModel(), {"random"});
  double copied = 0;
  int steals = 0;
  for (int attempt = 0; attempt < 20 || (steals == 0 && attempt < 500); ++attempt) {
    problem.start(session);
    for (int step = 0; step < 2; ++step) {
      StepTrace trace;
      session.run(problem.inputs, {step, kLearningRate, 0}, &trace);
      const TraceSummary summary = summarize(session.schedule(), trace);
      steals += summary.steals;
      for (std::size_t i = 0; i < problem.tasks.task_count(); ++i) copied += trace.records[i].copied_bytes;
    }
    ASSERT_EQ(problem.bits(session), expected);
  }
  EXPECT_GT(steals, 0);
  EXPECT_GT(copied, 0);
}

// Micro-batches change only the rounding, against the reference in double precision over the whole batch.
TEST(Session, MicroBatchesSumToTheBatch) {
  for (const int micro_batches : {1, 2, 5}) {
    const Problem problem(training_graph(adam()), micro_batches);
    const Graph& graph = problem.graph();
    DeviceSet devices = make_cpu_devices(2);
    const Plan plan = plan_with("data_parallel", problem.tasks, devices.cluster, CostModel());
    Session session(problem.tasks, devices, plan, CostModel(), {"none"});
    problem.start(session);

    std::map<ValueId, reference::Array> sums;  // of gradients, and the parameters before
    for (int m = 0; m < micro_batches; ++m) {
      Values values;
      for (const auto& [id, tensor] : problem.batch) {
        Tensor part(graph.value(id).type);
        std::memcpy(part.data(), tensor.data() + static_cast<std::size_t>(m) * part.bytes(), part.bytes());
        values[id] = reference::to_array(part);
      }
      for (ValueId id : graph.values_of(ValueKind::kParameter)) values[id] = reference::to_array(session.value(id));
      reference::run(graph, values, {0, 0}, false);
      for (const Node& node : graph.nodes()) {
        if (node.phase != Phase::kUpdate) continue;
        reference::Array& sum = sums[node.inputs[0]];
        const reference::Array& gradient = values.at(node.inputs[1]);
        sum.resize(gradient.size());
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += gradient[i];
      }
    }
    session.run(problem.inputs, {0, kLearningRate, 0});
    // After Adam's first step m is a tenth of the gradient.
    for (ValueId id : graph.values_of(ValueKind::kParameter)) {
      const Tensor m = session.value(graph.find_value(graph.value(id).name + ".m"));
      for (std::size_t i = 0; i < sums[id].size(); ++i) {
        ASSERT_NEAR(m.floats()[i], 0.1 * sums[id][i], 1e-5) << graph.value(id).name << " of " << micro_batches;
      }
    }
  }
}

TEST(Session, PlannedMemoryIsWhatIsAllocated) {
  for (const bool private_memory : {false, true}) {
    const Problem problem(training_graph(adam()), 4);
    DeviceSet devices = asynchronous_devices(2, private_memory);
    Random random(1);
    const Plan plan = random_plan(problem.tasks, devices.cluster, random);
    Session session(problem.tasks, devices, plan, CostModel(), {"cost"});
    problem.start(session);
    session.run(problem.inputs, {0, kLearningRate, 0});
    const SessionStats stats = session.stats();
    ASSERT_EQ(stats.peak_bytes.size(), devices.cluster.memory_count());
    const auto allocated = [&](std::size_t i) {
      return static_cast<const AsynchronousDevice&>(*devices.devices[i]).allocated;
    };
    EXPECT_GT(allocated(0), 0U);
    if (private_memory) {
      EXPECT_EQ(stats.peak_bytes[1], allocated(0));
      EXPECT_EQ(stats.peak_bytes[2], allocated(1));
    } else {
      EXPECT_EQ(stats.peak_bytes[0], allocated(0) + allocated(1));
    }
  }
}

TEST(Session, SteadyStateAllocatesNothing) {
  for (const std::string rule : {"none", "cost", "random"}) {
    for (const bool private_memory : {false, true}) {
      const Problem problem(training_graph(adam()), 4);
      DeviceSet devices = make_cpu_devices(2, 1, private_memory);
      const Plan plan = plan_with("data_parallel", problem.tasks, devices.cluster, CostModel());
      Session session(problem.tasks, devices, plan, CostModel(), {rule});
      problem.start(session);
      StepTrace trace;
      for (int step = 0; step < 5; ++step) session.run(problem.inputs, {step, kLearningRate, 0}, &trace);
      const AllocationCounter counter;
      for (int step = 5; step < 10; ++step) session.run(problem.inputs, {step, kLearningRate, 0}, &trace);
      EXPECT_EQ(counter.count(), 0U) << rule << (private_memory ? " with memories of their own" : "");
    }
  }
}

TEST(Session, ErrorsNameTheTaskOrTheInputAndTheSessionStays) {
  Problem problem(training_graph(adam()), 2);
  const Graph& graph = problem.graph();
  DeviceSet devices = make_cpu_devices(2);
  const Plan plan = plan_with("data_parallel", problem.tasks, devices.cluster, CostModel());
  Session session(problem.tasks, devices, plan, CostModel(), {"cost"});
  problem.start(session);
  const ValueId labels = graph.find_value("labels");
  const auto run = [&] { session.run(problem.inputs, {0, kLearningRate, 0}); };

  problem.batch[labels].ints()[3] = 9;
  const std::string message = message_of(run);
  EXPECT_EQ(message.rfind("loss [mb 1]: ", 0), 0U) << message;
  problem.batch[labels].ints()[3] = 1;
  EXPECT_EQ(message_of(run), "");

  const Tensor small(graph.value(labels).type);
  problem.inputs[labels] = &small;
  EXPECT_EQ(message_of(run), "[input labels] expected int32(4), got int32(2)");
  problem.inputs.erase(labels);
  EXPECT_EQ(message_of(run), "[input labels] expected a tensor, got none");

  const ValueId weight = graph.find_value("fc.weight");
  EXPECT_NE(message_of([&] { session.set_value(weight, small); }).find("fc.weight"), std::string::npos);
  EXPECT_NE(message_of([&] { (void)session.value(labels); }).find("labels"), std::string::npos);
  EXPECT_NE(message_of([&] { (void)session.output(weight); }).find("fc.weight"), std::string::npos);
  EXPECT_NE(message_of([&] { Session(problem.tasks, devices, plan, CostModel(), {"often"}); }).find("often"),
            std::string::npos);
}

TEST(Session, DevicesMustBeOfOneKind) {
  const Problem problem(training_graph(adam()), 2);
  DeviceSet devices;
  devices.devices.push_back(make_cpu_device({0, 1}));
  devices.devices.push_back(make_cpu_device({1, 2}));
  devices.cluster = Cluster("mixed", {devices.devices[0]->spec(), devices.devices[1]->spec()}, {{"host", 1e9}}, {});
  const Plan plan = plan_with("single", problem.tasks, devices.cluster, CostModel());
  EXPECT_EQ(message_of([&] { Session(problem.tasks, devices, plan, CostModel(), {"none"}); }),
            "expected devices of one kind, got cpu:1 of kind cpux2 beside cpu:0 of kind cpux1");
}

TEST(Session, MeasuredTimesReachTheCostModel) {
  const Problem problem(training_graph(adam()), 2);
  DeviceSet devices = make_cpu_devices(1);
  const Plan plan = plan_with("single", problem.tasks, devices.cluster, CostModel());
  Session session(problem.tasks, devices, plan, CostModel(), {"none"});
  problem.start(session);
  CostModel model;
  StepTrace trace;
  for (int step = 0; step < 3; ++step) {
    session.run(problem.inputs, {step, kLearningRate, 0}, &trace);
    observe(session.schedule(), trace, model);
    // One device is never idle but before its first task, so its tasks fill the step.
    double seconds = 0;
    for (const TaskTime& time : task_times(session.schedule(), trace)) seconds += time.wake_seconds + time.run_seconds;
    EXPECT_NEAR(seconds, trace.seconds, 1e-9);
  }
  EXPECT_GT(model.wake_seconds(devices.devices[0]->spec().kind), 0);
  EXPECT_EQ(model.measured_count(), problem.tasks.cost_keys().size() + 1);  // and the wake
}

}  // namespace
}  // namespace skua::test
