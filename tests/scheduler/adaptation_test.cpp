// When plans are made anew, with the simulator as the machine: its devices' true speeds change, which the loop only
// sees by what their tasks take.
#include "skua/scheduler/adaptation.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "graph/small_graphs.h"
#include "scheduler/plans.h"
#include "skua/scheduler/policy.h"
#include "skua/scheduler/simulator.h"

namespace skua::test {
namespace {

// Three wide layers, so that GPUs have something to do.
Graph wide_graph() {
  constexpr std::int64_t kSamples = 4096;
  constexpr std::int64_t kWidth = 1024;
  Graph graph;
  ValueId y = graph.add_input("x", {{kSamples, kWidth}});
  const ValueId labels = graph.add_input("labels", {{kSamples}, DType::kInt32});
  for (const std::string name : {"a", "b", "c"}) {
    const ValueId weight = graph.add_parameter(name + ".weight", {kWidth, kWidth});
    const ValueId bias = graph.add_parameter(name + ".bias", {kWidth});
    y = graph.add_node({"dense", {}}, {y, weight, bias}, name).at(0);
    y = graph.add_node({"relu", {}}, {y}, name + ".relu").at(0);
  }
  const ValueId loss = graph.add_node(cross_entropy(1), {y, labels}, "loss").at(0);
  graph.mark_output(loss);
  append_updates(graph, append_gradients(graph, loss), sgd(0));
  return graph;
}

// Training on a simulated cluster: what the loop plans, and what the machine makes of it.
class Training {
 public:
  Training(const Graph& graph, int micro_batches, const std::string& preset, int planning_steps, double noise = 0)
      : cluster(make_cluster(preset)),
        tasks(graph, micro_batches),
        slowness(cluster.device_count(), 1),
        planning_steps_(planning_steps),
        noise_(noise) {
    take_up(make_plan(), true);
  }

  void run(int count) {
    for (int i = 0; i < count; ++i) step();
  }
  // One step; a plan that is due is taken up after planning_steps further ones, which are not observed.
  void step() {
    if (left_ && (*left_)-- == 0) {
      left_.reset();
      Plan made = make_plan();
      const bool is_better = Adaptation::is_better(made, plan, CostTable(tasks, cluster, costs));
      take_up(is_better ? std::move(made) : plan, is_better);
      ++plans;
    }
    ++steps;
    const StepTrace trace = simulate(schedule(), truth_, options(static_cast<std::uint64_t>(steps)));
    if (!left_ && adaptation_.observe(schedule(), trace)) left_ = planning_steps_;
  }

  // What the plan takes without noise, and what no plan can beat: slow devices are a kind of their own with known
  // times.
  [[nodiscard]] double true_seconds() const {
    SimulationOptions now = options(0);
    now.noise = 0;
    return simulate(schedule(), truth_, now).seconds;
  }
  [[nodiscard]] double bound_seconds() const {
    std::vector<DeviceSpec> devices = cluster.devices();
    CostModel known;
    for (std::size_t d = 0; d < devices.size(); ++d) {
      const DeviceSpec healthy = devices[d];
      if (slowness[d] == 1) continue;
      devices[d].kind = "slow " + std::to_string(d);
      for (const CostKey& key : tasks.cost_keys()) {
        known.set(key.signature, devices[d].kind, CostModel::roofline_seconds(key, healthy) * slowness[d]);
      }
    }
    const Cluster mixed("mixed", devices, cluster.memories(), cluster.links());
    return lower_bound_seconds(CostTable(tasks, mixed, known));
  }
  // Of the work, by a healthy device's times.
  [[nodiscard]] double share(std::size_t device) const {
    double here = 0;
    double all = 0;
    for (std::size_t i = 0; i < tasks.task_count(); ++i) {
      const double seconds = truth_.seconds(TaskId(static_cast<std::int64_t>(i)), DeviceId(0));
      all += seconds;
      if (plan.placements[i].device.index() == device) here += seconds;
    }
    return here / all;
  }

  Cluster cluster;
  TaskGraph tasks;
  CostModel costs;
  std::vector<double> slowness;  // by device
  Plan plan;
  int plans = 1;
  int steps = 0;

 private:
  [[nodiscard]] Plan make_plan() const { return plan_with("auto", tasks, cluster, costs, {"", 0.5}); }
  [[nodiscard]] Schedule schedule() const { return Schedule(tasks, cluster, plan); }
  void take_up(Plan next, bool is_new) {
    plan = std::move(next);
    adaptation_.begin(schedule(), simulate(schedule(), CostTable(tasks, cluster, costs)).seconds, is_new);
  }
  [[nodiscard]] SimulationOptions options(std::uint64_t seed) const {
    SimulationOptions options{.noise = noise_, .seed = seed};
    for (std::size_t d = 0; d < slowness.size(); ++d) {
      options.stragglers.push_back({DeviceId(static_cast<std::int64_t>(d)), slowness[d]});
    }
    return options;
  }

  int planning_steps_;
  double noise_;
  std::optional<int> left_;  // steps until the plan that is due has been made
  CostTable truth_{tasks, cluster, CostModel()};
  Adaptation adaptation_{costs};
};

// Steps until the plan in force is within 90 % of the bound; at most `most`.
int steps_until_good(Training& training, int most) {
  const double enough = training.bound_seconds() / 0.9;
  for (int steps = 0; steps <= most; ++steps) {
    if (training.true_seconds() <= enough) return steps;
    training.step();
  }
  return most + 1;
}

struct Case {
  const char* name;
  Graph graph;
  int micro_batches;
  const char* cluster;
  double noise;
};

// A device is found out in three slow steps, and the plan is there before the fourth, or after further steps that its
// making takes.
TEST(Adaptation, ADeviceThatTurnsSlowLosesShareWithinAFewSteps) {
  const Case cases[] = {{"cnn", training_graph(adam()), 8, "cpu:2", 0},
                        {"cnn", training_graph(adam()), 16, "cpu:2", 0.1},
                        {"wide", wide_graph(), 16, "h100x8-nvlink", 0},
                        {"wide", wide_graph(), 16, "h100x8-nvlink", 0.1}};
  for (const Case& c : cases) {
    for (const int planning_steps : {0, 2}) {
      SCOPED_TRACE(testing::Message() << c.name << " on " << c.cluster << ", noise " << c.noise << ", plans take "
                                      << planning_steps);
      Training training(c.graph, c.micro_batches, c.cluster, planning_steps, c.noise);
      training.run(10);
      ASSERT_EQ(training.plans, 2);  // by measured times
      const double share = training.share(1);
      training.slowness[1] = 2;
      EXPECT_GT(training.true_seconds(), training.bound_seconds() / 0.9);
      EXPECT_LE(steps_until_good(training, 8), 8);
      EXPECT_LT(training.share(1), 0.75 * share);
      training.run(20);
      EXPECT_LE(training.true_seconds(), training.bound_seconds() / 0.9);

      training.slowness[1] = 1;
      training.run(8);
      EXPECT_LE(training.true_seconds(), training.bound_seconds() / 0.9);
      EXPECT_GT(training.share(1), 0.9 * share);
    }
  }
}

TEST(Adaptation, ADeviceThatGotNoTasksIsTriedAgain) {
  Training training(training_graph(adam()), 8, "cpu:2", 0);
  training.run(10);
  training.slowness[1] = 1000;
  training.run(8);
  ASSERT_EQ(training.share(1), 0);
  training.run(100);
  EXPECT_EQ(training.share(1), 0);  // half as slow, in logarithms, is too slow
  training.slowness[1] = 1;
  training.run(150);
  EXPECT_GT(training.share(1), 0.45);
}

TEST(Adaptation, StepsThatGoAsPredictedKeepThePlan) {
  for (const double noise : {0.0, 0.1}) {
    Training training(training_graph(adam()), 8, "cpu:2", 0, noise);
    training.run(1000);
    EXPECT_EQ(training.plans, 2);  // the second by measured times
  }
}

// All devices alike: no plan is better, but the prediction is right again after the costs are.
TEST(Adaptation, AChangeOfAllTimesRenewsThePrediction) {
  Training training(training_graph(adam()), 8, "cpu:2", 0);
  training.run(10);
  const Plan before = training.plan;
  training.slowness = {2, 2};
  training.run(30);
  EXPECT_EQ(training.plan.placements, before.placements);
  EXPECT_LE(training.plans, 4);
  const int plans = training.plans;
  training.run(200);
  EXPECT_EQ(training.plans, plans);
}

// Of 1000 steps that all take twice what is predicted, whatever is planned: each pause twice as long as the one before.
TEST(Adaptation, PlansThatSettleNothingAreMadeMoreAndMoreRarely) {
  const TaskGraph graph(training_graph(adam()), 2);
  const Cluster cluster = make_cluster("cpu:1");
  CostModel costs;
  const Schedule schedule(graph, cluster, one_device_plan(graph, cluster));
  const StepTrace trace = simulate(schedule, CostTable(graph, cluster, costs));
  Adaptation adaptation(costs);
  adaptation.begin(schedule, trace.seconds / 2, true);
  std::vector<int> due;
  int observed = 0;  // without those of warm-ups
  for (int step = 0, of_plan = 0; step < 1000; ++step) {
    if (++of_plan > Adaptation::kWarmUpSteps) ++observed;
    if (!adaptation.observe(schedule, trace)) continue;
    due.push_back(observed);
    adaptation.begin(schedule, trace.seconds / 2, false);
    of_plan = 0;
  }
  EXPECT_EQ(due, (std::vector<int>{5, 8, 12, 20, 36, 68, 132, 260, 516}));
}

}  // namespace
}  // namespace skua::test
