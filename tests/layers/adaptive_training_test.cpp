// Plans made in the background while training goes on: devices that slow down for a while, planners that fail or take
// long.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <thread>

#include "engine/hooked_device.h"
#include "graph/small_graphs.h"
#include "layers/small_models.h"
#include "layers/trainer.h"
#include "skua/engine/cpu/cpu_device.h"
#include "skua/graph/sha256.h"
#include "skua/scheduler/policy.h"

namespace skua::test {
namespace {

using std::chrono::microseconds;

// Steps of small_model, all on the same batch, on devices of the caller's.
class Training {
 public:
  Training(DeviceSet& devices, const CompileOptions& options)
      : trainer_(model_of(options), options.micro_batches, options, devices, costs_, 0) {
    Sequential model = small_model();
    model.compile({.devices = "cpu:1", .seed = 9});
    TrainingState state;
    state.weights = model.weights();
    trainer_.import_state(state);
    std::vector<std::int64_t> rows;
    for (std::int64_t i = 0; i < kBatch; ++i) rows.push_back(i);
    corners(kBatch)->read(rows, features_, labels_);
  }

  void run(std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i) (void)trainer_.step(features_, labels_, steps++, 0.01);
  }
  // Until it holds; at most 500 steps.
  template <class Condition>
  void run_until(Condition condition) {
    for (int i = 0; i < 500 && !condition(); ++i) run(1);
    EXPECT_TRUE(condition());
  }
  [[nodiscard]] TrainingReport report() const { return trainer_.report(); }
  // Of the tasks, by the plan in force.
  [[nodiscard]] double share(std::int64_t device) const {
    const std::vector<Placement> placements = report().plan.placements;
    const auto here = std::ranges::count(placements, DeviceId(device), &Placement::device);
    return static_cast<double>(here) / static_cast<double>(placements.size());
  }
  [[nodiscard]] std::string bits() const {
    TrainingState state;
    trainer_.export_state(state);
    Sha256 hash;
    for (const auto* tensors : {&state.weights, &state.states}) {
      for (const auto& [name, tensor] : *tensors) hash.update(std::span(tensor.data(), tensor.bytes()));
    }
    return hash.hex();
  }

  std::int64_t steps = 0;

 private:
  static constexpr std::int64_t kBatch = 16;
  static ModelGraph model_of(const CompileOptions& options) {
    ModelGraph model;
    model.graph = small_model().training_graph(kBatch, options.micro_batches, options);
    model.features = model.graph.find_value("features");
    model.labels = model.graph.find_value("labels");
    model.loss = model.graph.find_value("loss");
    return model;
  }

  CostModel costs_;
  Tensor features_{ValueType{{kBatch, 1, 8, 8}}};
  Tensor labels_{ValueType{{kBatch}, DType::kInt32}};
  Trainer trainer_;
};

TEST(AdaptiveTraining, ADeviceThatIsSlowForAWhileLosesShareAndTheBitsStay) {
  const CompileOptions options{.policy = "heft", .stealing = "none", .micro_batches = 4};
  DeviceSet devices = make_cpu_devices(2);
  std::array<std::atomic<int>, 2> naps{200, 200};  // microseconds before each kernel: its own work hardly counts
  const Hooks hooks = hook(devices);
  for (std::size_t d = 0; d < hooks.size(); ++d) {
    *hooks[d] = [&nap = naps[d]](const Operation& operation) {
      if (operation.node.valid() || operation.value.valid()) std::this_thread::sleep_for(microseconds(nap));
    };
  }
  Training training(devices, options);
  training.run_until([&] { return training.report().plans_made == 2; });
  for (int round = 0; round < 3; ++round) {
    training.run(10);
    EXPECT_GT(training.share(1), 0.4);
    naps[1] = 1000;
    training.run_until([&] { return training.share(1) < 0.35; });
    training.run(10);
    naps[1] = 200;
    training.run_until([&] { return training.share(1) > 0.4; });
  }
  EXPECT_GE(training.report().plans_made, 2 + 3 * 2);
  EXPECT_GT(training.report().median_step_seconds, 0);

  DeviceSet one = make_cpu_devices(1);
  CompileOptions undisturbed = options;
  undisturbed.plan_in_background = false;
  Training expected(one, undisturbed);
  expected.run(training.steps);
  EXPECT_EQ(training.bits(), expected.bits());
}

// What `watched` does besides planning as `heft`; given how many plans it has made before.
std::function<void(int)> while_planning;
std::atomic<int> planners{0};  // at work
std::atomic<int> watched_plans{0};

class Watched final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    ++planners;
    try {
      if (while_planning) while_planning(watched_plans++);
    } catch (...) {
      --planners;
      throw;
    }
    Plan plan = make_policy("heft")->make_plan(graph, cluster, model);
    --planners;
    return plan;
  }
};

// Registers `watched`, which is harmless but for the while of a test.
class AdaptiveFit : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    const auto known = [](const PolicyInfo& info) { return info.name == "watched"; };
    if (std::ranges::any_of(policies(), known)) return;
    register_policy(
        {"watched", "heft, watched by a test", [](const PolicyOptions&) { return std::make_unique<Watched>(); }});
  }
  void SetUp() override { watched_plans = 0; }
  void TearDown() override { while_planning = nullptr; }

  // Weights after so many steps of fit; whatever the report says goes to `report`.
  static std::string fit(int steps, const std::shared_ptr<const Dataset>& data = corners(64),
                         TrainingReport* report = nullptr, Callback* callback = nullptr) {
    Sequential model = small_model();
    model.compile({.devices = "cpu:2", .policy = "watched", .micro_batches = 4, .seed = 5});
    FitOptions options{.batch_size = 16, .steps = steps, .verbose = false};
    if (callback != nullptr) options.callbacks = {callback};
    try {
      model.fit(*data, options);
    } catch (...) {
      EXPECT_EQ(planners, 0);
      throw;
    }
    EXPECT_EQ(planners, 0);
    if (report != nullptr) *report = model.report();
    return model.weights_sha256();
  }
};

void sleep_after_the_first(int plans) {
  if (plans > 0) std::this_thread::sleep_for(std::chrono::milliseconds(300));
}

// The planner begins before the eighth step and goes on until the ninth has ended, and for a while then.
TEST_F(AdaptiveFit, GoesOnWhileAPlanIsMadeAndWaitsForItAtTheEnd) {
  const std::string expected = fit(9);
  class Steps final : public Callback {
   public:
    void on_step_end(Model&, const StepLogs&) override { ++done; }
    std::atomic<int> done{0};
  } steps;
  while_planning = [&](int plans) {
    for (int i = 0; plans > 0 && steps.done < 9 && i < 10000; ++i) std::this_thread::sleep_for(microseconds(1000));
    sleep_after_the_first(plans);
  };
  TrainingReport report;
  EXPECT_EQ(fit(9, corners(64), &report, &steps), expected);
  EXPECT_EQ(watched_plans, 2);
  EXPECT_EQ(report.plans_made, 1);  // too late for a step
  EXPECT_EQ(report.steps, 9);
  EXPECT_TRUE(report.measured_costs);
  EXPECT_GE(report.plan.predicted_seconds, report.lower_bound_seconds * 0.999);
}

TEST_F(AdaptiveFit, WaitsForThePlannerAlsoWhereAStepFails) {
  class Faulty final : public PassedOn {
   public:
    Faulty() : PassedOn(corners(160)) {}
    void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels, std::int64_t) const override {
      good->read(rows, features, labels);
      if (++reads == 9) labels.ints()[9] = 77;
    }
    mutable std::atomic<int> reads = 0;
  };
  while_planning = sleep_after_the_first;
  EXPECT_NE(message_of([] { (void)fit(10, std::make_shared<Faulty>()); }).find("77"), std::string::npos);
  EXPECT_EQ(watched_plans, 2);
}

TEST_F(AdaptiveFit, KeepsThePlanWhereTheNextIsRefused) {
  const std::string expected = fit(400);
  while_planning = [](int plans) {
    if (plans > 0) throw std::invalid_argument("no such plan by these times");
  };
  TrainingReport report;
  EXPECT_EQ(fit(400, corners(64), &report), expected);
  EXPECT_GE(report.plans_made, 2);  // asked for, and refused
}

TEST_F(AdaptiveFit, PassesAPlannersErrorOn) {
  while_planning = [](int plans) {
    if (plans > 0) throw std::runtime_error("the planner is gone");
  };
  try {
    (void)fit(2000);
    FAIL() << "expected an error";
  } catch (const std::runtime_error& error) {
    EXPECT_EQ(std::string(error.what()), "the planner is gone");
  }
}

}  // namespace
}  // namespace skua::test
