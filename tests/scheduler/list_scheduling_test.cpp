// List schedulers against naive second implementations, and by hand.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <tuple>

#include "graph/small_graphs.h"
#include "scheduler/plans.h"
#include "scheduler/random_problems.h"
#include "scheduler/tiny_step.h"
#include "skua/scheduler/memory_plan.h"
#include "skua/scheduler/policy.h"
#include "skua/scheduler/simulator.h"
#include "skua/scheduler/task_file.h"

namespace skua::test {
namespace {

struct Placed {
  std::size_t device = 0;
  double start = 0;
  double finish = 0;
};

// A step whose only data from outside are inputs, in the host's memory, and its schedule so far.
class Naive {
 public:
  Naive(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) : costs(graph, cluster, model) {}

  [[nodiscard]] std::size_t devices() const { return costs.cluster().device_count(); }
  [[nodiscard]] MemoryId memory(std::size_t device) const { return costs.cluster().devices()[device].memory; }
  [[nodiscard]] double seconds(std::size_t task, std::size_t device) const {
    return costs.seconds(TaskId(static_cast<std::int64_t>(task)), DeviceId(static_cast<std::int64_t>(device)));
  }
  [[nodiscard]] bool ready(std::size_t task) const {
    if (runs.count(task) != 0) return false;
    for (TaskId before : costs.graph().predecessors(TaskId(static_cast<std::int64_t>(task)))) {
      if (runs.count(before.index()) == 0) return false;
    }
    return true;
  }
  [[nodiscard]] double ready_seconds(std::size_t task, std::size_t device) const {
    double ready = 0;
    for (DatumId input : costs.graph().inputs(TaskId(static_cast<std::int64_t>(task)))) {
      const TaskId producer = costs.graph().datum(input).producer;
      const MemoryId home = producer.valid() ? memory(runs.at(producer.index()).device) : kHostMemory;
      const double made = producer.valid() ? runs.at(producer.index()).finish : 0;
      ready = std::max(ready, made + costs.copy_seconds(input, home, memory(device)));
    }
    return ready;
  }
  // The first start at `ready` or at the end of a run of the device that fits between its runs.
  [[nodiscard]] double start_with_gaps(std::size_t task, std::size_t device) const {
    const double ready = ready_seconds(task, device);
    std::vector<double> candidates{ready};
    for (const auto& [other, run] : runs) {
      if (run.device == device && run.finish > ready) candidates.push_back(run.finish);
    }
    double best = std::numeric_limits<double>::infinity();
    for (const double start : candidates) {
      bool fits = start < best;
      for (const auto& [other, run] : runs) {
        if (run.device == device && run.start < start + seconds(task, device) && start < run.finish) fits = false;
      }
      if (fits) best = start;
    }
    return best;
  }
  // Mean over all pairs of different devices.
  [[nodiscard]] double mean_copy(DatumId datum) const {
    double sum = 0;
    for (std::size_t a = 0; a < devices(); ++a) {
      for (std::size_t b = 0; b < devices(); ++b) {
        if (a != b) sum += costs.copy_seconds(datum, memory(a), memory(b));
      }
    }
    return devices() == 1 ? 0 : sum / static_cast<double>(devices() * (devices() - 1));
  }
  [[nodiscard]] double rank(std::size_t task) const {
    const TaskId id(static_cast<std::int64_t>(task));
    double longest = 0;
    for (DatumId output : costs.graph().outputs(id)) {
      for (TaskId next : costs.graph().consumers(output)) {
        longest = std::max(longest, mean_copy(output) + rank(next.index()));
      }
    }
    double mean = 0;
    for (std::size_t d = 0; d < devices(); ++d) mean += seconds(task, d) / static_cast<double>(devices());
    return mean + longest;
  }
  // Equation 4 of the PEFT paper, word by word.
  [[nodiscard]] double optimistic_cost(std::size_t task, std::size_t device) const {
    double most = 0;
    for (DatumId output : costs.graph().outputs(TaskId(static_cast<std::int64_t>(task)))) {
      for (TaskId next : costs.graph().consumers(output)) {
        double least = std::numeric_limits<double>::infinity();
        for (std::size_t q = 0; q < devices(); ++q) {
          const double copy = q == device ? 0 : mean_copy(output);
          least = std::min(least, optimistic_cost(next.index(), q) + seconds(next.index(), q) + copy);
        }
        most = std::max(most, least);
      }
    }
    return most;
  }

  CostTable costs;
  std::map<std::size_t, Placed> runs;
};

void expect_same(const Naive& naive, const Plan& plan) {
  for (std::size_t task = 0; task < plan.placements.size(); ++task) {
    EXPECT_EQ(plan.placements[task].device.index(), naive.runs.at(task).device) << "task " << task;
    EXPECT_NEAR(-plan.placements[task].priority, naive.runs.at(task).start, 1e-12) << "task " << task;
  }
}

// Graphs of few tasks: the recursions above are exponential.
TaskGraph few_tasks(Random& random) {
  while (true) {
    const Graph graph = random_dag(random);
    if (graph.node_count() <= 10) return {graph, 1};
  }
}

// Whether the plan comes about by placing, again and again, a pair of the earliest start, and of those one of the
// highest rank. Equal pairs may come in any order.
bool follows_etf(const Plan& plan, Naive naive) {
  constexpr double kTiny = 1e-12;
  std::vector<double> free(naive.devices(), 0);
  while (naive.runs.size() < plan.placements.size()) {
    std::vector<std::tuple<double, double, std::size_t, std::size_t>> pairs;  // start, rank, task, device
    for (std::size_t task = 0; task < plan.placements.size(); ++task) {
      if (!naive.ready(task)) continue;
      for (std::size_t d = 0; d < naive.devices(); ++d) {
        pairs.emplace_back(std::max(free[d], naive.ready_seconds(task, d)), naive.rank(task), task, d);
      }
    }
    const double first = std::get<0>(*std::min_element(pairs.begin(), pairs.end()));
    double highest = 0;
    for (const auto& [start, rank, task, device] : pairs) {
      if (start <= first + kTiny) highest = std::max(highest, rank);
    }
    const auto next = std::find_if(pairs.begin(), pairs.end(), [&](const auto& pair) {
      const auto& [start, rank, task, device] = pair;
      const Placement& placement = plan.placements[task];
      return start <= first + kTiny && rank >= highest - kTiny && placement.device.index() == device &&
             std::abs(-placement.priority - start) < kTiny;
    });
    if (next == pairs.end()) return false;
    const auto& [start, rank, task, device] = *next;
    free[device] = start + naive.seconds(task, device);
    naive.runs[task] = {device, start, free[device]};
  }
  return true;
}

// Any time for any operator on any kind of device.
CostModel random_costs(const TaskGraph& graph, Random& random) {
  CostModel model;
  for (const CostKey& key : graph.cost_keys()) {
    for (const char* kind : {"slow", "fast"}) {
      measured(model, key.signature, kind, random.uniform(1e-5, 1e-3));
    }
  }
  return model;
}

struct RandomProblem {
  explicit RandomProblem(Random& random)
      : graph(few_tasks(random)), cluster(random_cluster(random)), model(random_costs(graph, random)) {}
  TaskGraph graph;
  Cluster cluster;
  CostModel model;
};

TEST(ListSchedulers, EtfPlacesThePairThatStartsFirst) {
  Random random(5);
  for (int attempt = 0; attempt < 200; ++attempt) {
    const RandomProblem problem(random);
    const auto& [graph, cluster, model] = problem;
    for (const char* name : {"etf", "m_etf"}) {  // there is memory enough
      EXPECT_TRUE(follows_etf(plan_with(name, graph, cluster, model), Naive(graph, cluster, model))) << name << attempt;
    }
  }
}

TEST(ListSchedulers, PeftFollowsTheOptimisticCostTable) {
  Random random(6);
  for (int attempt = 0; attempt < 200; ++attempt) {
    const RandomProblem problem(random);
    const auto& [graph, cluster, model] = problem;
    Naive naive(graph, cluster, model);
    std::vector<double> ranks;
    for (std::size_t task = 0; task < graph.task_count(); ++task) {
      double sum = 0;
      for (std::size_t d = 0; d < naive.devices(); ++d) sum += naive.optimistic_cost(task, d);
      ranks.push_back(sum / static_cast<double>(naive.devices()));
    }
    while (naive.runs.size() < graph.task_count()) {
      std::size_t task = graph.task_count();
      for (std::size_t other = 0; other < graph.task_count(); ++other) {
        if (naive.ready(other) && (task == graph.task_count() || ranks[other] > ranks[task])) task = other;
      }
      double least = std::numeric_limits<double>::infinity();
      Placed best;
      for (std::size_t d = 0; d < naive.devices(); ++d) {
        const double start = naive.start_with_gaps(task, d);
        const double finish = start + naive.seconds(task, d);
        if (finish + naive.optimistic_cost(task, d) >= least) continue;
        least = finish + naive.optimistic_cost(task, d);
        best = {d, start, finish};
      }
      naive.runs[task] = best;
    }
    expect_same(naive, plan_with("peft", graph, cluster, model));
    if (HasFailure()) return;
  }
}

// relu takes 1 s on a and 2 s on b, sigmoid 10 s and 1 s, a copy 1.5 s. HEFT begins on a, which ends relu first.
TEST(ListSchedulers, PeftLooksAhead) {
  Graph step;
  const ValueId x = step.add_input("x", kThousandFloats);
  const ValueId y = step.add_node({"relu", {}}, {x}, "relu").at(0);
  step.add_node({"sigmoid", {}}, {y}, "sigmoid");
  const TaskGraph graph(step, 1);
  const Cluster cluster = two_kinds(true);
  const CostModel model = costs_by_task(graph, {{1, 2}, {10, 1}});
  EXPECT_DOUBLE_EQ(plan_with("heft", graph, cluster, model).predicted_seconds, 1.5 + 1 + 1.5 + 1);
  EXPECT_DOUBLE_EQ(plan_with("peft", graph, cluster, model).predicted_seconds, 1.5 + 2 + 1);
}

Cluster two_memories(double first_bytes, double second_bytes) {
  std::vector<LinkSpec> links;
  for (int m = 1; m <= 2; ++m) {
    links.push_back({kHostMemory, MemoryId(m), 1e9, 1e-7});
    links.push_back({MemoryId(m), kHostMemory, 1e9, 1e-7});
  }
  return Cluster("two",
                 {{"a", "k", MemoryId(1), 1e9, 1e9, 1e-6, false}, {"b", "k", MemoryId(2), 1e9, 1e9, 1e-6, false}},
                 {{"host", 1e9}, {"a", first_bytes}, {"b", second_bytes}}, links);
}

bool fits(const Plan& plan, const TaskGraph& graph, const Cluster& cluster) {
  Schedule schedule(graph, cluster, plan);
  const StepTrace trace = simulate(schedule, CostTable(graph, cluster, CostModel()));
  try {
    const MemoryPlan memory(schedule, trace, plain_sizes(schedule), false);
    return true;
  } catch (const std::invalid_argument&) {
    return false;
  }
}

TEST(ListSchedulers, PassOverFullMemories) {
  const TaskGraph graph(training_graph(adam()), 8);
  for (const double bytes : {0.0, 64.0, 500.0, 1000.0, 2000.0, 3000.0, 4000.0}) {
    const Cluster small = two_memories(bytes + 1, 1e9);
    EXPECT_FALSE(fits(plan_with("etf", graph, small, CostModel()), graph, small)) << bytes;
    for (const char* name : {"m_etf", "m_sct"}) {
      EXPECT_TRUE(fits(plan_with(name, graph, small, CostModel()), graph, small)) << name << bytes;
    }
  }
  const std::string error = message_of([&] { (void)plan_with("m_etf", graph, two_memories(64, 64), CostModel()); });
  EXPECT_EQ(error.rfind("[policy] expected ", 0), 0U) << error;
  EXPECT_NE(error.find("bytes in the memory of "), std::string::npos) << error;
}

// a and e are first, b needs both, c needs a. When a ends at 1 s, ETF runs c in its place, and b (5 s), too dear to
// move, waits until 5 s. With b expected there from 2 s on, c goes to the other device once it could be anywhere.
TEST(ListSchedulers, MSctWaitsForTheFavouriteSuccessor) {
  TimedGraph timed;
  timed.tasks = {{"a", {{"device", 1}}}, {"e", {{"device", 2}}}, {"b", {{"device", 5}}}, {"c", {{"device", 4}}}};
  timed.edges = {{0, {2}, 10 * kTimedBytesPerSecond}, {0, {3}, 1.5 * kTimedBytesPerSecond}, {1, {2}, 0}};
  const Cluster cluster = timed_cluster(2);
  const TimedProblem problem(timed, cluster);
  const TaskGraph graph(problem.graph, 1);
  EXPECT_NEAR(plan_with("m_etf", graph, cluster, problem.costs).predicted_seconds, 10, 1e-6);
  EXPECT_NEAR(plan_with("m_sct", graph, cluster, problem.costs).predicted_seconds, 7, 1e-6);
}

}  // namespace
}  // namespace skua::test
