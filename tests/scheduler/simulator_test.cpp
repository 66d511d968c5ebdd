// The simulator: small schedules worked out by hand, and what must hold for every schedule.
#include "skua/scheduler/simulator.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/small_graphs.h"
#include "scheduler/plans.h"
#include "scheduler/tiny_step.h"

namespace skua::test {
namespace {

// A graph planned on a tiny cluster, with the round times of tiny_costs.
struct Step {
  Step(const Graph& operators, int micro_batches, Cluster machine, const Plan& plan, double wake_seconds = 0)
      : graph(operators, micro_batches),
        cluster(std::move(machine)),
        costs(graph, cluster, waking_after(wake_seconds, tiny_costs(graph))),
        schedule(graph, cluster, plan) {}

  [[nodiscard]] StepTrace run(const SimulationOptions& options = {}) const {
    return simulate(schedule, costs, options);
  }

  TaskGraph graph;
  Cluster cluster;
  CostTable costs;
  Schedule schedule;
};

void expect_record(const StepTrace& trace, std::size_t task, int lane, double start, double finish) {
  SCOPED_TRACE(fmt::format("task {}", task));
  EXPECT_EQ(trace.records.at(task).lane, LaneId(lane));
  EXPECT_DOUBLE_EQ(trace.records.at(task).start_seconds, start);
  EXPECT_DOUBLE_EQ(trace.records.at(task).finish_seconds, finish);
}

void expect_possible(const Schedule& schedule, const CostTable& costs, const StepTrace& trace) {
  ASSERT_EQ(trace.records.size(), schedule.task_count());
  std::vector<std::vector<TaskRecord>> lanes(schedule.lanes().size());
  double last = 0;
  for (std::size_t i = 0; i < schedule.task_count(); ++i) {
    const StepTaskId id(static_cast<std::int64_t>(i));
    const TaskRecord& record = trace.records[i];
    ASSERT_TRUE(record.lane.valid());
    ASSERT_LT(record.start_seconds, record.finish_seconds);
    EXPECT_TRUE(record.lane == schedule.task(id).lane || stealable(schedule, costs, id, record.lane));
    for (const StepTaskId after : schedule.successors(id)) {
      EXPECT_LE(record.finish_seconds, trace.records[after.index()].start_seconds);
    }
    lanes[record.lane.index()].push_back(record);
    last = std::max(last, record.finish_seconds);
  }
  EXPECT_EQ(trace.seconds, last);
  for (auto& lane : lanes) {
    std::ranges::sort(lane, {}, &TaskRecord::start_seconds);
    for (std::size_t i = 1; i < lane.size(); ++i) EXPECT_LE(lane[i - 1].finish_seconds, lane[i].start_seconds);
  }
}

TEST(Simulator, Chain) {
  const Step step(chain_graph(), 1, tiny_cluster(false), plan_on({0, 0, 0}));
  const StepTrace trace = step.run();
  ASSERT_EQ(trace.records.size(), 3U);
  expect_record(trace, 0, 0, 0, 1);
  expect_record(trace, 1, 0, 1, 3);
  expect_record(trace, 2, 0, 3, 6);
  EXPECT_DOUBLE_EQ(trace.seconds, 6);
}

TEST(Simulator, ForkJoin) {
  const Step step(fork_join_graph(), 1, tiny_cluster(false), plan_on({0, 1, 0}));
  const StepTrace trace = step.run();
  ASSERT_EQ(trace.records.size(), 3U);
  expect_record(trace, 0, 0, 0, 1);
  expect_record(trace, 1, 1, 0, 2);
  expect_record(trace, 2, 0, 2, 6);
}

TEST(Simulator, CopiesRunOnTheirReadersDevice) {
  const Step step(chain_graph(), 1, tiny_cluster(true), plan_on({0, 1, 1}));
  const StepTrace trace = step.run();
  ASSERT_EQ(trace.records.size(), 5U);  // x to "a", relu's output to "b"
  expect_record(trace, 3, 0, 0, 1.5);
  expect_record(trace, 0, 0, 1.5, 2.5);
  expect_record(trace, 4, 1, 2.5, 4);
  expect_record(trace, 1, 1, 4, 6);
  expect_record(trace, 2, 1, 6, 9);
  EXPECT_EQ(trace.records[3].copied_bytes, 4000);
  EXPECT_EQ(trace.records[0].copied_bytes, 0);
  EXPECT_EQ(step.schedule.name(StepTaskId(4)), "copy relu a>b");
}

TEST(Simulator, CopiesThroughTheHostTakeBothLinks) {
  const Step step(chain_graph(), 1, tiny_cluster(true, false), plan_on({0, 1, 1}));
  EXPECT_DOUBLE_EQ(step.run().seconds, 9 + kCopySeconds);
}

TEST(Simulator, CopyEnginesWorkBesideTheDevice) {
  // Two micro-batches of x -> relu on "a": the second input arrives while the first is computed on.
  const Step beside(relu_graph(), 2, tiny_cluster(true, true, true), plan_on({0, 0}));
  EXPECT_DOUBLE_EQ(beside.run().seconds, 1.5 + 1.5 + 1);
  ASSERT_EQ(beside.schedule.lanes().size(), 3U);
  EXPECT_EQ(beside.run().records[2].lane, LaneId(2));
  EXPECT_EQ(beside.schedule.lanes()[2].name, "copy host>a");
  const Step same(relu_graph(), 2, tiny_cluster(true), plan_on({0, 0}));
  EXPECT_DOUBLE_EQ(same.run().seconds, 1.5 + 1.5 + 1 + 1);
}

TEST(Simulator, LargerPriorityFirstThenSmallerId) {
  Plan plan = plan_on({0, 0, 0, 0});
  plan.placements[2].priority = 3;
  plan.placements[3].priority = 1;
  const Step step(relu_graph(), 4, tiny_cluster(false), plan);
  const StepTrace trace = step.run();
  expect_record(trace, 2, 0, 0, 1);
  expect_record(trace, 3, 0, 1, 2);
  expect_record(trace, 0, 0, 2, 3);
  expect_record(trace, 1, 0, 3, 4);
}

TEST(Simulator, AnIdleDeviceWakesFirst) {
  const Step chain(chain_graph(), 1, tiny_cluster(false), plan_on({0, 1, 1}), 0.25);
  const StepTrace there = chain.run();
  expect_record(there, 0, 0, 0.25, 1.25);
  expect_record(there, 1, 1, 1.5, 3.5);
  expect_record(there, 2, 1, 3.5, 6.5);  // at once: the device is awake
  const Step join(fork_join_graph(), 1, tiny_cluster(false), plan_on({0, 1, 0}), 0.25);
  const StepTrace both = join.run();
  expect_record(both, 1, 1, 0.25, 2.25);
  expect_record(both, 2, 0, 2.5, 6.5);
  // A copy engine does not wake, a device that copies for itself does.
  const Step engine(relu_graph(), 1, tiny_cluster(true, true, true), plan_on({0}), 0.25);
  EXPECT_DOUBLE_EQ(engine.run().seconds, 1.5 + 0.25 + 1);
  const Step itself(relu_graph(), 1, tiny_cluster(true), plan_on({0}), 0.25);
  EXPECT_DOUBLE_EQ(itself.run().seconds, 0.25 + 1.5 + 1);
}

// What is measured in a simulated step are the times that it was simulated by.
TEST(Simulator, TaskTimesAreTheCosts) {
  constexpr double kWake = 1e-4;
  const TaskGraph graph(training_graph(adam()), 5);
  int woken = 0;
  for (const Cluster& cluster : {tiny_cluster(false), tiny_cluster(true, true, true), make_cluster("cpu:5")}) {
    const CostTable costs(graph, cluster, waking_after(kWake, CostModel(), cluster.devices()[0].kind));
    Random random(7);
    for (int i = 0; i < 5; ++i) {
      SCOPED_TRACE(fmt::format("{} {}", cluster.name(), i));
      const Schedule schedule(graph, cluster, random_plan(graph, cluster, random));
      const StepTrace trace = simulate(schedule, costs);
      expect_possible(schedule, costs, trace);
      const std::vector<TaskTime> times = task_times(schedule, trace);
      ASSERT_EQ(times.size(), schedule.task_count());
      for (std::size_t t = 0; t < times.size(); ++t) {
        const StepTaskId id(static_cast<std::int64_t>(t));
        const double expected = estimated_seconds(schedule, costs, id, schedule.task(id).lane);
        EXPECT_NEAR(times[t].run_seconds, expected, 1e-9 * trace.seconds);
        if (times[t].wake_seconds < kWake / 2) continue;
        EXPECT_NEAR(times[t].wake_seconds, kWake, 1e-9 * trace.seconds);
        ++woken;
      }
    }
  }
  EXPECT_GT(woken, 50);
}

// Eight micro-batches of 1 s, half of them on each device, and "b" four times as slow as it should be.
TEST(Simulator, StealingHelpsWhereADeviceIsSlow) {
  const Step step(relu_graph(), 8, tiny_cluster(false), plan_on({0, 0, 0, 0, 1, 1, 1, 1}));
  SimulationOptions options;
  options.stragglers = {{DeviceId(1), 4}};
  EXPECT_DOUBLE_EQ(step.run().seconds, 4);
  const StepTrace alone = step.run(options);
  EXPECT_DOUBLE_EQ(alone.seconds, 16);
  EXPECT_EQ(summarize(step.schedule, alone).steals, 0);

  // At 4 s "b" has ended one task, starts another and keeps two. The cost test knows by then that "b" is slow, and gives
  // both away, one after the other; the second task of "b" ends at 8 s.
  const auto cost = make_steal_rule("cost");
  options.steal_rule = cost.get();
  const StepTrace tested = step.run(options);
  EXPECT_DOUBLE_EQ(tested.seconds, 8);
  EXPECT_EQ(summarize(step.schedule, tested).steals, 2);

  // Slow only until 1 s: "b" ends its first task at 4 s, the second at 5 s, and of the other two "a" takes one at 4 s.
  options.stragglers[0].until_seconds = 1;
  const StepTrace short_time = step.run(options);
  EXPECT_EQ(summarize(step.schedule, short_time).steals, 1);
  EXPECT_DOUBLE_EQ(short_time.seconds, 6);
  options.stragglers[0].until_seconds = std::numeric_limits<double>::infinity();

  // So it does without a test.
  const auto random = make_steal_rule("random");
  options.steal_rule = random.get();
  const StepTrace naive = step.run(options);
  EXPECT_DOUBLE_EQ(naive.seconds, 8);
  EXPECT_EQ(summarize(step.schedule, naive).steals, 2);
}

TEST(Simulator, AThiefPaysForWhatMoves) {
  const Step step(relu_graph(), 2, tiny_cluster(true, true, true), plan_on({0, 0}));
  const auto random = make_steal_rule("random");
  SimulationOptions options;
  options.steal_rule = random.get();
  // Inputs reach "a" at 1.5 s and 3 s, when each task is started at once: nothing to steal.
  EXPECT_DOUBLE_EQ(step.run(options).seconds, 4);
  // If the first runs 100 times as long, "b" takes the second at 3 s: 1.5 s to fetch, 1 s to run, 1.5 s to return.
  options.stragglers = {{DeviceId(0), 100}};
  const StepTrace trace = step.run(options);
  expect_record(trace, 1, 1, 3, 7);
  EXPECT_EQ(trace.records[1].copied_bytes, 8000);
  EXPECT_DOUBLE_EQ(trace.seconds, 101.5);
}

TEST(Simulator, NoiseIsLogNormalAndFollowsTheSeed) {
  constexpr int kTasks = 2000;
  const Step step(relu_graph(), kTasks, tiny_cluster(false), plan_on(std::vector<int>(kTasks, 0)));
  SimulationOptions options;
  options.noise = 0.3;
  options.seed = 5;
  const StepTrace trace = step.run(options);
  double sum = 0;
  double squares = 0;
  for (const TaskRecord& record : trace.records) {
    const double z = std::log(record.finish_seconds - record.start_seconds) / options.noise;
    sum += z;
    squares += z * z;
  }
  EXPECT_NEAR(sum / kTasks, 0, 4 / std::sqrt(kTasks));
  EXPECT_NEAR(squares / kTasks, 1, 4 * std::sqrt(2.0 / kTasks));
  EXPECT_EQ(step.run(options).seconds, trace.seconds);
  options.seed = 6;
  EXPECT_NE(step.run(options).seconds, trace.seconds);
}

TEST(Simulator, WrongCostsAreOnePerKeyAndDevice) {
  const Step step(relu_graph(), 4, tiny_cluster(false), plan_on({0, 0, 1, 1}));
  SimulationOptions options;
  options.cost_error = 0.5;
  const StepTrace trace = step.run(options);
  const auto seconds = [&](std::size_t i) { return trace.records[i].finish_seconds - trace.records[i].start_seconds; };
  EXPECT_NEAR(seconds(0), seconds(1), 1e-12);
  EXPECT_NEAR(seconds(2), seconds(3), 1e-12);
  EXPECT_GT(std::abs(seconds(0) - seconds(2)), 1e-3);
  EXPECT_GT(std::abs(seconds(0) - 1), 1e-3);
}

TEST(Simulator, RefusesACycle) {
  Step step(chain_graph(), 1, tiny_cluster(false), plan_on({0, 0, 0}));
  step.schedule.add_dependency(StepTaskId(2), StepTaskId(1));
  EXPECT_EQ(message_of([&] { (void)step.run(); }), "the schedule's dependencies have a cycle: 1 of 3 tasks can run");
}

TEST(Simulator, EverySchedulePossible) {
  const TaskGraph graph(training_graph(adam()), 5);
  int steals = 0;
  for (const Cluster& cluster : {tiny_cluster(false), tiny_cluster(true, false), tiny_cluster(true, true, true),
                                 make_cluster("cpu:5"), make_cluster("a100x4-pcie")}) {
    const CostTable costs(graph, cluster, {});
    for (const std::string& name : steal_rule_names()) {
      const auto rule = make_steal_rule(name);
      Random random(11);
      for (std::uint64_t seed = 0; seed < 5; ++seed) {
        SCOPED_TRACE(fmt::format("{} {} {}", cluster.name(), name, seed));
        const Schedule schedule(graph, cluster, random_plan(graph, cluster, random));
        const SimulationOptions options{rule.get(), 0.3, 0.5, {{DeviceId(1), 3}}, seed};
        const StepTrace trace = simulate(schedule, costs, options);
        expect_possible(schedule, costs, trace);
        EXPECT_EQ(simulate(schedule, costs, options).records, trace.records);
        const TraceSummary summary = summarize(schedule, trace);
        EXPECT_TRUE(rule != nullptr || summary.steals == 0);
        steals += summary.steals;
      }
    }
  }
  EXPECT_GT(steals, 100);
}

}  // namespace
}  // namespace skua::test
