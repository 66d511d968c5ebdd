// The portfolio: no worse than any of its members, whatever the graph, the micro-batch count and the threads.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <tbb/global_control.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "graph/small_graphs.h"
#include "scheduler/members.h"
#include "scheduler/parallel.h"
#include "scheduler/random_problems.h"
#include "skua/scheduler/task_file.h"

namespace skua::test {
namespace {

// Tasks of about a second whose results take `copy_seconds` or more to copy.
class DearGraph {
 public:
  DearGraph(double copy_seconds, std::uint64_t seed) : copy_seconds_(copy_seconds), random_(seed) {}
  std::size_t add(const std::vector<std::size_t>& reads) {
    const std::size_t task = timed.tasks.size();
    timed.tasks.push_back({fmt::format("t{}", task), {{kAnyDevice, 0.7 + 0.6 * random_.uniform()}}});
    timed.edges.push_back({task, {}, copy_seconds_ * (1 + random_.uniform()) * kTimedBytesPerSecond});
    for (const std::size_t from : reads) timed.edges[from].to.push_back(task);
    return task;
  }
  [[nodiscard]] TimedGraph done() {
    std::erase_if(timed.edges, [](const TimedEdge& edge) { return edge.to.empty(); });
    return timed;
  }
  TimedGraph timed;

 private:
  double copy_seconds_;
  Random random_;
};

struct Family {
  const char* name;
  std::function<TimedGraph(int size, std::uint64_t seed)> make;
};

// HEFT places each task where it ends first. In all of these the first tasks end sooner on devices of their own, and
// those that read their results pay for it: a single device takes no more than the number of tasks, about.
std::vector<Family> dear_families() {
  const auto many = [](DearGraph& graph, int count) {
    std::vector<std::size_t> tasks;
    for (int i = 0; i < count; ++i) tasks.push_back(graph.add({}));
    return tasks;
  };
  return {{"a fan",
           [=](int size, std::uint64_t seed) {
             DearGraph graph(3 * size, seed);
             graph.add(many(graph, size));
             return graph.done();
           }},
          {"fans one after another",
           [=](int size, std::uint64_t seed) {
             DearGraph graph(5 * size, seed);
             std::size_t joined = graph.add(many(graph, size));
             for (int stage = 1; stage < 3; ++stage) {
               std::vector<std::size_t> tasks = many(graph, size);
               tasks.push_back(joined);
               joined = graph.add(tasks);
             }
             return graph.done();
           }},
          {"a tree of sums",
           [=](int size, std::uint64_t seed) {
             DearGraph graph(2 * size, seed);
             std::vector<std::size_t> level = many(graph, size);
             while (level.size() > 1) {
               std::vector<std::size_t> next;
               for (std::size_t i = 0; i + 1 < level.size(); i += 2)
                 next.push_back(graph.add({level[i], level[i + 1]}));
               if (level.size() % 2 == 1) next.push_back(level.back());
               level = next;
             }
             return graph.done();
           }},
          {"a butterfly",
           [=](int size, std::uint64_t seed) {
             DearGraph graph(4 * size, seed);
             std::vector<std::size_t> level = many(graph, 8);
             for (std::size_t apart = 1; apart < level.size(); apart *= 2) {
               std::vector<std::size_t> next;
               for (std::size_t i = 0; i < level.size(); ++i) next.push_back(graph.add({level[i], level[i ^ apart]}));
               level = next;
             }
             return graph.done();
           }},
          {"a shuffle", [=](int size, std::uint64_t seed) {
             DearGraph graph(6 * size, seed);
             const std::vector<std::size_t> mapped = many(graph, size);
             for (int i = 0; i < size; ++i) graph.add(mapped);
             return graph.done();
           }}};
}

TEST(Auto, IsNoWorseThanItsMembersWhereHeftIsFarOff) {
  for (const Family& family : dear_families()) {
    for (const int devices : {2, 4, 8}) {
      for (const std::uint64_t seed : {1, 2}) {
        SCOPED_TRACE(fmt::format("{}, {} devices, seed {}", family.name, devices, seed));
        const Cluster cluster = timed_cluster(devices);
        const TimedProblem problem(family.make(12 + static_cast<int>(seed), seed), cluster);
        const TaskGraph graph(problem.graph, 1);
        const double single = plan_with("single", graph, cluster, problem.costs).predicted_seconds;
        EXPECT_GE(plan_with("heft", graph, cluster, problem.costs).predicted_seconds, 2 * single);
        expect_no_worse_than_members(graph, cluster, problem.costs, 0.5);
      }
    }
  }
}

// The same graphs where one device of a kind of its own is fast and has slow links: dearer still to leave.
TEST(Auto, FindsTheFastDeviceBesideManySlowOnes) {
  for (const Family& family : dear_families()) {
    SCOPED_TRACE(family.name);
    const Cluster equal = timed_cluster(4);
    std::vector<DeviceSpec> devices = equal.devices();
    devices[2].kind = "fast";
    const Cluster cluster("one fast", devices, equal.memories(), equal.links());
    TimedGraph timed = family.make(10, 7);
    for (TimedTask& task : timed.tasks) task.seconds["fast"] = task.seconds[kAnyDevice] / 3;
    const TimedProblem problem(timed, cluster);
    const TaskGraph graph(problem.graph, 1);
    double sum = 0;
    for (const TimedTask& task : timed.tasks) sum += task.seconds.at("fast");
    EXPECT_LE(expect_no_worse_than_members(graph, cluster, problem.costs, 0.5), sum * (1 + 1e-9));
  }
}

TEST(Auto, PlansTheSameOnAnyNumberOfThreads) {
  Random random(11);
  for (int attempt = 0; attempt < 6; ++attempt) {
    const TaskGraph graph(attempt % 2 == 0 ? training_graph(adam()) : random_dag(random), 1 + attempt);
    const Cluster cluster = random_cluster(random);
    std::vector<Plan> plans;
    for (const std::size_t threads : {1, 8}) {
      const tbb::global_control limit(tbb::global_control::max_allowed_parallelism, threads);
      plans.push_back(plan_with("auto", graph, cluster, CostModel(), {"", 0.2}));
    }
    EXPECT_EQ(plans[0], plans[1]) << attempt;
  }
}

struct Counts {
  explicit Counts(const Graph& step, int most = 6) {
    for (int count = 1; count <= most; ++count) graphs.emplace_back(std::make_unique<TaskGraph>(step, count));
  }
  [[nodiscard]] std::vector<const TaskGraph*> pointers() const {
    std::vector<const TaskGraph*> list;
    for (const auto& graph : graphs) list.push_back(graph.get());
    return list;
  }
  std::vector<std::unique_ptr<TaskGraph>> graphs;
};

TEST(PlanBestOf, GivesThePlanOfLeastMakespan) {
  Random random(12);
  const Counts counts(training_graph(adam()));
  for (int attempt = 0; attempt < 8; ++attempt) {
    const Cluster cluster = random_cluster(random);
    for (const char* name : {"single", "heft", "1f1b"}) {
      Plan best;
      for (const auto& graph : counts.graphs) {
        Plan plan = plan_with(name, *graph, cluster, CostModel());
        if (best.placements.empty() || plan.predicted_seconds < best.predicted_seconds) best = std::move(plan);
      }
      EXPECT_EQ(plan_best_of(counts.pointers(), name, cluster, CostModel()), best) << name << ", " << attempt;
    }
    // Whatever a member's own best count is.
    const Plan automatic = plan_best_of(counts.pointers(), "auto", cluster, CostModel(), {"", 1});
    for (const auto& graph : counts.graphs) {
      for (const char* name : {"single", "data_parallel", "heft", "etf"}) {
        EXPECT_LE(automatic.predicted_seconds,
                  plan_with(name, *graph, cluster, CostModel()).predicted_seconds * (1 + 1e-9))
            << name << ", " << graph->micro_batches() << " micro-batches, " << attempt;
      }
    }
  }
}

// One operator on a megabyte is sooner done than five on four kilobytes each, but does not fit.
TEST(PlanBestOf, PrefersWhatFitsInMemory) {
  const auto chain = [](std::int64_t floats, int length) {
    Graph step;
    ValueId value = step.add_input("x", ValueType{{floats}});
    for (int i = 0; i < length; ++i) value = step.add_node({"tanh", {}}, {value}, fmt::format("n{}", i)).at(0);
    return TaskGraph(step, 1);
  };
  const TaskGraph quick = chain(250'000, 1);
  const TaskGraph small = chain(1000, 5);
  const auto tasks_of_best = [&](double bytes) {
    const Cluster cluster("one", {{"a", "k", kHostMemory, 1e12, 1e12, 1, false}}, {{"host", bytes}}, {});
    return plan_best_of({&small, &quick}, "single", cluster, CostModel()).placements.size();
  };
  EXPECT_EQ(tasks_of_best(1e9), quick.task_count());
  EXPECT_EQ(tasks_of_best(5e4), small.task_count());
  EXPECT_EQ(tasks_of_best(1), quick.task_count());  // neither fits: whoever lays out the memory says so
}

TEST(PlanBestOf, ThrowsWhereNoCountGetsAPlan) {
  EXPECT_EQ(message_of([] {
              (void)plan_best_of(Counts(training_graph(sgd(0)), 2).pointers(), "replay", make_cluster("cpu:1"),
                                 CostModel());
            }),
            "[policy replay] expected a plan file, got none");
}

TEST(ParallelFor, CallsEachOnceAndThrowsTheFirstError) {
  std::vector<std::atomic<int>> calls(1000);
  parallel_for(10, [&](std::size_t i) { parallel_for(100, [&](std::size_t j) { ++calls[i * 100 + j]; }); });
  for (const auto& count : calls) EXPECT_EQ(count, 1);
  std::atomic<int> called = 0;
  EXPECT_EQ(message_of([&] {
              parallel_for(64, [&](std::size_t i) {
                ++called;
                if (i % 10 == 7) throw std::invalid_argument(std::to_string(i));
              });
            }),
            "7");
  EXPECT_EQ(called, 64);
}

TEST(ParallelFor, OneThreadCallsOneAfterTheOther) {
  const OneThread alone;
  std::vector<std::size_t> order;
  parallel_for(100, [&](std::size_t i) {
    parallel_for(1, [&](std::size_t) { order.push_back(i); });
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  });
  std::vector<std::size_t> expected(100);
  std::iota(expected.begin(), expected.end(), std::size_t{0});
  EXPECT_EQ(order, expected);
}

TEST(Auto, PlansTheSameOnOneThread) {
  const TaskGraph graph(training_graph(adam()), 4);
  const Cluster cluster = make_cluster("cpu:3");
  EXPECT_EQ(plan_with("auto", graph, cluster, {}, {"", 0.2, true}), plan_with("auto", graph, cluster, {}, {"", 0.2}));
}

}  // namespace
}  // namespace skua::test
