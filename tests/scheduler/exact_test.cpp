// The proved optimum against all schedules, one by one, and every policy against the bound, on small random graphs.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "scheduler/random_problems.h"
#include "skua/scheduler/policy.h"
#include "skua/scheduler/simulator.h"
#include "skua/scheduler/task_file.h"

namespace skua::test {
namespace {

constexpr double kRounding = 1e-6;  // copies last whole multiples of 4 ns

// All orders in which the tasks can be appended to devices, every one walked to its end.
class AllSchedules {
 public:
  AllSchedules(const TimedGraph& graph, int devices)
      : graph_(graph), devices_(devices), device_(graph.tasks.size(), -1), finish_(graph.tasks.size(), 0) {
    free_.assign(static_cast<std::size_t>(devices), 0);
  }
  // Times differ by the device where `slow` says so: odd devices take so many times as long.
  double least_makespan(double slow) {
    slow_ = slow;
    walk(0, 0);
    return least_;
  }
  // How many of them there are, as far as `most`.
  static double count(const TimedGraph& graph, int devices) {
    const std::size_t n = graph.tasks.size();
    std::vector<double> orders(std::size_t{1} << n, 0);
    orders[0] = 1;
    for (std::size_t set = 0; set < orders.size(); ++set) {
      for (std::size_t i = 0; orders[set] > 0 && i < n; ++i) {
        if ((set >> i & 1) == 0 && ready(graph, i, [&](std::size_t j) { return (set >> j & 1) != 0; })) {
          orders[set | std::size_t{1} << i] += orders[set] * devices;
        }
      }
    }
    return orders.back();
  }

 private:
  template <class Done>
  static bool ready(const TimedGraph& graph, std::size_t task, Done done) {
    return std::all_of(graph.edges.begin(), graph.edges.end(), [&](const TimedEdge& edge) {
      return std::find(edge.to.begin(), edge.to.end(), task) == edge.to.end() || done(edge.from);
    });
  }

  void walk(std::size_t placed, double makespan) {
    if (placed == graph_.tasks.size()) {
      least_ = std::min(least_, makespan);
      return;
    }
    for (std::size_t i = 0; i < graph_.tasks.size(); ++i) {
      if (device_[i] >= 0 || !ready(graph_, i, [&](std::size_t j) { return device_[j] >= 0; })) continue;
      for (int d = 0; d < devices_; ++d) {
        double start = free_[static_cast<std::size_t>(d)];
        for (const TimedEdge& edge : graph_.edges) {
          if (std::find(edge.to.begin(), edge.to.end(), i) == edge.to.end()) continue;
          const double copy = device_[edge.from] == d ? 0 : edge.bytes / kTimedBytesPerSecond;
          start = std::max(start, finish_[edge.from] + copy);
        }
        const double was_free = free_[static_cast<std::size_t>(d)];
        const double seconds = graph_.tasks[i].seconds.begin()->second * (d % 2 == 1 ? slow_ : 1);
        device_[i] = d;
        finish_[i] = free_[static_cast<std::size_t>(d)] = start + seconds;
        walk(placed + 1, std::max(makespan, finish_[i]));
        free_[static_cast<std::size_t>(d)] = was_free;
        device_[i] = -1;
      }
    }
  }

  const TimedGraph& graph_;
  int devices_;
  double slow_ = 1;
  std::vector<int> device_;
  std::vector<double> finish_;
  std::vector<double> free_;
  double least_ = std::numeric_limits<double>::infinity();
};

// 2 to 10 tasks, some of which take no time, with copies that take up to a few times as long as tasks.
TimedGraph random_timed_graph(Random& random) {
  TimedGraph graph;
  const std::size_t count = 2 + random.below(9);
  const double copy_ratio = static_cast<double>(random.below(4));
  for (std::size_t i = 0; i < count; ++i) {
    graph.tasks.push_back({fmt::format("t{}", i), {{"device", static_cast<double>(random.below(10))}}});
    TimedEdge edge{i, {}, static_cast<double>(random.below(10)) * copy_ratio * kTimedBytesPerSecond};
    for (std::size_t to = i + 1; to < count; ++to) {
      if (random.below(3) == 0) edge.to.push_back(to);
    }
    if (!edge.to.empty()) graph.edges.push_back(edge);
  }
  return graph;
}

// Odd devices are of another kind, on which everything takes `slow` times as long.
struct SmallProblem {
  SmallProblem(TimedGraph graph, int devices, double slow) : timed(std::move(graph)), cluster(timed_cluster(devices)) {
    for (TimedTask& task : timed.tasks) task.seconds["odd"] = task.seconds.at("device") * slow;
    std::vector<DeviceSpec> specs = cluster.devices();
    for (std::size_t d = 1; d < specs.size(); d += 2) specs[d].kind = "odd";
    cluster = Cluster(cluster.name(), specs, cluster.memories(), cluster.links());
  }
  TimedGraph timed;
  Cluster cluster;
};

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
      const Plan plan = plan_with(name, tasks, cluster, model);
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
