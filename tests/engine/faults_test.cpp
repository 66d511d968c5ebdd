// Faults at every task of a step, one at a time: the right error, weights and states as before the step, and the same
// bits when the step runs again.
#include <gtest/gtest.h>

#include <mutex>
#include <set>
#include <stop_token>

#include "engine/fuzz_graphs.h"
#include "engine/hooked_device.h"
#include "engine/problem.h"
#include "scheduler/plans.h"
#include "skua/engine/cpu/cpu_device.h"
#include "skua/scheduler/policy.h"

namespace skua::test {
namespace {

constexpr int kMicroBatches = 2;

std::map<std::string, Graph> models() {
  return {{"cnn", training_graph(adam())},
          {"rnn", rnn_step()},
          {"lstm", lstm_step()},
          {"gan", gan_step()},
          {"wide", wide_step()}};
}

// A session of two devices, in step 1 of three.
class Faults {
 public:
  Faults(const Graph& graph, bool private_memory, const std::string& rule)
      : devices_(make_cpu_devices(2, 1, private_memory)),
        problem_(graph, kMicroBatches, devices_.cluster.sharers()),
        hooks_(hook(devices_)) {
    const Plan plan = plan_with("round_robin", problem_.tasks, devices_.cluster, CostModel());
    session_ = std::make_unique<Session>(problem_.tasks, devices_, plan, CostModel(), SessionOptions{rule, 0, true});
    begin();
    watch([&](const Operation& operation) { operations_.insert(operation); });
    step(1);
    watch({});
    step(2);
    expected_ = problem_.bits(*session_);
  }

  [[nodiscard]] const std::set<Operation>& operations() const { return operations_; }
  [[nodiscard]] const Schedule& schedule() const { return session_->schedule(); }

  // The step's work in which `error` is thrown at one operation: what reaches the caller. Then all goes well again.
  template <class Error>
  std::exception_ptr fail_at(const Operation& at, const Error& error) {
    begin();
    const std::string before = state();
    std::atomic<bool> thrown = false;
    watch([&](const Operation& operation) {
      if (operation == at && !thrown.exchange(true)) throw error;
    });
    std::exception_ptr caught;
    try {
      step(1);
    } catch (...) {
      caught = std::current_exception();
    }
    watch({});
    EXPECT_EQ(state(), before);
    return caught;
  }
  void expect_the_same_end() {
    step(1);
    step(2);
    EXPECT_EQ(problem_.bits(*session_), expected_);
  }

  // A stop requested at an operation. Whether it came in time.
  bool stop_at(const Operation& at) {
    begin();
    const std::string before = state();
    std::stop_source source;
    watch([&](const Operation& operation) {
      if (operation == at) source.request_stop();
    });
    bool cancelled = false;
    try {
      session_->run(problem_.inputs, {1, kLearningRate, 0}, nullptr, source.get_token());
    } catch (const Cancelled&) {
      cancelled = true;
    }
    watch({});
    if (cancelled) {
      EXPECT_EQ(state(), before);
      step(1);
    }
    step(2);
    EXPECT_EQ(problem_.bits(*session_), expected_);
    return cancelled;
  }

  // The names that a failure there may be led by.
  [[nodiscard]] bool names(const std::string& message, const Operation& at) const {
    const std::string name = message.substr(0, message.find(": boom"));
    for (std::size_t i = 0; i < schedule().task_count(); ++i) {
      const StepTaskId id(static_cast<std::int64_t>(i));
      if (schedule().name(id) != name) continue;
      if (schedule().task(id).is_copy()) return !at.node.valid() && !at.value.valid();
      const Task& task = problem_.tasks.task(schedule().task(id).task);
      if (!at.node.valid() && !at.value.valid()) return task.kind == TaskKind::kUpdate;  // what it saves is copied
      if (task.part.index != at.part) return false;
      if (at.value.valid()) return task.value == at.value;
      return task.node == at.node && (task.micro_batch == at.micro_batch || task.kind == TaskKind::kUpdate);
    }
    return false;
  }

 private:
  void begin() {
    problem_.start(*session_);
    step(0);
  }
  void step(int number) { session_->run(problem_.inputs, {number, kLearningRate, 0}); }
  void watch(const HookedDevice::Hook& action) {
    for (const auto& hook : hooks_) {
      *hook = action ? [this, action](const Operation& operation) {
        const std::scoped_lock lock(mutex_);
        action(operation);
      } : HookedDevice::Hook();
    }
  }
  [[nodiscard]] std::string state() const {
    Sha256 hash;
    problem_.add_state(*session_, hash);
    return hash.hex();
  }

  DeviceSet devices_;
  Problem problem_;
  Hooks hooks_;
  std::mutex mutex_;
  std::set<Operation> operations_;
  std::string expected_;
  std::unique_ptr<Session> session_;
};

template <class Error>
std::string message_in(const std::exception_ptr& caught) {
  if (caught == nullptr) return "nothing";
  try {
    std::rethrow_exception(caught);
  } catch (const Error& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another error: ") + error.what();
  }
}

TEST(Faults, AnExceptionInAnyTaskUndoesTheStep) {
  for (const auto& [name, graph] : models()) {
    for (const bool private_memory : {false, true}) {
      Faults faults(graph, private_memory, "none");
      std::size_t kernels = 0;
      for (const Operation& operation : faults.operations()) {
        SCOPED_TRACE(name + (private_memory ? ", memories of their own" : ""));
        const auto caught = faults.fail_at(operation, std::invalid_argument("boom"));
        const std::string message = message_in<std::invalid_argument>(caught);
        EXPECT_TRUE(faults.names(message, operation)) << message;
        faults.expect_the_same_end();
        kernels += operation.node.valid() || operation.value.valid() ? 1 : 0;
      }
      EXPECT_EQ(kernels, faults.schedule().graph().task_count()) << name;  // each task was met
    }
  }
}

TEST(Faults, ALostDeviceIsNamedAndTheStepUndone) {
  for (const auto& [name, graph] : models()) {
    Faults faults(graph, false, "cost");
    for (const Operation& operation : faults.operations()) {
      const auto caught = faults.fail_at(operation, DeviceLost("boom"));
      const std::string message = message_in<DeviceLost>(caught);
      EXPECT_TRUE(faults.names(message, operation)) << message;
      try {
        std::rethrow_exception(caught);
      } catch (const DeviceLost& error) {
        EXPECT_TRUE(error.device().valid());
      }
    }
  }
}

TEST(Faults, AStopAtAnyTaskUndoesTheStep) {
  for (const auto& [name, graph] : models()) {
    Faults faults(graph, false, "random");
    int cancelled = 0;
    for (const Operation& operation : faults.operations()) cancelled += faults.stop_at(operation) ? 1 : 0;
    EXPECT_GT(cancelled, static_cast<int>(faults.operations().size()) / 2) << name;
  }
}

TEST(Faults, WhatADeviceAloneHeldIsGoneWithIt) {
  const Problem problem(training_graph(adam()), kMicroBatches);
  DeviceSet devices = make_cpu_devices(2, 1, true);
  const Hooks hooks = hook(devices);
  const Plan plan = plan_with("data_parallel", problem.tasks, devices.cluster, CostModel());
  Session session(problem.tasks, devices, plan, CostModel());
  problem.start(session);
  EXPECT_TRUE(session.holds_state());
  *hooks[1] = [](const Operation&) { throw DeviceLost("boom"); };
  EXPECT_THROW(session.run(problem.inputs, {0, kLearningRate, 0}), DeviceLost);
  EXPECT_FALSE(session.holds_state());
}

}  // namespace
}  // namespace skua::test
