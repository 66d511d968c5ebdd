// Steal rules and the costs of a theft, by hand.
#include "skua/scheduler/steal_rule.h"

#include <gtest/gtest.h>

#include "graph/small_graphs.h"
#include "scheduler/tiny_step.h"

namespace skua::test {
namespace {

constexpr LaneId kA{0};
constexpr LaneId kB{1};

TEST(StealRule, Names) {
  EXPECT_EQ(steal_rule_names(), (std::vector<std::string>{"none", "random", "locality", "cost"}));
  EXPECT_EQ(make_steal_rule("none"), nullptr);
  for (const char* name : {"random", "locality", "cost"}) EXPECT_NE(make_steal_rule(name), nullptr);
  EXPECT_EQ(message_of([] { (void)make_steal_rule("greedy"); }),
            "[stealing] expected one of none, random, locality, cost, got 'greedy'");
}

TEST(StealRule, RandomAlwaysTakes) {
  const auto rule = make_steal_rule("random");
  EXPECT_GT(rule->gain({10, 10, 10, 0, 0, 0}), 0);
  EXPECT_GT(rule->gain({0, 1, 0, 0, 1, 2}), rule->gain({0, 1, 0, 9, 1, 1}));
}

TEST(StealRule, LocalityTakesWhatMovesNothing) {
  const auto rule = make_steal_rule("locality");
  EXPECT_LE(rule->gain({1e-9, 1, 0, 100, 1, 0}), 0);
  EXPECT_LE(rule->gain({0, 1, 1e-9, 100, 1, 0}), 0);
  EXPECT_GT(rule->gain({0, 9, 0, 0, 1, 0}), 0);
  EXPECT_GT(rule->gain({0, 9, 0, 2, 1, 0}), rule->gain({0, 1, 0, 1, 1, 0}));
}

TEST(StealRule, CostTakesWhatEndsEarlierByAMargin) {
  const auto rule = make_steal_rule("cost");
  EXPECT_DOUBLE_EQ(rule->gain({1, 10, 2, 20, 5, 0}), 20 + 5 - (1 + 10 + 2 + 2));
  EXPECT_DOUBLE_EQ(rule->gain({0, 10, 0, 0, 10, 0}), -2);
  EXPECT_NEAR(rule->gain({0, 1e-6, 0, 0, 10e-6, 0}), 4e-6, 1e-18);  // a short task: 5 us of margin
  EXPECT_GT(rule->gain({0, 1.1e-7, 0, 1, 1.1e-7, 0}), 0);
  EXPECT_LE(rule->gain({0, 0.9e-7, 0, 1, 0.9e-7, 0}), 0);  // hardly a task
}

StealQuery query(double fetch, double run, double back, double wait, double victim_run) {
  return {fetch, run, back, wait, victim_run};
}

TEST(StealRule, CostTakesCopiesOnlyForWhatIsLate) {
  const auto rule = make_steal_rule("cost");
  StealQuery late = query(1, 10, 2, 20, 5);
  late.late_seconds = 2.1;  // the margin is 2
  EXPECT_DOUBLE_EQ(rule->gain(late), 20 + 5 - (1 + 10 + 2 + 2));
  late.late_seconds = 1.9;
  EXPECT_LE(rule->gain(late), 0);
  StealQuery free = query(0, 10, 0, 20, 5);
  free.late_seconds = 0;
  EXPECT_DOUBLE_EQ(rule->gain(free), 20 + 5 - (10 + 2));
}

TEST(StealRule, CostCountsWhatTheThiefIsKeptFrom) {
  const auto rule = make_steal_rule("cost");
  StealQuery busy = query(0, 10, 0, 20, 5);
  busy.thief_free_seconds = 7;  // its own task waits for 3 s
  EXPECT_DOUBLE_EQ(rule->gain(busy), 20 + 5 - (10 + 2) - 3);
  busy.thief_free_seconds = 10;
  EXPECT_DOUBLE_EQ(rule->gain(busy), 20 + 5 - (10 + 2));
  busy.thief_wait_seconds = 4;  // it has taken something else before
  EXPECT_DOUBLE_EQ(rule->gain(busy), 20 + 5 - (4 + 10 + 2) - 4);
}

// Two micro-batches of relu -> sigmoid -> tanh, the first on "a", the second on "b".
struct Chains {
  explicit Chains(bool own_memories)
      : cluster(tiny_cluster(own_memories)),
        costs(graph, cluster, tiny_costs(graph)),
        schedule(graph, cluster, plan_on({0, 0, 0, 1, 1, 1})) {}

  TaskGraph graph{chain_graph(), 2};
  Cluster cluster;
  CostTable costs;
  Schedule schedule;
};

TEST(Moves, CountWhatIsFetchedAndReturned) {
  const Chains chains(true);
  const Moves relu = moves_for(chains.schedule, chains.costs, StepTaskId(0), kB);
  EXPECT_DOUBLE_EQ(relu.fetch_seconds, kCopySeconds);  // from where the plan has copied it
  EXPECT_DOUBLE_EQ(relu.return_seconds, kCopySeconds);
  EXPECT_DOUBLE_EQ(moved_bytes(chains.schedule, StepTaskId(0), kB), 8000);
  EXPECT_EQ(moved_bytes(chains.schedule, StepTaskId(0), kA), 0);
}

TEST(Moves, NothingMovesWithinOneMemory) {
  const Chains chains(false);
  const Moves sigmoid = moves_for(chains.schedule, chains.costs, StepTaskId(1), kB);
  EXPECT_EQ(sigmoid.fetch_seconds, 0);
  EXPECT_EQ(sigmoid.return_seconds, 0);
  EXPECT_EQ(moved_bytes(chains.schedule, StepTaskId(1), kB), 0);
}

// loss = mean(w) with its update: the gradient of w is summed over two micro-batches.
Graph summing_graph() {
  Graph graph;
  const ValueId w = graph.add_parameter("w", {1000});
  const ValueId loss = graph.add_node({"reduce_mean", {{"axes", Integers{0}}}}, {w}, "loss").at(0);
  append_updates(graph, append_gradients(graph, loss), sgd(0.0));
  return graph;
}

struct Summing {
  Summing() {
    std::vector<int> devices(graph.task_count());
    for (std::size_t i = 0; i < devices.size(); ++i) {
      const Task& task = graph.task(TaskId(static_cast<std::int64_t>(i)));
      devices[i] = task.kind == TaskKind::kCompute ? task.micro_batch : 0;  // mb 1 on "b", all else on "a"
      if (task.kind == TaskKind::kReduce) reduce = StepTaskId(static_cast<std::int64_t>(i));
      if (task.kind == TaskKind::kUpdate) update = StepTaskId(static_cast<std::int64_t>(i));
    }
    own.emplace_back(graph, two_memories, plan_on(devices));
    own.emplace_back(graph, one_memory, plan_on(devices));
  }

  TaskGraph graph{summing_graph(), 2};
  Cluster two_memories = tiny_cluster(true);
  Cluster one_memory = tiny_cluster(false);
  std::vector<Schedule> own;  // with two memories, with one
  StepTaskId reduce;
  StepTaskId update;
};

TEST(Moves, AStolenSumGoesBackToItsLeftOperand) {
  const Summing summing;
  const Schedule& schedule = summing.own[0];
  const CostTable costs(summing.graph, summing.two_memories, tiny_costs(summing.graph));
  const DatumId sum = summing.graph.outputs(TaskId(summing.reduce.value))[0];
  EXPECT_EQ(schedule.home(sum), schedule.home(summing.graph.datum(sum).storage));
  const Moves moves = moves_for(schedule, costs, summing.reduce, kB);
  EXPECT_DOUBLE_EQ(moves.fetch_seconds, 2 * kCopySeconds);  // both operands lie in the memory of "a"
  EXPECT_DOUBLE_EQ(moves.return_seconds, kCopySeconds);
}

TEST(Stealable, TasksButNoCopiesAndUpdatesOnlyWithinOneMemory) {
  const Summing summing;
  const Schedule& two = summing.own[0];
  const CostTable costs(summing.graph, summing.two_memories, tiny_costs(summing.graph));
  EXPECT_TRUE(stealable(two, costs, StepTaskId(0), kB));
  EXPECT_TRUE(stealable(two, costs, summing.reduce, kB));
  EXPECT_FALSE(stealable(two, costs, summing.update, kB));
  EXPECT_TRUE(stealable(summing.own[1], costs, summing.update, kB));
  ASSERT_GT(two.task_count(), summing.graph.task_count());
  for (std::size_t i = summing.graph.task_count(); i < two.task_count(); ++i) {
    EXPECT_FALSE(stealable(two, costs, StepTaskId(static_cast<std::int64_t>(i)), kB));
  }
}

TEST(Stealable, CopyEnginesTakeNothing) {
  const TaskGraph graph(chain_graph(), 1);
  const Cluster cluster = tiny_cluster(true, true, true);
  const Schedule schedule(graph, cluster, plan_on({0, 1, 0}));
  const CostTable costs(graph, cluster, tiny_costs(graph));
  ASSERT_GT(schedule.lanes().size(), 2U);
  EXPECT_FALSE(stealable(schedule, costs, StepTaskId(0), LaneId(2)));
  EXPECT_TRUE(stealable(schedule, costs, StepTaskId(0), kB));
}

}  // namespace
}  // namespace skua::test
