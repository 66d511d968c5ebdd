// Makespans of plan after plan: those of the simulator, whatever the plans have in common.
#include "scheduler/policies/plan_evaluator.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>

#include "graph/small_graphs.h"
#include "scheduler/plans.h"
#include "scheduler/random_problems.h"
#include "skua/scheduler/simulator.h"

namespace skua::test {
namespace {

// random_cluster, where some links take any number of copies at once, copies may be what takes longest, and some
// memories have one more device.
Cluster varied_cluster(Random& random) {
  const Cluster base = random_cluster(random);
  std::vector<DeviceSpec> devices = base.devices();
  std::vector<LinkSpec> links = base.links();
  const double slowness = random.below(2) == 0 ? 1 : 100;
  for (LinkSpec& link : links) {
    link.parallel = random.below(3) == 0;
    link.bytes_per_second /= slowness;
  }
  if (base.memory_count() > 2) links.push_back({MemoryId(1), MemoryId(2), 1e9, 1e-6, random.below(2) == 0});
  if (random.below(2) == 0) {
    devices.push_back(devices.front());
    devices.back().name = "twin";
  }
  return Cluster("varied", devices, base.memories(), links);
}

// Few priorities and few different times, so that there are many ties; perhaps devices that take time to wake.
CostModel coarse_costs(const TaskGraph& graph, Random& random) {
  CostModel model;
  for (const CostKey& key : graph.cost_keys()) {
    for (const char* kind : {"fast", "slow"}) {
      model.set(key.signature, kind, 1e-5 * static_cast<double>(random.below(4)));
    }
  }
  const double wake_seconds = 1e-5 * static_cast<double>(random.below(3));
  for (std::size_t i = 0; i < CostModel::kMinSamples; ++i) model.observe_wake("fast", wake_seconds);
  return model;
}

// Another device or priority for some tasks, updates more often than others, an exchange of two priorities, or other
// priorities throughout; sums stay in place.
void change(Plan& plan, const TaskGraph& graph, const Cluster& cluster, Random& random) {
  const auto any_device = [&] { return DeviceId(static_cast<std::int64_t>(random.below(cluster.device_count()))); };
  const auto any_task = [&]() -> Placement& { return plan.placements[random.below(plan.placements.size())]; };
  switch (random.below(6)) {
    case 0:
      std::swap(any_task().priority, any_task().priority);
      break;
    case 1:
      any_task().priority = static_cast<double>(random.below(5));
      break;
    case 2:
      any_task().device = any_device();
      break;
    case 3: {
      const DeviceId device = any_device();
      const std::size_t begin = random.below(plan.placements.size());
      for (std::size_t i = begin; i < std::min(begin + 8, plan.placements.size()); ++i)
        plan.placements[i].device = device;
      break;
    }
    case 4:
      plan.placements[plan.placements.size() - 1 - random.below(8) % plan.placements.size()].device = any_device();
      break;
    default:
      if (random.below(8) > 0) break;  // the same plan again
      for (Placement& placement : plan.placements) placement.priority += 1;
      any_task().priority = 0;
  }
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    if (graph.task(id).kind != TaskKind::kReduce) continue;
    const TaskId left = graph.datum(graph.datum(graph.inputs(id)[0]).storage).producer;
    const DeviceId place = plan.placements[left.index()].device;
    DeviceId& device = plan.placements[i].device;
    if (cluster.device(device).memory != cluster.device(place).memory) device = place;
  }
}

TEST(PlanEvaluator, GivesWhatTheSimulatorGives) {
  Random random(17);
  std::size_t tasks = 0;
  std::size_t simulated = 0;
  int copies = 0;
  int stopped = 0;
  for (int problem = 0; problem < 60; ++problem) {
    SCOPED_TRACE(problem);
    const bool training = problem % 2 == 0;
    const int micro_batches = 1 + static_cast<int>(random.below(4));
    const TaskGraph graph(training ? training_graph(adam()) : random_dag(random), micro_batches);
    const Cluster cluster = varied_cluster(random);
    const CostTable costs(graph, cluster, problem % 3 == 0 ? CostModel() : coarse_costs(graph, random));
    PlanEvaluator evaluator(costs);
    Plan kept = random_plan(graph, cluster, random);
    for (Placement& placement : kept.placements) placement.priority = static_cast<double>(random.below(5));
    for (int move = 0; move < 50; ++move) {
      Plan plan = kept;
      if (move > 0) change(plan, graph, cluster, random);
      const Schedule schedule(graph, cluster, plan);
      const double expected = simulate(schedule, costs).seconds;
      const double limit = expected * (random.below(3) == 0 ? 0.7 + 0.3 * random.uniform() : 1);
      if (limit < expected) {  // stops early, or not; then once more to the end
        const double longer = evaluator.seconds(plan, limit);
        ASSERT_TRUE(longer == expected || std::isinf(longer)) << "move " << move;
        stopped += std::isinf(longer) ? 1 : 0;
      }
      ASSERT_EQ(evaluator.seconds(plan, expected), expected) << "move " << move;
      ASSERT_EQ(evaluator.task_count(), schedule.task_count());
      copies += schedule.task_count() > graph.task_count() ? 1 : 0;
      tasks += evaluator.task_count();
      simulated += evaluator.simulated_count();
      if (random.below(2) == 0) continue;
      kept = plan;
      evaluator.keep();
    }
  }
  EXPECT_GT(copies, 500);
  EXPECT_GT(stopped, 200);
  EXPECT_LT(static_cast<double>(simulated), 0.9 * static_cast<double>(tasks));
}

}  // namespace
}  // namespace skua::test
