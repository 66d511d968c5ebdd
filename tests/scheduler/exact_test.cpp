// The proved optimum against all schedules, one by one, and every policy against the bound, on small random graphs.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "scheduler/all_schedules.h"
#include "scheduler/random_problems.h"
#include "skua/scheduler/policy.h"
#include "skua/scheduler/simulator.h"

namespace skua::test {
namespace {

TEST(Exact, EqualsTheBestOfAllSchedulesAndNoPolicyIsBelowIt) {
  constexpr double kMostSchedules = 20'000;
  Random random(7, 0);
  std::map<std::string, double> gaps;
  for (int trial = 0; trial < 2000; ++trial) {
    TimedGraph graph;
    int devices = 0;
    do {
      graph = random_timed_graph(random);
      devices = 2 + static_cast<int>(random.below(3));
    } while (AllSchedules::count(graph, devices) > kMostSchedules);
    const double slow = random.below(2) == 0 ? 1 : 2;
    const double least = AllSchedules(graph, devices).least_makespan(slow);
    const SmallProblem small(graph, devices, slow);
    const TimedProblem problem(small.timed, small.cluster);
    const TaskGraph tasks(problem.graph, 1);
    for (const PolicyInfo& info : policies()) {
      if (info.name == "replay") continue;
      const PolicyOptions options{"", info.name == "exact" ? 10 : 0.01};
      const Plan plan = plan_with(info.name, tasks, small.cluster, problem.costs, options);
      gaps[info.name] += least > 0 ? plan.predicted_seconds / least - 1 : 0;
      EXPECT_GE(plan.predicted_seconds, least - kRounding) << info.name << " in trial " << trial;
      EXPECT_LE(plan.lower_bound_seconds, least + kRounding) << info.name << " in trial " << trial;
      if (info.name != "exact") continue;
      EXPECT_NEAR(plan.predicted_seconds, least, kRounding) << "trial " << trial;
      EXPECT_NEAR(plan.lower_bound_seconds, least, kRounding) << "trial " << trial;
    }
    if (HasFailure()) return;
  }
  for (auto& [name, gap] : gaps) RecordProperty("mean gap of " + name, fmt::format("{:.4f}", gap / 2000));
  for (const char* search : {"annealing", "genetic", "integer"}) EXPECT_LT(gaps[search], gaps["heft"] / 4) << search;
  for (const char* rounded : {"linear", "convex"}) EXPECT_LT(gaps[rounded], gaps["heft"] / 2) << rounded;
}

// Branch and cut over starts, places and orders, another way to the same optimum.
TEST(Integer, ProvesTheOptimumWhereTheProgramIsSmall) {
  Random random(9, 0);
  int proved = 0;
  for (int trial = 0; trial < 100; ++trial) {
    const TimedGraph graph = random_timed_graph(random);
    const SmallProblem small(graph, 2, random.below(2) == 0 ? 1 : 2);
    const TimedProblem problem(small.timed, small.cluster);
    const TaskGraph tasks(problem.graph, 1);
    const double least = plan_with("exact", tasks, small.cluster, problem.costs).predicted_seconds;
    const Plan plan = plan_with("integer", tasks, small.cluster, problem.costs, {"", 2});
    const double rounding = 2e-6 * least + kRounding;
    EXPECT_GE(plan.predicted_seconds, least - rounding) << "trial " << trial;
    EXPECT_LE(plan.lower_bound_seconds, least + rounding) << "trial " << trial;
    if (plan.lower_bound_seconds < plan.predicted_seconds - rounding) continue;
    ++proved;
    EXPECT_NEAR(plan.predicted_seconds, least, rounding) << "trial " << trial;
  }
  EXPECT_GE(proved, 95);
}

// On the host's memory and over links that take one copy at a time, the optimum without contention is a bound.
TEST(Exact, BoundsEveryPolicyWhereCopiesWaitForEachOther) {
  Random random(8, 0);
  int tight = 0;
  int trials = 0;
  while (trials < 200) {
    const Cluster cluster = random_cluster(random);
    const Graph graph = random_dag(random);
    if (graph.node_count() > 8) continue;
    ++trials;
    const TaskGraph tasks(graph, 1);
    const CostModel model;
    const Plan exact = plan_with("exact", tasks, cluster, model);
    EXPECT_LE(exact.lower_bound_seconds, exact.predicted_seconds * (1 + 1e-9));
    if (exact.lower_bound_seconds > exact.predicted_seconds * (1 - 1e-9)) ++tight;
    for (const char* name : {"single", "round_robin", "greedy", "heft", "cpop", "peft", "etf", "auto"}) {
      const Plan plan = plan_with(name, tasks, cluster, model, {"", 0.1});
      EXPECT_GE(plan.predicted_seconds, exact.lower_bound_seconds * (1 - 1e-9)) << name << ", trial " << trials;
    }
  }
  EXPECT_GT(tight, 150);  // else it says little
}

// a (1 s) and b (5 s) are ready at once, c waits for a copy of a's until 2 s. In the order c, b the device waits for c.
TEST(StrictOrder, DevicesWaitForTheNextTaskOfTheirOrder) {
  TimedGraph graph;
  graph.tasks = {{"a", {{"device", 1}}}, {"b", {{"device", 5}}}, {"c", {{"device", 1}}}};
  graph.edges = {{0, {2}, kTimedBytesPerSecond}};
  const TimedProblem problem(graph, timed_cluster(4));
  const TaskGraph tasks(problem.graph, 1);
  const Cluster cluster = timed_cluster(2);
  const CostTable costs(tasks, cluster, problem.costs);
  Plan plan = plan_with("single", tasks, cluster, problem.costs);
  plan.placements = {{DeviceId(0), 0}, {DeviceId(1), 1}, {DeviceId(1), 2}};
  EXPECT_DOUBLE_EQ(simulate(Schedule(tasks, cluster, plan), costs).seconds, 6);  // b, then c
  plan.strict_order = true;
  EXPECT_DOUBLE_EQ(simulate(Schedule(tasks, cluster, plan), costs).seconds, 8);  // c at 2 s, then b
  validate(plan, tasks, cluster);
  plan.placements = {{DeviceId(1), 1}, {DeviceId(1), 0}, {DeviceId(1), 2}};  // c before a, which it needs
  EXPECT_THROW(validate(plan, tasks, cluster), std::invalid_argument);
}

// Graphs on which HEFT is worse than one device: a fan of short tasks whose results are dear to move.
TEST(Auto, IsNeverWorseThanItsMembersWhereHeftIsMisled) {
  TimedGraph graph;
  constexpr std::size_t kFan = 12;
  graph.tasks.push_back({"source", {{"device", 1}}});
  for (std::size_t i = 1; i <= kFan; ++i) {
    graph.tasks.push_back({fmt::format("middle {}", i), {{"device", 1}}});
    graph.edges.push_back({0, {i}, 0});
    graph.edges.push_back({i, {kFan + 1}, 50 * kTimedBytesPerSecond});
  }
  graph.tasks.push_back({"sink", {{"device", 1}}});
  const TimedProblem problem(graph, timed_cluster(4));
  const TaskGraph tasks(problem.graph, 1);
  const Cluster cluster = timed_cluster(4);
  const double single = plan_with("single", tasks, cluster, problem.costs).predicted_seconds;
  const double heft = plan_with("heft", tasks, cluster, problem.costs).predicted_seconds;
  EXPECT_DOUBLE_EQ(single, kFan + 2);
  EXPECT_GT(heft, 3 * single);
  EXPECT_LE(plan_with("auto", tasks, cluster, problem.costs).predicted_seconds, single);
}

TEST(Exact, RefusesLargeGraphsAndTasksThatNoDeviceCanRun) {
  TimedGraph graph;
  for (int i = 0; i < 10'001; ++i) graph.tasks.push_back({fmt::format("t{}", i), {{"device", 1}}});
  const TimedProblem large(graph, timed_cluster(2));
  const TaskGraph tasks(large.graph, 1);
  EXPECT_THROW((void)plan_with("exact", tasks, timed_cluster(2), large.costs), std::invalid_argument);
  const TimedProblem foreign(TimedGraph{{{"t", {{"gpu", 1}}}, {"u", {{"device", 1}}}}, {}, {}}, timed_cluster(2));
  const TaskGraph two(foreign.graph, 1);
  for (const char* name : {"single", "round_robin", "greedy", "heft", "cpop", "peft", "etf", "m_etf", "m_sct", "linear",
                           "integer", "convex", "exact", "auto"}) {
    EXPECT_THROW((void)plan_with(name, two, timed_cluster(2), foreign.costs), std::invalid_argument) << name;
  }
}

}  // namespace
}  // namespace skua::test
