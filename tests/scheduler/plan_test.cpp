// Plans: what is valid, files, and the lower bound against all schedules of tiny steps.
#include "scheduler/plans.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>
#include <limits>

#include "engine/fuzz_graphs.h"
#include "scheduler/tiny_step.h"
#include "skua/scheduler/policy.h"
#include "skua/scheduler/simulator.h"
#include "skua/scheduler/task_file.h"

namespace skua::test {
namespace {

struct Fixture {
  TaskGraph graph{training_graph(sgd(0)), 3};
  Cluster cluster = tiny_cluster(true);
  Plan plan = make();

  std::string message(const std::function<void(Plan&)>& change) const {
    Plan changed = plan;
    change(changed);
    return message_of([&] { validate(changed, graph, cluster); });
  }

 private:
  Plan make() const {
    Random random(4);
    Plan random_one = random_plan(graph, cluster, random);
    random_one.predicted_seconds = 0.1;
    return random_one;
  }
};

TEST(Plan, WhatIsWrongIsNamed) {
  const Fixture fixture;
  EXPECT_EQ(fixture.message([](Plan&) {}), "");
  const std::pair<std::function<void(Plan&)>, const char*> cases[] = {
      {[](Plan& p) { p.micro_batches = 2; }, "[plan] expected a plan for 3 micro-batches, got one for 2"},
      {[](Plan& p) { p.graph_fingerprint = "abc"; }, "got one of another (abc)"},
      {[](Plan& p) { p.device_names[1] = "c"; }, "[plan] expected a plan for the devices a, b, got one for a, c"},
      {[](Plan& p) { p.placements.pop_back(); }, "placed tasks, got"},
      {[](Plan& p) { p.placements[0].device = DeviceId(2); }, "task conv1 [mb 0] expected a device in [0,2), got 2"},
      {[](Plan& p) { p.placements[0].device = DeviceId(); }, "task conv1 [mb 0] expected a device in [0,2), got -1"},
      {[](Plan& p) { p.placements[1].priority = std::nan(""); }, "expected a finite priority, got nan"},
  };
  for (const auto& [change, expected] : cases) {
    const std::string message = fixture.message(change);
    EXPECT_NE(message.find(expected), std::string::npos) << message;
  }
}

TEST(Plan, SumsStayInTheMemoryOfTheirLeftOperand) {
  const Fixture fixture;
  const std::string message = fixture.message([&](Plan& plan) {
    for (std::size_t i = 0; i < plan.placements.size(); ++i) {
      const bool sum = fixture.graph.task(TaskId(static_cast<std::int64_t>(i))).kind == TaskKind::kReduce;
      plan.placements[i].device = DeviceId(sum ? 1 : 0);
    }
  });
  EXPECT_NE(message.find("must be planned in the memory of its left operand"), std::string::npos) << message;
  EXPECT_EQ(message.rfind("[plan] task reduce ", 0), 0U) << message;
}

TEST(Plan, PartsOfAnUpdateStayInOneMemory) {
  const TaskGraph graph(wide_step(), 1, {}, 2);
  const Cluster cluster = tiny_cluster(true);
  Plan plan = one_device_plan(graph, cluster);
  EXPECT_EQ(message_of([&] { validate(plan, graph, cluster); }), "");
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    if (graph.task(TaskId(static_cast<std::int64_t>(i))).part.index == 1) plan.placements[i].device = DeviceId(1);
  }
  EXPECT_EQ(message_of([&] { validate(plan, graph, cluster); }),
            "[plan] task wide.weight.update [2/2] must be planned in the memory of its first part, a, got b");
}

std::string file_in_temp(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("skua_plan_test_" + name)).string();
}

TEST(Plan, FilesKeepEverything) {
  const Fixture fixture;
  for (const std::string name : {"plan.bin", "plan.json"}) {
    const std::string path = file_in_temp(name);
    save_plan(fixture.plan, path);
    EXPECT_EQ(load_plan(path), fixture.plan) << name;
    std::filesystem::remove(path);
  }
  EXPECT_THROW(save_plan(fixture.plan, "/nowhere/at/all"), std::runtime_error);
}

TEST(Plan, DamagedFilesAreErrorsThatNameThem) {
  const Fixture fixture;
  const std::string path = file_in_temp("damaged");
  EXPECT_NE(message_of([&] { (void)load_plan(path); }).find(path), std::string::npos);
  save_plan(fixture.plan, path);
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto message_with = [&](const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    return message_of([&] { (void)load_plan(path); });
  };
  EXPECT_EQ(message_with(bytes), "");
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 4);
    ASSERT_NE(message_with(flipped).find(path), std::string::npos) << "byte " << i;
    ASSERT_NE(message_with(bytes.substr(0, i)).find(path), std::string::npos) << "first " << i << " bytes";
  }
  std::filesystem::remove(path);
}

// The shortest of all schedules without idling on purpose: every placement under every order of priorities.
double optimum_seconds(const TaskGraph& graph, const Cluster& cluster, const CostTable& costs) {
  const std::size_t tasks = graph.task_count();
  const std::size_t devices = cluster.device_count();
  double best = std::numeric_limits<double>::infinity();
  std::vector<std::size_t> order(tasks);
  for (std::size_t i = 0; i < tasks; ++i) order[i] = i;
  do {
    std::size_t placements = 1;
    for (std::size_t i = 0; i < tasks; ++i) placements *= devices;
    for (std::size_t code = 0; code < placements; ++code) {
      Plan plan = empty_plan(graph, cluster);
      std::size_t rest = code;
      for (std::size_t i = 0; i < tasks; ++i, rest /= devices) {
        plan.placements.push_back({DeviceId(static_cast<std::int64_t>(rest % devices)), static_cast<double>(order[i])});
      }
      best = std::min(best, simulate(Schedule(graph, cluster, plan), costs).seconds);
    }
  } while (std::next_permutation(order.begin(), order.end()));
  return best;
}

// A cluster of the tiny one's shape whose second device is slower, or slow for some operators.
CostModel uneven_costs(const TaskGraph& graph, Random& random) {
  CostModel model;
  for (const CostKey& key : graph.cost_keys()) {
    for (const char* kind : {"k", "slow"}) {
      const double seconds = random.uniform(0.5, 4);
      for (std::size_t i = 0; i < CostModel::kMinSamples; ++i) model.observe(key.signature, kind, seconds);
    }
  }
  return model;
}

TEST(LowerBound, IsNeverAboveTheBestScheduleNorThatAbovePolicies) {
  Random random(11);
  int tight = 0;
  for (const Graph& step : {chain_graph(), fork_join_graph()}) {
    for (const bool own_memories : {false, true}) {
      for (int attempt = 0; attempt < 5; ++attempt) {
        const TaskGraph graph(step, 1 + static_cast<int>(random.below(2)));
        const Cluster base = tiny_cluster(own_memories);
        std::vector<DeviceSpec> devices = base.devices();
        if (attempt > 0) devices[1].kind = "slow";
        const Cluster cluster("uneven", devices, base.memories(), base.links());
        const CostModel model = attempt == 0 ? tiny_costs(graph) : uneven_costs(graph, random);
        const CostTable costs(graph, cluster, model);
        const double bound = lower_bound_seconds(costs);
        const double optimum = optimum_seconds(graph, cluster, costs);
        ASSERT_LE(bound, optimum * (1 + 1e-12));
        ASSERT_GT(bound, 0);
        for (const char* policy : {"single", "greedy", "heft", "auto"}) {
          const double planned = plan_with(policy, graph, cluster, model).predicted_seconds;
          ASSERT_GE(planned, optimum * (1 - 1e-12)) << policy;
        }
        tight += bound > 0.999 * optimum ? 1 : 0;
      }
    }
  }
  EXPECT_GT(tight, 0);
}

TEST(LowerBound, ByHand) {
  // One chain of 1 + 2 + 3 s; four of them on two devices.
  const TaskGraph one(chain_graph(), 1);
  const TaskGraph four(chain_graph(), 4);
  const Cluster cluster = tiny_cluster(false);
  EXPECT_DOUBLE_EQ(lower_bound_seconds(CostTable(one, cluster, tiny_costs(one))), 6);
  EXPECT_DOUBLE_EQ(lower_bound_seconds(CostTable(four, cluster, tiny_costs(four))), 12);
  // A second device at half the speed: 24 s of work at 1.5 times the speed.
  std::vector<DeviceSpec> devices = cluster.devices();
  devices[1].kind = "half";
  const Cluster uneven("uneven", devices, cluster.memories(), cluster.links());
  CostModel model = tiny_costs(four);
  for (const CostKey& key : four.cost_keys()) {
    for (std::size_t i = 0; i < CostModel::kMinSamples; ++i) {
      model.observe(key.signature, "half", 2 * model.seconds(key, devices[0]));
    }
  }
  EXPECT_NEAR(lower_bound_seconds(CostTable(four, uneven, model)), 16, 1e-9);
}

// The tasks of a graph of times on the cluster.
double bound_of(const TimedGraph& timed, const Cluster& cluster) {
  const TimedProblem problem(timed, cluster);
  const TaskGraph graph(problem.graph, 1);
  return lower_bound_seconds(CostTable(graph, cluster, problem.costs));
}

// Two devices in memories of their own, of kinds "first" and "other".
Cluster two_kinds_of_devices() {
  const Cluster base = timed_cluster(2);
  std::vector<DeviceSpec> devices = base.devices();
  devices[0].kind = "first";
  devices[1].kind = "other";
  return Cluster("kinds", devices, base.memories(), base.links());
}

TEST(LowerBound, CountsCopiesThatNoPlacementAvoids) {
  TimedGraph timed;
  timed.tasks = {{"a", {{"first", 1}}}, {"b", {{"first", 4}, {"other", 1}}}, {"c", {{"device", 1}}}};
  timed.edges = {{0, {1}, 2 * kTimedBytesPerSecond}, {1, {2}, 9 * kTimedBytesPerSecond}};
  // a on the first device; b there for 4 s, or on the second for 1 s after a copy of 2 s; c where b is.
  EXPECT_NEAR(bound_of(timed, two_kinds_of_devices()), 1 + 2 + 1 + 1, 1e-9);
}

TEST(LowerBound, SharesLoadsAsDevicesAreGoodAtThem) {
  TimedGraph timed;
  for (int i = 0; i < 6; ++i) timed.tasks.push_back({fmt::format("x{}", i), {{"first", 1}, {"other", 3}}});
  for (int i = 0; i < 2; ++i) timed.tasks.push_back({fmt::format("y{}", i), {{"first", 3}, {"other", 1}}});
  // Five x on the first device; the others take 3 + 1 + 1 s on the second.
  EXPECT_NEAR(bound_of(timed, two_kinds_of_devices()), 5, 1e-6);
}

// 2 s, then six tasks of 1 s on two devices, then 2 s: longer than the path (5 s) and the load (5 s).
TEST(LowerBound, CountsWhatIsBeforeAndAfterALoad) {
  TimedGraph timed;
  timed.tasks = {{"first", {{"device", 2}}}};
  for (std::size_t i = 1; i <= 6; ++i) timed.tasks.push_back({fmt::format("m{}", i), {{"device", 1}}});
  timed.tasks.push_back({"last", {{"device", 2}}});
  timed.edges = {{0, {1, 2, 3, 4, 5, 6}, 0}};
  for (std::size_t i = 1; i <= 6; ++i) timed.edges.push_back({i, {7}, 0});
  EXPECT_NEAR(bound_of(timed, timed_cluster(2)), 7, 1e-6);
}

}  // namespace
}  // namespace skua::test
