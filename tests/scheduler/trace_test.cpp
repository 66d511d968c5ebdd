// Traces: what summaries count, and files that a trace viewer can read.
#include "skua/scheduler/trace.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "graph/small_graphs.h"
#include "scheduler/plans.h"
#include "scheduler/tiny_step.h"
#include "skua/scheduler/simulator.h"

namespace skua::test {
namespace {

// Two devices with memories of their own, the second without a copy engine; every task planned on the first.
struct Fixture {
  TaskGraph graph{training_graph(adam()), 3};
  Cluster cluster{"test",
                  {{"d:0", "d", MemoryId(1), 1e9, 1e9, 1e-6, true}, {"d:1", "d", MemoryId(2), 1e9, 1e9, 1e-6, false}},
                  {{"host", 1e9}, {"m:0", 1e9}, {"m:1", 1e9}},
                  {{kHostMemory, MemoryId(1), 1e9, 1e-6},
                   {MemoryId(1), kHostMemory, 1e9, 1e-6},
                   {kHostMemory, MemoryId(2), 1e9, 1e-6},
                   {MemoryId(2), kHostMemory, 1e9, 1e-6}}};
  Plan plan{one_device_plan(graph, cluster)};
  Schedule schedule{graph, cluster, plan};
  CostTable costs{graph, cluster, CostModel()};
};

TEST(Trace, SummaryCountsByHand) {
  const Fixture fixture;
  StepTrace trace;
  trace.seconds = 10;
  trace.records.resize(fixture.schedule.task_count());
  for (std::size_t i = 0; i < trace.records.size(); ++i) {
    trace.records[i].lane = fixture.schedule.task(StepTaskId(static_cast<std::int64_t>(i))).lane;
  }
  trace.records[0] = {LaneId(0), 0, 4, 0};
  trace.records[1] = {LaneId(1), 2, 5, 100};
  trace.records[2] = {LaneId(1), 6, 7, 30};
  const TraceSummary summary = summarize(fixture.schedule, trace);
  EXPECT_EQ(summary.steals, 2);
  EXPECT_EQ(summary.bytes_copied, 130);
  ASSERT_EQ(summary.utilization.size(), 2U);
  EXPECT_DOUBLE_EQ(summary.utilization[0], 0.4);
  EXPECT_DOUBLE_EQ(summary.utilization[1], 0.4);
  ASSERT_EQ(summary.bubble.size(), 2U);
  EXPECT_DOUBLE_EQ(summary.bubble[0], 0);
  EXPECT_DOUBLE_EQ(summary.bubble[1], 0.2);
  EXPECT_DOUBLE_EQ(summary.step_bubble, 1 - 8.0 / 14);
}

// Four tasks without predecessors: two on their lane, then two stolen, by a device that thinks it over.
TEST(Trace, TaskTimesByHand) {
  const TaskGraph graph(relu_graph(), 4);
  const Cluster cluster = tiny_cluster(false);
  const Schedule schedule(graph, cluster, plan_on({0, 0, 0, 0}));
  const StepTrace trace{{{LaneId(0), 0.5, 2, 0}, {LaneId(0), 2.25, 3, 0}, {LaneId(1), 2.5, 4, 0}, {LaneId(1), 5, 6, 0}},
                        6};
  const std::vector<TaskTime> times = task_times(schedule, trace);
  ASSERT_EQ(times.size(), 4U);
  EXPECT_DOUBLE_EQ(times[0].wake_seconds, 0.5);
  EXPECT_DOUBLE_EQ(times[0].run_seconds, 1.5);
  EXPECT_DOUBLE_EQ(times[1].wake_seconds, 0);
  EXPECT_DOUBLE_EQ(times[1].run_seconds, 1);
  EXPECT_DOUBLE_EQ(times[2].wake_seconds, 0);
  EXPECT_DOUBLE_EQ(times[2].run_seconds, 1.5);
  EXPECT_DOUBLE_EQ(times[3].wake_seconds, 0);
  EXPECT_DOUBLE_EQ(times[3].run_seconds, 1);
}

TEST(Trace, ChromeTraceHasARowPerLaneAndAnEventPerTask) {
  const Fixture fixture;
  const auto rule = make_steal_rule("random");
  const StepTrace step = simulate(fixture.schedule, fixture.costs, {.steal_rule = rule.get()});
  const TraceSummary summary = summarize(fixture.schedule, step);
  ASSERT_GT(summary.steals, 0);
  const auto path = std::filesystem::temp_directory_path() / "skua_trace_test.json";
  write_chrome_trace(fixture.schedule, {step, step}, "simulated: test", path);
  const nlohmann::json trace = nlohmann::json::parse(std::ifstream(path));
  std::filesystem::remove(path);

  std::map<std::int64_t, std::string> rows;
  std::map<std::string, int> categories;
  std::map<std::int64_t, std::vector<std::pair<double, double>>> times;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("name") == "thread_name") rows[event.at("tid")] = event.at("args").at("name");
    if (event.at("ph") != "X") continue;
    ++categories[event.at("cat")];
    times[event.at("tid")].emplace_back(event.at("ts"), event.at("dur"));
  }
  EXPECT_EQ(rows.size(), fixture.schedule.lanes().size());
  EXPECT_EQ(rows.at(0), "d:0");
  EXPECT_EQ(categories["steal"], 2 * summary.steals);
  EXPECT_EQ(categories["copy"], 2 * static_cast<int>(fixture.schedule.task_count() - fixture.graph.task_count()));
  int events = 0;
  for (const auto& [category, count] : categories) events += count;
  EXPECT_EQ(events, 2 * static_cast<int>(fixture.schedule.task_count()));
  for (auto& [row, spans] : times) {  // one thing at a time in each row, over both steps
    std::sort(spans.begin(), spans.end());
    for (std::size_t i = 1; i < spans.size(); ++i) {
      EXPECT_LE(spans[i - 1].first + spans[i - 1].second, spans[i].first + 1e-6) << rows[row];
    }
  }
  EXPECT_NE(trace.dump().find("conv1 [mb 1] conv2d"), std::string::npos);
}

TEST(Trace, AFileThatCannotBeWrittenIsAnError) {
  const Fixture fixture;
  EXPECT_THROW(write_chrome_trace(fixture.schedule, {}, "none", "/nowhere/at/all.json"), std::runtime_error);
}

}  // namespace
}  // namespace skua::test
