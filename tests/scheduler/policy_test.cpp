// Policies: valid plans everywhere, known answers, and promises that they make to each other.
#include "skua/scheduler/policy.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>

#include "graph/small_graphs.h"
#include "scheduler/plans.h"
#include "scheduler/random_problems.h"
#include "scheduler/tiny_step.h"
#include "skua/scheduler/simulator.h"

namespace skua::test {
namespace {

std::vector<std::string> planners() {
  std::vector<std::string> names;
  for (const PolicyInfo& policy : policies()) {
    if (policy.name != "replay") names.push_back(policy.name);
  }
  return names;
}

TEST(Policies, PlansAreValidAndTheSameEachTime) {
  Random random(2);
  for (int attempt = 0; attempt < 12; ++attempt) {
    const TaskGraph graph(training_graph(adam()), 1 + static_cast<int>(random.below(6)));
    const Cluster cluster = random_cluster(random);
    const double bound = lower_bound_seconds(CostTable(graph, cluster, CostModel()));
    for (const std::string& name : planners()) {
      const PolicyOptions options{"", 0.05};
      const Plan plan = plan_with(name, graph, cluster, CostModel(), options);
      validate(plan, graph, cluster);
      EXPECT_EQ(plan, plan_with(name, graph, cluster, CostModel(), options)) << name;
      EXPECT_EQ(plan.policy.rfind(name, 0), 0U) << plan.policy;
      EXPECT_GE(plan.predicted_seconds, bound * (1 - 1e-9)) << name;
      const CostTable costs(graph, cluster, CostModel());
      EXPECT_DOUBLE_EQ(plan.predicted_seconds, simulate(Schedule(graph, cluster, plan), costs).seconds) << name;
    }
  }
}

TEST(Policies, AutoIsNoWorseThanAnyOther) {
  Random random(3);
  for (int attempt = 0; attempt < 150; ++attempt) {
    const Graph step = attempt % 3 == 0 ? training_graph(sgd(0)) : random_dag(random);
    const TaskGraph graph(step, 1 + static_cast<int>(random.below(6)));
    const Cluster cluster = random_cluster(random);
    const Plan automatic = plan_with("auto", graph, cluster, CostModel(), {"", 0.2});
    EXPECT_EQ(automatic, plan_with("auto", graph, cluster, CostModel(), {"", 0.2}));
    for (const char* name : {"single", "data_parallel", "heft", "cpop", "peft", "etf", "greedy"}) {
      EXPECT_LE(automatic.predicted_seconds,
                plan_with(name, graph, cluster, CostModel()).predicted_seconds * (1 + 1e-9))
          << name << ", attempt " << attempt;
    }
  }
}

// The step is too small for a second device behind a slow link.
TEST(Policies, AutoUsesOneDeviceWhereMoreDoNotPay) {
  const TaskGraph graph(training_graph(sgd(0)), 2);
  const DeviceSpec first{"a", "k", MemoryId(1), 1e12, 1e12, 1e-6, false};
  const DeviceSpec second{"b", "k", MemoryId(2), 1e12, 1e12, 1e-6, false};
  const Cluster cluster("slow link", {first, second}, {{"host", 1e9}, {"a", 1e9}, {"b", 1e9}},
                        {{kHostMemory, MemoryId(1), 1e9, 1e-3},
                         {MemoryId(1), kHostMemory, 1e9, 1e-3},
                         {kHostMemory, MemoryId(2), 1e9, 1e-3},
                         {MemoryId(2), kHostMemory, 1e9, 1e-3}});
  const Plan plan = plan_with("auto", graph, cluster, CostModel(), {"", 0.2});
  EXPECT_EQ(plan.policy, "auto (single)");
  std::set<DeviceId> used;
  for (const Placement& placement : plan.placements) used.insert(placement.device);
  EXPECT_EQ(used.size(), 1U);
}

TEST(Policies, AutoKeepsToTheMemory) {
  const TaskGraph graph(training_graph(adam()), 8);
  const auto cluster_with = [](double bytes) {
    return Cluster("small",
                   {{"a", "k", MemoryId(1), 1e9, 1e9, 1e-6, false}, {"b", "k", MemoryId(2), 1e9, 1e9, 1e-6, false}},
                   {{"host", 1e9}, {"a", bytes}, {"b", 1e9}},
                   {{kHostMemory, MemoryId(1), 1e9, 1e-7},
                    {MemoryId(1), kHostMemory, 1e9, 1e-7},
                    {kHostMemory, MemoryId(2), 1e9, 1e-7},
                    {MemoryId(2), kHostMemory, 1e9, 1e-7}});
  };
  EXPECT_NE(plan_with("auto", graph, cluster_with(1e9), CostModel(), {"", 1}).policy, "auto (single)");
  // The first device has no room for anything.
  for (const Placement& placement : plan_with("auto", graph, cluster_with(64), CostModel(), {"", 1}).placements) {
    EXPECT_EQ(placement.device, DeviceId(1));
  }
}

TEST(Policies, SingleTakesTheFastestDevice) {
  const TaskGraph graph(training_graph(sgd(0)), 2);
  const Cluster base = tiny_cluster(false);
  std::vector<DeviceSpec> devices = base.devices();
  devices[1].flops_per_second = devices[1].bytes_per_second = 3;
  devices[1].kind = "fast";
  const Cluster cluster("uneven", devices, base.memories(), base.links());
  for (const Placement& placement : plan_with("single", graph, cluster, CostModel()).placements) {
    EXPECT_EQ(placement.device, DeviceId(1));
  }
}

// Seven micro-batches on devices of speed 1 and 2.5: shares 2 and 5 end at the same time.
TEST(Policies, DataParallelSizesBlocksBySpeed) {
  const TaskGraph graph(training_graph(sgd(0)), 7);
  const Cluster base = tiny_cluster(false);
  std::vector<DeviceSpec> devices = base.devices();
  devices[1].flops_per_second = devices[1].bytes_per_second = 2.5;
  devices[1].kind = "fast";
  const Cluster cluster("uneven", devices, base.memories(), base.links());
  const Plan plan = plan_with("data_parallel", graph, cluster, CostModel());
  std::map<DeviceId, std::set<int>> blocks;
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const Task& task = graph.task(TaskId(static_cast<std::int64_t>(i)));
    if (task.kind == TaskKind::kCompute) blocks[plan.placements[i].device].insert(task.micro_batch);
  }
  EXPECT_EQ(blocks[DeviceId(1)], (std::set<int>{0, 1, 2, 3, 4}));
  EXPECT_EQ(blocks[DeviceId(0)], (std::set<int>{5, 6}));
}

// Fork and join of 1, 2 and 4 s on two devices in one memory: the fork's halves run side by side.
TEST(Policies, ListSchedulersFindTheOptimumByHand) {
  const TaskGraph graph(fork_join_graph(), 1);
  const Cluster cluster = tiny_cluster(false);
  for (const char* name :
       {"heft", "cpop", "peft", "etf", "m_etf", "m_sct", "linear", "integer", "convex", "greedy", "auto"}) {
    EXPECT_DOUBLE_EQ(plan_with(name, graph, cluster, tiny_costs(graph)).predicted_seconds, 6) << name;
  }
  EXPECT_DOUBLE_EQ(plan_with("single", graph, cluster, tiny_costs(graph)).predicted_seconds, 7);
}

// Of two equal devices the one whose memory is fuller afterwards, as long as it has room: relu needs 8000 bytes.
TEST(Policies, GreedyTakesTheBestFit) {
  const TaskGraph graph(relu_graph(), 1);
  const auto device_with = [&](double bytes) {
    const Cluster base = tiny_cluster(true);
    std::vector<MemorySpec> memories = base.memories();
    memories[2].capacity_bytes = bytes;
    const Cluster cluster("fit", base.devices(), memories, base.links());
    return plan_with("greedy", graph, cluster, tiny_costs(graph)).placements[0].device;
  };
  EXPECT_EQ(device_with(7999), DeviceId(0));
  EXPECT_EQ(device_with(8001), DeviceId(1));
  EXPECT_EQ(device_with(2e9), DeviceId(0));
}

// HEFT goes by the longest way to the end, greedy by order: two chains of 6 s and one operator of 1 s that comes first.
TEST(Policies, HeftPutsLongChainsFirst) {
  Graph step;
  const ValueId x = step.add_input("x", kThousandFloats);
  for (const char* name : {"short1", "short2"}) step.add_node({"relu", {}}, {x}, name);
  ValueId y = x;
  for (int i = 0; i < 3; ++i) y = step.add_node({"tanh", {}}, {y}, fmt::format("long{}", i)).at(0);
  const TaskGraph graph(step, 1);
  const Cluster cluster = tiny_cluster(false);
  // The chain takes 9 s; HEFT starts it at once beside the two short operators.
  EXPECT_DOUBLE_EQ(plan_with("heft", graph, cluster, tiny_costs(graph)).predicted_seconds, 9);
  EXPECT_DOUBLE_EQ(plan_with("greedy", graph, cluster, tiny_costs(graph)).predicted_seconds, 10);
}

// While device a waits for b's part of the chain, it has 4 s to spare: room for the add (3 s) and one more (1 s),
// which come last by rank. Without the gap the add would go to b and delay the chain by 2 s.
TEST(Policies, HeftFillsGaps) {
  Graph step = chain_graph();
  const ValueId x = step.find_value("x");
  step.add_node({"add", {}}, {x, x}, "add");
  step.add_node({"relu_backward", {}}, {x, x}, "last");
  const TaskGraph graph(step, 1);
  const Cluster cluster = two_kinds(false);
  const CostModel model = costs_by_task(graph, {{2, 100}, {100, 4}, {2, 100}, {3, 4}, {1, 5}});
  const Plan plan = plan_with("heft", graph, cluster, model);
  const std::vector<Placement> expected{
      {DeviceId(0), 0}, {DeviceId(1), -2}, {DeviceId(0), -6}, {DeviceId(0), -2}, {DeviceId(0), -5}};
  EXPECT_EQ(plan.placements, expected);  // priorities are the starts, negated
  EXPECT_DOUBLE_EQ(plan.predicted_seconds, 8);
}

// A device runs what is ready in the order in which the list scheduler placed it.
TEST(Policies, ListSchedulersPrioritizeByTheirOrder) {
  const TaskGraph graph(training_graph(sgd(0)), 4);
  for (const char* name : {"heft", "cpop", "peft", "etf", "m_etf", "m_sct", "greedy"}) {
    const Plan plan = plan_with(name, graph, make_cluster("cpu:2"), CostModel());
    for (std::size_t i = 0; i < graph.task_count(); ++i) {
      for (TaskId next : graph.successors(TaskId(static_cast<std::int64_t>(i)))) {
        ASSERT_GT(plan.placements[i].priority, plan.placements[next.index()].priority) << name;
      }
    }
  }
}

TEST(Policies, HeftPlansOverManyMicroBatchesAsDataParallelDoes) {
  const TaskGraph graph(training_graph(sgd(0)), 16);
  const Cluster cluster = make_cluster("cpu:4");
  EXPECT_LE(plan_with("heft", graph, cluster, CostModel()).predicted_seconds,
            plan_with("data_parallel", graph, cluster, CostModel()).predicted_seconds * 1.02);
}

TEST(Policies, ReplayFollowsThePlanFile) {
  const TaskGraph graph(training_graph(sgd(0)), 3);
  const Cluster cluster = make_cluster("cpu:3");
  Random random(9);
  const Plan plan = random_plan(graph, cluster, random);
  const std::string path = (std::filesystem::temp_directory_path() / "skua_policy_test.plan").string();
  save_plan(plan, path);
  EXPECT_EQ(plan_with("replay", graph, cluster, CostModel(), {path, 1}).placements, plan.placements);
  const TaskGraph other(training_graph(adam()), 3);
  EXPECT_NE(message_of([&] {
              (void)plan_with("replay", other, cluster, CostModel(), {path, 1});
            }).find("another"),
            std::string::npos);
  // What other policies may leave out, a file must say.
  Plan of_unknown_graph = plan;
  of_unknown_graph.graph_fingerprint.clear();
  save_plan(of_unknown_graph, path);
  EXPECT_THROW((void)plan_with("replay", graph, cluster, CostModel(), {path, 1}), std::invalid_argument);
  std::filesystem::remove(path);
  EXPECT_EQ(message_of([] { (void)make_policy("replay"); }), "[policy replay] expected a plan file, got none");
}

class Constant final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel&) const override {
    Plan plan;
    plan.micro_batches = graph.micro_batches();
    plan.placements = one_device_plan(graph, cluster).placements;
    return plan;
  }
};

TEST(Policies, TheRegistryTakesNewOnesAndNamesWhatItKnows) {
  EXPECT_EQ(
      message_of([] { (void)make_policy("best"); }),
      "[policy] expected one of single, round_robin, data_parallel, gpipe, 1f1b, greedy, heft, cpop, peft, etf, m_etf, "
      "m_sct, linear, integer, convex, annealing, genetic, exact, replay, auto, got 'best'");
  register_policy({"constant", "for this test", [](const PolicyOptions&) { return std::make_unique<Constant>(); }});
  const TaskGraph graph(training_graph(sgd(0)), 1);
  const Cluster cluster = make_cluster("cpu:2");
  const Plan plan = plan_with("constant", graph, cluster, CostModel());
  EXPECT_EQ(plan.policy, "constant");
  EXPECT_EQ(plan.graph_fingerprint, graph.fingerprint());
  EXPECT_EQ(plan.device_names, one_device_plan(graph, cluster).device_names);
  EXPECT_GT(plan.predicted_seconds, 0);
  EXPECT_EQ(message_of([] {
              register_policy({"heft", "", nullptr});
            }),
            "[policy heft] expected a new name, got a known one");
}

TEST(Policies, OneBudgetIsSpentOnAllMicroBatchCounts) {
  static std::mutex mutex;
  static double spent = 0;
  static std::size_t plans = 0;
  register_policy({"spender", "for this test", [](const PolicyOptions& options) {
                     const std::lock_guard lock(mutex);
                     spent += options.plan_seconds;
                     ++plans;
                     return make_policy("heft");
                   }});
  std::vector<TaskGraph> graphs;
  for (int count = 1; count <= 6; ++count) graphs.emplace_back(training_graph(sgd(0)), count);
  std::vector<const TaskGraph*> pointers;
  for (const TaskGraph& graph : graphs) pointers.push_back(&graph);
  (void)plan_best_of(pointers, "spender", make_cluster("cpu:2"), CostModel(), {"", 8});
  EXPECT_NEAR(spent, 8, 1e-9);
  EXPECT_EQ(plans, 6U + 3 + 1);
}

}  // namespace
}  // namespace skua::test
