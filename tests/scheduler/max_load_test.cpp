#include "skua/scheduler/max_load.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>

#include "scheduler/max_load_search.h"
#include "skua/graph/random.h"

namespace skua::test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Two or three accelerators and a CPU that is three times as slow; half of the graphs have backward tasks. Copies take
// a second for 4 bytes into an accelerator, and for 2 out of it.
struct Workload {
  TimedGraph graph;
  Cluster cluster;
};

Workload random_workload(Random& random, std::size_t count) {
  Workload result;
  TimedGraph& graph = result.graph;
  const bool training = random.below(2) == 0;
  const auto seconds = [&] { return random.below(3) == 0 ? 0.0 : static_cast<double>(1 + random.below(9)); };
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
    links.push_back({MemoryId(a), kHostMemory, 2, 0});
  }
  result.cluster = Cluster("workload", devices, memories, links);
  return result;
}

// By its definition: the sum of times, and for each datum one copy out and one into each other device.
double load_on(const Workload& w, const std::vector<DeviceId>& devices, DeviceId id) {
  const bool host = w.cluster.device(id).memory == kHostMemory;
  double load = 0;
  double bytes = 0;
  for (std::size_t t = 0; t < devices.size(); ++t) {
    if (devices[t] != id) continue;
    const auto& seconds = w.graph.tasks[t].seconds;
    const auto found = seconds.find(w.cluster.device(id).kind);
    if (found == seconds.end()) return kInfinity;
    load += found->second;
    bytes += w.graph.tasks[t].resident_bytes;
  }
  if (host) return load;
  if (bytes > w.cluster.memory(w.cluster.device(id).memory).capacity_bytes) return kInfinity;
  for (const TimedEdge& edge : w.graph.edges) {
    bool crosses = false;
    for (const std::size_t to : edge.to) crosses = crosses || (devices[to] == id) != (devices[edge.from] == id);
    if (crosses) load += edge.bytes / (devices[edge.from] == id ? 2 : 4);
  }
  return load;
}

double max_load_of(const Workload& w, const std::vector<DeviceId>& devices) {
  double worst = 0;
  for (std::size_t d = 0; d < w.cluster.device_count(); ++d) {
    worst = std::max(worst, load_on(w, devices, DeviceId(static_cast<std::int64_t>(d))));
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
    const Workload w = random_workload(random, 2 + random.below(5));
    const std::size_t tasks = w.graph.tasks.size();
    const std::size_t forward = static_cast<std::size_t>(
        std::count_if(w.graph.tasks.begin(), w.graph.tasks.end(), [](const TimedTask& t) { return !t.backward; }));
    double best = kInfinity;
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
      const double load = max_load_of(w, devices);
      best_of_any = std::min(best_of_any, load);
      if (is_pipeline(w, devices)) best = std::min(best, load);
    }
    if (best == kInfinity) {
      EXPECT_THROW((void)minimize_max_load(w.graph, w.cluster), std::invalid_argument);
      continue;
    }
    ++solved;
    const LoadSplit found = minimize_max_load(w.graph, w.cluster);
    EXPECT_NEAR(found.max_load, max_load_of(w, found.devices), 1e-9) << trial;
    EXPECT_TRUE(is_pipeline(w, found.devices)) << trial;
    EXPECT_NEAR(found.max_load, best, 1e-9) << trial;
    EXPECT_LE(found.bound, best_of_any + 1e-9) << trial;
    EXPECT_NEAR(found.pipeline_bound, found.max_load, 1e-9) << trial;
    if (HasFailure()) return;
  }
  EXPECT_GT(solved, 500);
}

// The least max load of a pipeline, from one set of forward tasks closed under predecessors to all larger ones.
double best_pipeline(const Workload& w) {
  const std::size_t tasks = w.graph.tasks.size();
  const std::size_t forward = w.graph.tasks.back().backward ? tasks / 2 : tasks;
  const std::size_t all = (std::size_t{1} << forward) - 1;
  const std::size_t accelerators = w.cluster.device_count() - 1;
  std::vector<bool> closed(all + 1, true);
  std::vector<std::vector<double>> part(2, std::vector<double>(all + 1));  // loads: on the CPU, on an accelerator
  for (std::size_t set = 0; set <= all; ++set) {
    const auto in = [&](std::size_t task) { return (set >> (task % forward) & 1) != 0; };
    for (const TimedEdge& edge : w.graph.edges) {
      if (w.graph.tasks[edge.from].backward || in(edge.from)) continue;
      if (std::any_of(edge.to.begin(), edge.to.end(), in)) closed[set] = false;
    }
    for (const std::int64_t device : {0, 1}) {
      std::vector<DeviceId> devices;
      for (std::size_t t = 0; t < tasks; ++t) devices.emplace_back(in(t) ? device : 1 - device);
      part[static_cast<std::size_t>(device)][set] = load_on(w, devices, DeviceId(device));
    }
  }
  // least[set][used]: with so many accelerators used, and the CPU where `used` is accelerators + 1 more.
  std::vector<std::vector<double>> least(all + 1, std::vector<double>(2 * (accelerators + 1), kInfinity));
  least[0].assign(least[0].size(), 0);
  for (std::size_t set = 0; set < all; ++set) {
    const std::size_t rest = all & ~set;
    for (std::size_t added = closed[set] ? rest : 0; added > 0; added = (added - 1) & rest) {
      for (std::size_t used = 0; closed[set | added] && used < least[set].size(); ++used) {
        const bool on_cpu = used > accelerators;
        const auto put = [&](std::size_t device, std::size_t to) {
          double& best = least[set | added][to];
          best = std::min(best, std::max(least[set][used], part[device][added]));
        };
        if (!on_cpu) put(0, used + accelerators + 1);
        if (used % (accelerators + 1) < accelerators) put(1, used + 1);
      }
    }
  }
  return *std::min_element(least[all].begin(), least[all].end());
}

// The search alone, without a split to begin with: none below the best load, and one wherever there may be one.
TEST(MaxLoad, SearchTellsWhetherAPipelineStaysBelow) {
  Random random(12, 0);
  int solved = 0;
  for (int trial = 0; trial < 1200; ++trial) {
    const Workload w = random_workload(random, 5 + random.below(5));
    const double best = best_pipeline(w);
    const max_load::Problem problem(w.graph, w.cluster);
    const auto find = [&](double target) { return max_load::find_pipeline(problem, target, 1'000'000); };
    const double none = best < kInfinity ? best - 1e-6 : problem.worst_load();
    EXPECT_TRUE(find(none).devices.empty()) << trial;
    EXPECT_TRUE(find(none).complete) << trial;
    if (best == kInfinity) continue;
    ++solved;
    for (const double target : {best + 1e-6, best + 0.5, best + 1, best * 1.2 + 1, best * 2 + 1}) {
      const std::vector<DeviceId> items = find(target).devices;
      ASSERT_FALSE(items.empty()) << trial << " below " << target;
      std::vector<DeviceId> devices(w.graph.tasks.size());
      for (std::size_t i = 0; i < items.size(); ++i) {
        for (const std::size_t task : problem.items()[i].tasks) devices[task] = items[i];
      }
      EXPECT_LT(max_load_of(w, devices), target) << trial;
      EXPECT_TRUE(is_pipeline(w, devices)) << trial;
    }
    EXPECT_NEAR(minimize_max_load(w.graph, w.cluster).max_load, best, 1e-9) << trial;
    if (HasFailure()) return;
  }
  EXPECT_GT(solved, 1000);
}

TEST(MaxLoad, SearchSaysThatItGaveUp) {
  Random random(13, 0);
  const Workload w = random_workload(random, 9);
  const max_load::Problem problem(w.graph, w.cluster);
  const double best = best_pipeline(w);
  ASSERT_TRUE(max_load::find_pipeline(problem, best - 1e-6, 1'000'000).complete);
  EXPECT_FALSE(max_load::find_pipeline(problem, best - 1e-6, 10).complete);
}

// Of n kinds of devices there are 2^n ways to use some, more than a table has room for.
TEST(MaxLoad, TakesAnyNumberOfKindsOfDevices) {
  TimedGraph graph;
  graph.tasks = {{"a", {{kAnyDevice, 1}}}, {"b", {{kAnyDevice, 2}}}};
  const auto cluster_of = [](int kinds) {
    std::vector<DeviceSpec> devices;
    for (int d = 0; d < kinds; ++d) {
      devices.push_back({fmt::format("d{}", d), fmt::format("k{}", d), kHostMemory, 1, 1, 0, false});
    }
    return Cluster("kinds", std::move(devices), {{"host", 1e9}}, {});
  };
  for (const int kinds : {12, 30, 64}) {  // 2^64 is 0 in 64 bits
    EXPECT_EQ(minimize_max_load(graph, cluster_of(kinds)).max_load, 2) << kinds;
  }
}

}  // namespace
}  // namespace skua::test
