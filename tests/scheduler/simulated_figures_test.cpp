// What the simulator answers, against closed forms and naive counts: communication, critical paths, memory in use, and
// a step in which a device is lost.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <numeric>

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

// `devices` devices with memories of their own and direct links between all, one copy at a time in each direction.
Cluster direct_cluster(int devices, double latency_seconds, double bytes_per_second) {
  std::vector<DeviceSpec> specs;
  std::vector<MemorySpec> memories{{"host", 1e18}};
  std::vector<LinkSpec> links;
  for (int d = 1; d <= devices; ++d) {
    specs.push_back({fmt::format("d:{}", d - 1), kAnyDevice, MemoryId(d), 1, 1, 0, true});
    memories.push_back({specs.back().name, 1e18});
  }
  for (int from = 0; from <= devices; ++from) {
    for (int to = 0; to <= devices; ++to) {
      if (from != to) links.push_back({MemoryId(from), MemoryId(to), bytes_per_second, latency_seconds});
    }
  }
  return Cluster("direct", specs, memories, links);
}

// Simulated seconds where task i of the list runs on devices[i].
double seconds_of(const TimedGraph& timed, const Cluster& cluster, const std::vector<int>& devices) {
  const TimedProblem problem(timed, cluster);
  const TaskGraph graph(problem.graph, 1);
  Plan plan = one_device_plan(graph, cluster);
  for (std::size_t i = 0; i < devices.size(); ++i) {
    plan.placements[i].device = DeviceId(devices[problem.positions[i]]);
  }
  return simulate(Schedule(graph, cluster, plan), CostTable(graph, cluster, problem.costs)).seconds;
}

// Ring all-reduce of n bytes over p devices: 2(p-1) rounds in which every device sends n/p bytes to the next one, so
// 2(p-1)(a + n/(pB)). Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations",
// Journal of Parallel and Distributed Computing 69(2), 2009.
TEST(Figures, RingAllReduceTakesItsClosedForm) {
  constexpr double kLatency = 3e-5;
  constexpr double kBandwidth = 2.5e9;
  for (const int p : {2, 3, 4, 8}) {
    for (const double n : {9600.0, 96e6}) {
      TimedGraph ring;
      std::vector<int> devices;
      const int rounds = 2 * (p - 1);
      const auto position = [&](int round, int device) { return static_cast<std::size_t>(round * p + device % p); };
      for (int round = 0; round <= rounds; ++round) {
        for (int d = 0; d < p; ++d) {
          ring.tasks.push_back({fmt::format("{} of {}", d, round), {{kAnyDevice, 0}}});
          devices.push_back(d);
          if (round == rounds) continue;
          ring.edges.push_back({position(round, d), {position(round + 1, d), position(round + 1, d + 1)}, n / p});
        }
      }
      const double expected = rounds * (kLatency + n / (p * kBandwidth));
      EXPECT_NEAR(seconds_of(ring, direct_cluster(p, kLatency, kBandwidth), devices), expected, 1e-12 * expected)
          << p << " devices, " << n << " bytes";
    }
  }
}

// Two tasks make 4000 bytes each for a reader each: 1.5 s of copying.
TEST(Figures, CopiesTakeTurnsOnOneDirectionOfALink) {
  TimedGraph timed;
  for (const char* name : {"make 0", "make 1", "read 0", "read 1"}) timed.tasks.push_back({name, {{kAnyDevice, 0}}});
  timed.edges = {{0, {2}, 4000}, {1, {3}, 4000}};
  const Cluster cluster = direct_cluster(3, 0.5, 4000);
  EXPECT_DOUBLE_EQ(seconds_of(timed, cluster, {0, 0, 1, 1}), 3);
  EXPECT_DOUBLE_EQ(seconds_of(timed, cluster, {0, 1, 1, 0}), 1.5);
  EXPECT_DOUBLE_EQ(seconds_of(timed, cluster, {0, 0, 1, 2}), 1.5);
  std::vector<LinkSpec> parallel = cluster.links();
  for (LinkSpec& link : parallel) link.parallel = true;
  const Cluster theory("parallel", cluster.devices(), cluster.memories(), parallel);
  EXPECT_DOUBLE_EQ(seconds_of(timed, theory, {0, 0, 1, 1}), 1.5);
}

TEST(Figures, AChainTakesItsTasksAndTheCopiesOnItsWay) {
  const Cluster cluster = direct_cluster(4, 0.25, 1000);
  Random random(3);
  for (int repeat = 0; repeat < 20; ++repeat) {
    TimedGraph chain;
    std::vector<int> devices;
    double expected = 0;
    for (std::size_t i = 0; i < 30; ++i) {
      chain.tasks.push_back({fmt::format("t{}", i), {{kAnyDevice, random.uniform()}}});
      devices.push_back(static_cast<int>(random.below(4)));
      expected += chain.tasks[i].seconds.at(kAnyDevice);
      if (i == 0) continue;
      const double bytes = 4 * static_cast<double>(1 + random.below(1000));
      chain.edges.push_back({i - 1, {i}, bytes});
      if (devices[i] != devices[i - 1]) expected += 0.25 + bytes / 1000;
    }
    EXPECT_NEAR(seconds_of(chain, cluster, devices), expected, 1e-12 * expected);
  }
}

TEST(Figures, OneDeviceTakesTheSumOfItsTasks) {
  const TaskGraph graph(training_graph(adam()), 3);
  const Cluster cluster = make_cluster("cpu:1");
  const CostTable costs(graph, cluster, {});
  const Schedule schedule(graph, cluster, one_device_plan(graph, cluster));
  double sum = 0;
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    sum += costs.seconds(TaskId(static_cast<std::int64_t>(i)), DeviceId(0));
  }
  const StepTrace trace = simulate(schedule, costs);
  EXPECT_NEAR(trace.seconds, sum, 1e-12 * sum);
  EXPECT_EQ(summarize(schedule, trace).step_bubble, 0);
}

std::vector<double> peaks_of(Graph graph, int micro_batches, const Cluster& cluster, const Plan& plan,
                             const SimulationOptions& options = {}) {
  const TaskGraph tasks(graph, micro_batches);
  const CostTable costs(tasks, cluster, tiny_costs(tasks));
  const Schedule schedule(tasks, cluster, plan);
  return peak_live_bytes(schedule, simulate(schedule, costs, options));
}

// Every value has 4000 bytes.
TEST(Figures, PeaksByHand) {
  // In one memory both operands and the sum are alive while the sum is made; the input is the caller's.
  EXPECT_EQ(peaks_of(fork_join_graph(), 1, tiny_cluster(false), plan_on({0, 0, 0})), (std::vector<double>{12000}));
  // "a" holds x and relu's output from 1.5 s to 2.5 s; "b" two of three values at a time from 4 s on.
  EXPECT_EQ(peaks_of(chain_graph(), 1, tiny_cluster(true), plan_on({0, 1, 1})), (std::vector<double>{0, 8000, 8000}));
  // relu's output is kept where it is made; sigmoid's, a third one in "b", while tanh runs.
  Graph kept = chain_graph();
  kept.mark_output(kept.node(NodeId(1)).outputs[0]);
  EXPECT_EQ(peaks_of(kept, 1, tiny_cluster(false), plan_on({0, 0, 0})), (std::vector<double>{8000}));
  kept.mark_output(kept.node(NodeId(0)).outputs[0]);
  EXPECT_EQ(peaks_of(kept, 1, tiny_cluster(false), plan_on({0, 0, 0})), (std::vector<double>{12000}));
  // "b" takes the second task at 3 s, with its input and output, while "a" is at the first for 100 s and keeps room for
  // both of each.
  const auto random = make_steal_rule("random");
  const SimulationOptions options{.steal_rule = random.get(), .stragglers = {{DeviceId(0), 100}}};
  EXPECT_EQ(peaks_of(relu_graph(), 2, tiny_cluster(true, true, true), plan_on({0, 0}), options),
            (std::vector<double>{0, 16000, 8000}));
}

// At the start of each task, the bytes of everything that some task touches before its end and some at or before its
// start.
std::vector<double> naive_peaks(const Schedule& schedule, const StepTrace& trace) {
  const TaskGraph& graph = schedule.graph();
  std::map<std::pair<DatumId, MemoryId>, std::vector<TaskRecord>> uses;
  for (std::size_t i = 0; i < schedule.task_count(); ++i) {
    const StepTaskId id(static_cast<std::int64_t>(i));
    const StepTask& task = schedule.task(id);
    std::vector<std::pair<DatumId, MemoryId>> used;
    if (task.is_copy()) {
      used = {{task.datum, task.from}, {task.datum, task.to}};
    } else {
      for (DatumId datum : graph.inputs(task.task)) used.emplace_back(datum, schedule.memory_of(task.lane));
      for (DatumId datum : graph.outputs(task.task)) used.emplace_back(datum, schedule.memory_of(task.lane));
    }
    for (const auto& [datum, memory] : used) {
      const bool input = graph.graph().value(graph.datum(datum).value).kind == ValueKind::kInput;
      if (!input || memory != kHostMemory) uses[{graph.datum(datum).storage, memory}].push_back(trace.records[i]);
    }
  }
  std::vector<double> peaks(schedule.cluster().memory_count(), 0);
  for (const TaskRecord& now : trace.records) {
    std::vector<double> bytes(peaks.size(), 0);
    for (const auto& [key, records] : uses) {
      const auto begun = [&](const TaskRecord& r) { return r.start_seconds <= now.start_seconds; };
      const auto ends_later = [&](const TaskRecord& r) { return r.finish_seconds > now.start_seconds; };
      const bool alive =
          std::any_of(records.begin(), records.end(), begun) && std::any_of(records.begin(), records.end(), ends_later);
      if (alive || graph.is_persistent(key.first)) bytes[key.second.index()] += graph.datum(key.first).bytes;
    }
    for (std::size_t m = 0; m < peaks.size(); ++m) peaks[m] = std::max(peaks[m], bytes[m]);
  }
  return peaks;
}

TEST(Figures, PeaksAreThoseOfANaiveCountAndFitInTheArenas) {
  const TaskGraph graph(training_graph(adam()), 4);
  const auto rule = make_steal_rule("cost");
  Random random(21);
  for (int repeat = 0; repeat < 40; ++repeat) {
    SCOPED_TRACE(repeat);
    const Cluster cluster = random_cluster(random);
    const CostTable costs(graph, cluster, {});
    const bool stealing = repeat % 2 == 1;
    Schedule schedule(graph, cluster, random_plan(graph, cluster, random));
    const StepTrace free = simulate(schedule, costs);
    EXPECT_EQ(peak_live_bytes(schedule, free), naive_peaks(schedule, free));
    // The arenas are for steps that keep the dependencies which they add.
    const MemoryPlan arenas(schedule, free, plain_sizes(schedule), stealing);
    const SimulationOptions noisy{.steal_rule = stealing ? rule.get() : nullptr, .noise = 0.5, .cost_error = 0.5};
    const std::vector<double> peaks = peak_live_bytes(schedule, simulate(schedule, costs, noisy));
    for (std::size_t m = 0; m < peaks.size(); ++m) {
      EXPECT_LE(peaks[m], static_cast<double>(arenas.arena_bytes(MemoryId(static_cast<std::int64_t>(m)))));
    }
  }
}

TEST(Figures, AClusterWithoutADevice) {
  const Cluster whole = make_cluster("a100x4-pcie");
  const Cluster rest = without_device(whole, DeviceId(1));
  ASSERT_EQ(rest.device_count(), 3U);
  ASSERT_EQ(rest.memory_count(), whole.memory_count() - 1);
  EXPECT_EQ(rest.name(), "a100x4-pcie without " + whole.devices()[1].name);
  const int left[] = {0, 2, 3};
  for (int i = 0; i < 3; ++i) {
    const DeviceSpec& before = whole.device(DeviceId(left[i]));
    const DeviceSpec& after = rest.device(DeviceId(i));
    EXPECT_EQ(after.name, before.name);
    EXPECT_EQ(rest.memory(after.memory).name, whole.memory(before.memory).name);
    for (int j = 0; j < 3; ++j) {
      EXPECT_EQ(rest.copy_seconds(1e6, after.memory, rest.device(DeviceId(j)).memory),
                whole.copy_seconds(1e6, before.memory, whole.device(DeviceId(left[j])).memory));
    }
  }
  EXPECT_EQ(without_device(make_cluster("cpu:3"), DeviceId(0)).memory_count(), 1U);  // the host's stays
  // A host's device and one with a memory of its own.
  const Cluster mixed("mixed", {make_cluster("cpu:1").devices()[0], whole.device(DeviceId(0))},
                      {whole.memories()[0], whole.memories()[1]}, {whole.links()[0], whole.links()[1]});
  EXPECT_EQ(without_device(mixed, DeviceId(0)).memory_count(), 2U);
  EXPECT_EQ(without_device(mixed, DeviceId(1)).links().size(), 0U);
  EXPECT_EQ(message_of([] { (void)without_device(make_cluster("cpu:1"), DeviceId(0)); }),
            "[cluster cpu:1] expected a device beside cpu:0, which is lost, got none");
}

}  // namespace
}  // namespace skua::test
