#include "skua/scheduler/max_load.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "skua/graph/random.h"

namespace skua::test {
namespace {

// Two or three accelerators and a CPU that is three times as slow; half of the graphs have backward tasks.
struct Workload {
  TimedGraph graph;
  Cluster cluster;
};

Workload random_workload(Random& random) {
  Workload result;
  TimedGraph& graph = result.graph;
  const std::size_t count = 2 + random.below(5);
  const bool training = random.below(2) == 0;
  const auto seconds = [&] { return static_cast<double>(1 + random.below(9)); };
  const auto bytes = [&] { return 4 * static_cast<double>(random.below(6)); };
  for (std::size_t i = 0; i < count; ++i) {
    const double fast = seconds();
    TimedTask task{
        fmt::format("f{}", i), {{"cpu", 3 * fast}}, static_cast<double>(random.below(3)), static_cast<int>(i)};
    if (random.below(8) > 0) task.seconds["accelerator"] = fast;
    graph.tasks.push_back(task);
  }
  for (std::size_t i = 0; training && i < count; ++i) {
    TimedTask task = graph.tasks[i];
    task.name = fmt::format("b{}", i);
    task.backward = true;
    graph.tasks.push_back(task);
  }
  for (std::size_t i = 0; i < count; ++i) {
    TimedEdge forward{i, {}, bytes()};
    for (std::size_t to = i + 1; to < count; ++to) {
      if (random.below(2) == 0) forward.to.push_back(to);
    }
    if (forward.to.empty()) continue;
    if (training) {
      for (const std::size_t to : forward.to) graph.edges.push_back({count + to, {count + i}, bytes()});
    }
    graph.edges.push_back(forward);
  }
  const int accelerators = 2 + static_cast<int>(random.below(2));
  std::vector<DeviceSpec> devices{{"cpu", "cpu", kHostMemory, 1, 1, 0, false}};
  std::vector<MemorySpec> memories{{"host", 1e9}};
  std::vector<LinkSpec> links;
  for (int a = 1; a <= accelerators; ++a) {
    devices.push_back({fmt::format("a{}", a), "accelerator", MemoryId(a), 1, 1, 0, true});
    memories.push_back({fmt::format("a{}", a), 5});
    links.push_back({kHostMemory, MemoryId(a), 4, 0});
    links.push_back({MemoryId(a), kHostMemory, 4, 0});
  }
  result.cluster = Cluster("workload", devices, memories, links);
  return result;
}

// By its definition: the sum of times, and for each datum one copy out and one into each other device.
double max_load(const Workload& w, const std::vector<DeviceId>& devices) {
  double worst = 0;
  for (std::size_t d = 0; d < w.cluster.device_count(); ++d) {
    const DeviceId id(static_cast<std::int64_t>(d));
    const bool host = w.cluster.device(id).memory == kHostMemory;
    double load = 0;
    double bytes = 0;
    for (std::size_t t = 0; t < devices.size(); ++t) {
      if (devices[t] != id) continue;
      const auto& seconds = w.graph.tasks[t].seconds;
      const auto found = seconds.find(w.cluster.device(id).kind);
      if (found == seconds.end()) return std::numeric_limits<double>::infinity();
      load += found->second;
      bytes += w.graph.tasks[t].resident_bytes;
    }
    if (!host && bytes > w.cluster.memory(w.cluster.device(id).memory).capacity_bytes) {
      return std::numeric_limits<double>::infinity();
    }
    for (const TimedEdge& edge : w.graph.edges) {
      bool crosses = false;
      for (const std::size_t to : edge.to) crosses = crosses || (devices[to] == id) != (devices[edge.from] == id);
      if (crosses && !host) load += edge.bytes / 4;
    }
    worst = std::max(worst, load);
  }
  return worst;
}

// Whether the devices can be put in an order in which forward data only flow onwards.
bool is_pipeline(const Workload& w, const std::vector<DeviceId>& devices) {
  std::vector<std::size_t> order(w.cluster.device_count());
  for (std::size_t d = 0; d < order.size(); ++d) order[d] = d;
  do {
    const bool onwards = std::all_of(w.graph.edges.begin(), w.graph.edges.end(), [&](const TimedEdge& edge) {
      return w.graph.tasks[edge.from].backward || std::all_of(edge.to.begin(), edge.to.end(), [&](std::size_t to) {
               return order[devices[edge.from].index()] <= order[devices[to].index()];
             });
    });
    if (onwards) return true;
  } while (std::next_permutation(order.begin(), order.end()));
  return false;
}

TEST(MaxLoad, EqualsTheBestOfAllSplits) {
  Random random(11, 0);
  int solved = 0;
  for (int trial = 0; trial < 600; ++trial) {
    const Workload w = random_workload(random);
    const std::size_t tasks = w.graph.tasks.size();
    const std::size_t forward = static_cast<std::size_t>(
        std::count_if(w.graph.tasks.begin(), w.graph.tasks.end(), [](const TimedTask& t) { return !t.backward; }));
    double best = std::numeric_limits<double>::infinity();
    double best_of_any = best;
    std::size_t splits = 1;
    for (std::size_t i = 0; i < forward; ++i) splits *= w.cluster.device_count();
    std::vector<DeviceId> devices(tasks);
    for (std::size_t split = 0; split < splits; ++split) {
      std::size_t rest = split;
      for (std::size_t t = 0; t < tasks; ++t) {
        if (t < forward) {
          devices[t] = DeviceId(static_cast<std::int64_t>(rest % w.cluster.device_count()));
          rest /= w.cluster.device_count();
        } else {
          devices[t] = devices[t - forward];
        }
      }
      const double load = max_load(w, devices);
      best_of_any = std::min(best_of_any, load);
      if (is_pipeline(w, devices)) best = std::min(best, load);
    }
    if (best == std::numeric_limits<double>::infinity()) {
      EXPECT_THROW((void)minimize_max_load(w.graph, w.cluster), std::invalid_argument);
      continue;
    }
    ++solved;
    const LoadSplit found = minimize_max_load(w.graph, w.cluster);
    EXPECT_NEAR(found.max_load, max_load(w, found.devices), 1e-9) << trial;
    EXPECT_TRUE(is_pipeline(w, found.devices)) << trial;
    EXPECT_NEAR(found.max_load, best, 1e-9) << trial;
    EXPECT_LE(found.bound, best_of_any + 1e-9) << trial;
    EXPECT_NEAR(found.pipeline_bound, found.max_load, 1e-9) << trial;
    if (HasFailure()) return;
  }
  EXPECT_GT(solved, 500);
}

// Of n kinds of devices there are 2^n ways to use some; the table of the programme counts them.
TEST(MaxLoad, RefusesMoreKindsOfDevicesThanItCanCount) {
  TimedGraph graph;
  graph.tasks = {{"a", {{kAnyDevice, 1}}}, {"b", {{kAnyDevice, 2}}}};
  const auto cluster_of = [](int kinds) {
    std::vector<DeviceSpec> devices;
    for (int d = 0; d < kinds; ++d) {
      devices.push_back({fmt::format("d{}", d), fmt::format("k{}", d), kHostMemory, 1, 1, 0, false});
    }
    return Cluster("kinds", std::move(devices), {{"host", 1e9}}, {});
  };
  EXPECT_EQ(minimize_max_load(graph, cluster_of(12)).max_load, 2);
  for (const int kinds : {30, 64}) {  // 2^64 is 0 in 64 bits
    EXPECT_THROW((void)minimize_max_load(graph, cluster_of(kinds)), std::invalid_argument) << kinds;
  }
  // All 4096 closed sets of twelve tasks would not fit; those along an order do, and leave the bound of any split.
  for (int t = 2; t < 12; ++t) graph.tasks.push_back({fmt::format("t{}", t), {{kAnyDevice, 1}}});
  const LoadSplit split = minimize_max_load(graph, cluster_of(15));
  EXPECT_EQ(split.max_load, 2);
  EXPECT_EQ(split.pipeline_bound, split.bound);
}

}  // namespace
}  // namespace skua::test
