// What is known of a theft, by hand.
#include "skua/scheduler/thefts.h"

#include <gtest/gtest.h>

#include "scheduler/tiny_step.h"
#include "skua/scheduler/simulator.h"

namespace skua::test {
namespace {

constexpr LaneId kA{0};
constexpr LaneId kB{1};
constexpr StepTaskId kNone;

// Two micro-batches of relu (1 s) -> sigmoid (2 s) -> tanh (3 s), the first on "a", the second on "b"; each memory gets
// its input by a copy of 1.5 s, which the device itself does.
struct Chains {
  explicit Chains(bool own_memories)
      : cluster(tiny_cluster(own_memories)),
        costs(graph, cluster, tiny_costs(graph)),
        schedule(graph, cluster, plan_on({0, 0, 0, 1, 1, 1})),
        thefts(schedule, costs) {}

  TaskGraph graph{chain_graph(), 2};
  Cluster cluster;
  CostTable costs;
  Schedule schedule;
  Thefts thefts;
};

TEST(Pace, IsTheWeightedRatioOfTheLatestTasks) {
  Pace pace;
  EXPECT_EQ(pace.value(), 1);
  pace.add(0, 5);  // nothing to compare with
  EXPECT_EQ(pace.value(), 1);
  pace.add(1, 2);
  EXPECT_DOUBLE_EQ(pace.value(), (0.9 * 2 + 2) / (0.9 * 2 + 1));
  for (int i = 0; i < 100; ++i) pace.add(1, 2);
  EXPECT_NEAR(pace.value(), 2, 1e-4);
  for (int i = 0; i < 100; ++i) pace.add(3, 3);
  EXPECT_NEAR(pace.value(), 1, 1e-4);
}

TEST(Thefts, OrdersAndSecondsAreThePlans) {
  const Chains chains(true);
  const std::vector<StepTaskId>& order = chains.thefts.planned_order(kB);
  ASSERT_EQ(order.size(), 4U);  // the copy of its input first
  EXPECT_TRUE(chains.schedule.task(order[0]).is_copy());
  for (int i = 1; i < 4; ++i) EXPECT_EQ(order[i], StepTaskId(i + 2));
  EXPECT_DOUBLE_EQ(chains.thefts.seconds(StepTaskId(1), kA), 2);
  EXPECT_DOUBLE_EQ(chains.thefts.seconds(StepTaskId(1), kB), 2 + 2 * kCopySeconds);
}

TEST(Thefts, WaitsAreWhatIsLeftOfTheRunningTaskAndTheBacklog) {
  const Chains chains(false);
  const LaneOutlook victim{kA, 7, 5, 1};  // runs until 7, then 3 s and the offered sigmoid of 2 s
  const LaneOutlook thief{kB, 0, 0, 1};
  const StealQuery query = chains.thefts.query(StepTaskId(1), victim, thief, kNone, 1, 4, 9);
  EXPECT_DOUBLE_EQ(query.victim_wait_seconds, 3 + 3);
  EXPECT_DOUBLE_EQ(query.victim_run_seconds, 2);
  EXPECT_DOUBLE_EQ(query.thief_seconds(), 2);
  EXPECT_DOUBLE_EQ(query.late_seconds, 4 + 6 - 1);  // planned at 1, after relu
  EXPECT_EQ(query.thief_free_seconds, std::numeric_limits<double>::infinity());
  EXPECT_EQ(query.random, 9U);
  // It should have ended before.
  EXPECT_DOUBLE_EQ(chains.thefts.query(StepTaskId(1), victim, thief, kNone, 1, 8, 0).victim_wait_seconds, 3);
}

TEST(Thefts, PacesScaleWhatADeviceDoes) {
  const Chains chains(true);
  const StealQuery query = chains.thefts.query(StepTaskId(1), {kA, 0, 5, 2}, {kB, 0, 4, 3}, kNone, 1, 0, 0);
  EXPECT_DOUBLE_EQ(query.victim_wait_seconds, 2 * 3);
  EXPECT_DOUBLE_EQ(query.victim_run_seconds, 2 * 2);
  EXPECT_DOUBLE_EQ(query.run_seconds, 3 * 2);
  EXPECT_DOUBLE_EQ(query.fetch_seconds, kCopySeconds);  // no device's pace
  EXPECT_DOUBLE_EQ(chains.thefts.query(StepTaskId(1), {kA, 0, 5, 2}, {kB, 0, 4, 3}, kNone, 4, 0, 0).fetch_seconds,
                   4 * kCopySeconds);
  EXPECT_DOUBLE_EQ(query.thief_wait_seconds, 4);
}

TEST(Thefts, TheThiefIsFreeUntilItsOwnNextTaskByThePlan) {
  const Chains chains(false);
  const LaneOutlook victim{kA, 7, 2, 1};
  // b's tanh is planned at 3, a's sigmoid at 1: so 2 s after that, which is expected in 3 s.
  EXPECT_DOUBLE_EQ(chains.thefts.query(StepTaskId(1), victim, {kB, 0, 0, 1}, StepTaskId(5), 1, 4, 0).thief_free_seconds,
                   3 + 2);
  // b's relu is planned at 0: 1 s before.
  EXPECT_DOUBLE_EQ(chains.thefts.query(StepTaskId(1), victim, {kB, 0, 0, 1}, StepTaskId(3), 1, 4, 0).thief_free_seconds,
                   3 - 1);
}

TEST(Thefts, LongBacklogsAreHalved) {
  EXPECT_EQ(most_stolen(1), 1U);
  EXPECT_EQ(most_stolen(7), 1U);
  EXPECT_EQ(most_stolen(8), 4U);
  EXPECT_EQ(most_stolen(100), 50U);
  EXPECT_EQ(most_stolen(100000), 64U);
}

// Twenty relus of 1 s all planned on one of two equal devices: the other takes batches, and both end after about 10 s.
TEST(Thefts, SimulatedBatchesShareALongBacklog) {
  const TaskGraph graph(relu_graph(), 20);
  const Cluster cluster = tiny_cluster(false);
  const CostTable costs(graph, cluster, tiny_costs(graph));
  const Schedule schedule(graph, cluster, plan_on(std::vector<int>(20, 0)));
  const auto rule = make_steal_rule("cost");
  const StepTrace trace = simulate(schedule, costs, {.steal_rule = rule.get()});
  EXPECT_EQ(trace.seconds, 10);
  EXPECT_EQ(summarize(schedule, trace).steals, 10);
}

// The same where each has a memory of its own and copies come by themselves, one in 1.5 s: all goes as planned, so
// nothing is stolen. Where "a" is slow, tasks are late, and stealing them pays.
TEST(Thefts, WhatGoesAsPlannedIsNotCopied) {
  const TaskGraph graph(relu_graph(), 20);
  const Cluster cluster = tiny_cluster(true, true, true);
  const CostTable costs(graph, cluster, tiny_costs(graph));
  const Schedule schedule(graph, cluster, plan_on(std::vector<int>(20, 0)));
  const auto rule = make_steal_rule("cost");
  EXPECT_EQ(simulate(schedule, costs, {.steal_rule = rule.get()}), simulate(schedule, costs));
  SimulationOptions slow{.stragglers = {{DeviceId(0), 10}}};
  const double alone = simulate(schedule, costs, slow).seconds;
  EXPECT_DOUBLE_EQ(alone, kCopySeconds + 200);
  slow.steal_rule = rule.get();
  const StepTrace helped = simulate(schedule, costs, slow);
  EXPECT_GT(summarize(schedule, helped).steals, 10);  // "b" needs 4 s for each
  EXPECT_LT(helped.seconds, 0.4 * alone);
}

}  // namespace
}  // namespace skua::test
