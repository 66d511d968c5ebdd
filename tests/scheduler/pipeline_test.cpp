// Pipelines of equal stages against their closed forms.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "scheduler/tiny_step.h"
#include "skua/scheduler/policy.h"
#include "skua/scheduler/simulator.h"

namespace skua::test {
namespace {

constexpr double kForward = 1;   // seconds
constexpr double kBackward = 2;  // likewise

// `stages` layers one after another, forward and back; each backward pass reads what its forward pass made.
Graph layers(int stages) {
  Graph graph;
  ValueId x = graph.add_input("x", kThousandFloats);
  std::vector<ValueId> made;
  for (int s = 0; s < stages; ++s) {
    x = graph.add_node({"relu", {}}, {x}, fmt::format("layer{}", s)).at(0);
    made.push_back(x);
  }
  for (int s = stages; s-- > 0;) {
    const ValueId forward = made[static_cast<std::size_t>(s)];
    x = graph.add_node({"add", {}}, {x, forward}, fmt::format("layer{}.backward", s), Phase::kBackward).at(0);
  }
  return graph;
}

struct Pipe {
  Pipe(int stages, int micro_batches, const std::string& policy) : tasks(layers(stages), micro_batches) {
    cluster = make_cluster(fmt::format("cpu:{}", stages));
    for (const CostKey& key : tasks.cost_keys()) {
      model.set(key.signature, cluster.devices()[0].kind, key.signature.starts_with("relu(") ? kForward : kBackward);
    }
    plan = plan_with(policy, tasks, cluster, model);
    const Schedule schedule(tasks, cluster, plan);
    trace = simulate(schedule, CostTable(tasks, cluster, model));
    summary = summarize(schedule, trace);
    peak_bytes = peak_live_bytes(schedule, trace)[0];
  }

  // Most micro-batches that have been forward through the stage and not back.
  [[nodiscard]] int most_in_flight(int stage) const {
    std::vector<std::pair<double, int>> changes;
    for (std::size_t i = 0; i < tasks.task_count(); ++i) {
      const Task& task = tasks.task(TaskId(static_cast<std::int64_t>(i)));
      const std::string& name = tasks.graph().node(task.node).name;
      if (name == fmt::format("layer{}", stage)) changes.emplace_back(trace.records[i].start_seconds, 1);
      if (name == fmt::format("layer{}.backward", stage)) changes.emplace_back(trace.records[i].finish_seconds, -1);
    }
    std::sort(changes.begin(), changes.end());
    int now = 0;
    int most = 0;
    for (const auto& [time, change] : changes) {
      now += change;
      most = std::max(most, now);
    }
    return most;
  }

  TaskGraph tasks;
  Cluster cluster;
  CostModel model;
  Plan plan;
  StepTrace trace;
  TraceSummary summary;
  double peak_bytes = 0;  // of the host's memory, where all is
};

// Makespan (m + p - 1)(f + b): a bubble of (p - 1) / (m + p - 1) of it. Huang et al., "GPipe: efficient training of
// giant neural networks using pipeline parallelism", NeurIPS 2019, section 2.3; for 1F1B the same, and at most p - s
// micro-batches in flight on stage s (from 0): Narayanan et al., ICML 2021.
TEST(Pipeline, BubbleAndMemoryAreThoseOfTheClosedForms) {
  for (const int stages : {1, 2, 3, 4, 8}) {
    for (const int micro_batches : {1, 2, 3, 4, 8, 13}) {
      SCOPED_TRACE(fmt::format("{} stages, {} micro-batches", stages, micro_batches));
      for (const std::string policy : {"gpipe", "1f1b"}) {
        const Pipe pipe(stages, micro_batches, policy);
        EXPECT_DOUBLE_EQ(pipe.trace.seconds, (micro_batches + stages - 1) * (kForward + kBackward)) << policy;
        const double work = micro_batches * (kForward + kBackward);
        EXPECT_NEAR(1 - work / pipe.trace.seconds, (stages - 1.0) / (micro_batches + stages - 1.0), 1e-12) << policy;
        EXPECT_NEAR(pipe.summary.step_bubble, (stages - 1.0) / (micro_batches + stages - 1.0), 1e-12) << policy;
        for (int s = 0; s < stages; ++s) {
          // From the stage's first forward pass on it waits for the way to the last stage and back.
          const double bubble = (stages - 1.0 - s) / (micro_batches + stages - 1.0 - s);
          EXPECT_NEAR(pipe.summary.bubble[static_cast<std::size_t>(s)], bubble, 1e-12) << policy << ", stage " << s;
          const int expected = policy[0] == 'g' ? micro_batches : std::min(stages - s, micro_batches);
          EXPECT_EQ(pipe.most_in_flight(s), expected) << policy << ", stage " << s;
        }
      }
    }
  }
}

// Every value has 4000 bytes, and a backward pass keeps what it reads and makes. GPipe has all micro-batches in flight
// on every stage when the first ones turn back: their number times stages, with two gradients more where two stages go
// backward at once. 1F1B has p - s on stage s throughout, and at most two gradients a stage.
TEST(Pipeline, PeakBytesFollowTheMicroBatchesInFlight) {
  for (const int stages : {2, 3, 4, 8}) {
    const double in_flight = stages * (stages + 1) / 2.0;
    for (const int micro_batches : {2 * stages, 2 * stages + 5}) {
      SCOPED_TRACE(fmt::format("{} stages, {} micro-batches", stages, micro_batches));
      EXPECT_EQ(Pipe(stages, micro_batches, "gpipe").peak_bytes / 4000, stages * micro_batches + 2);
      const double values = Pipe(stages, micro_batches, "1f1b").peak_bytes / 4000;
      EXPECT_GE(values, in_flight);
      EXPECT_LE(values, in_flight + 2 * stages);
    }
  }
}

// Three layers on two devices of which the second is twice as slow: two of them go to the fast one.
TEST(Pipeline, StagesFollowTheSpeedOfTheirDevices) {
  const TaskGraph tasks(layers(3), 4);
  const Cluster cluster = two_kinds(false);
  CostModel model;
  for (const CostKey& key : tasks.cost_keys()) {
    const double seconds = key.signature.starts_with("relu(") ? kForward : kBackward;
    model.set(key.signature, "k", seconds);
    model.set(key.signature, "b", 2 * seconds);
  }
  for (const std::string policy : {"gpipe", "1f1b"}) {
    const Plan plan = plan_with(policy, tasks, cluster, model);
    for (std::size_t i = 0; i < tasks.task_count(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      const bool last = tasks.graph().node(tasks.task(id).node).name.starts_with("layer2");
      EXPECT_EQ(plan.placements[i].device, DeviceId(last ? 1 : 0)) << tasks.name(id);
    }
  }
}

}  // namespace
}  // namespace skua::test
