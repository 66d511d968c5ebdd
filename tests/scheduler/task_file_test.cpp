#include "skua/scheduler/task_file.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <limits>

#include "files.h"
#include "skua/scheduler/policy.h"

namespace skua::test {
namespace {

void expect_refused(const std::string& text, const std::string& form, const std::string& part) {
  try {
    (void)TimedProblem(parse_timed_graph(text, form), timed_cluster(2));
    ADD_FAILURE() << "took " << text;
  } catch (const std::invalid_argument& error) {
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what() << "\n" << text;
  }
}

// A diamond: 1 before 2 and 3, both before 4.
void expect_diamond(const TimedGraph& graph, double copy_seconds) {
  ASSERT_EQ(graph.tasks.size(), 4U);
  double seconds = 0;
  for (const TimedTask& task : graph.tasks) EXPECT_EQ(task.seconds.at("device"), ++seconds) << task.name;
  ASSERT_EQ(graph.edges.size(), 4U);
  const std::pair<std::size_t, std::size_t> edges[] = {{0, 1}, {0, 2}, {1, 3}, {2, 3}};
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(graph.edges[i].from, edges[i].first);
    EXPECT_EQ(graph.edges[i].to, std::vector<std::size_t>{edges[i].second});
    EXPECT_EQ(graph.edges[i].bytes, copy_seconds * kTimedBytesPerSecond);
  }
}

TEST(TaskFile, ReadsTheStandardTaskGraphForm) {
  const std::string text = "  4\n 0 1 0\n 1 2 1 0\n 2 3 1 0\n 3 4 2 1 2\n# the end\n";
  expect_diamond(parse_timed_graph(text, "stg"), 0);
  EXPECT_EQ(parse_timed_graph("1\n0 0 0\n1 5 1 0\n2 0 1 1\n", "stg").tasks.size(), 3U);
  expect_refused("", "stg", "the number of tasks");
  expect_refused("x", "stg", "'x'");
  expect_refused("3\n0 1 0\n", "stg", "3 tasks");
  expect_refused("1\n0 1\n", "stg", "task 0's number of predecessors");
  expect_refused("1\n0 one 0\n", "stg", "'one'");
  expect_refused("1\n0 1 2 0\n", "stg", "a predecessor of task 0, got the end");
  expect_refused("1\n5 1 0\n", "stg", "task 0, got '5'");
  expect_refused("1\n0 -1 0\n", "stg", "-1");
  expect_refused("1\n0 nan 0\n", "stg", "seconds");
  expect_refused("1\n0 1e300 0\n", "stg", "1e+300");
  expect_refused("2\n0 1 1 1\n1 1 1 0\n", "stg", "0, 1 wait for each other");
  expect_refused("1\n0 1 1 0\n", "stg", "0 wait for each other");
  expect_refused("1\n0 1 1 7\n", "stg", "[0,1), got 7");
  expect_refused("99999999999999999999\n", "stg", "whole number");
}

TEST(TaskFile, ReadsDot) {
  const std::string text = R"(strict digraph "a graph" {
    rankdir = LR; node [shape=box]; graph [label="x"]
    a [weight=1, label="first -> \"task\""]; b [weight="2"] /* a comment; c [weight=9] */
    "c d" [weight=3.0; color=red];  // another
    e [weight=4]
    a -> b [weight=1.5]
    a -> "c d" [weight=1.5];
    edge [weight=1.5]
    b -> e; "c d" -> e
  })";
  expect_diamond(parse_timed_graph(text, "dot"), 1.5);
  const TimedGraph chain = parse_timed_graph("digraph{node[weight=2]a->b->c}", "dot");
  EXPECT_EQ(chain.tasks.size(), 3U);
  EXPECT_EQ(chain.edges.size(), 2U);
  EXPECT_EQ(chain.tasks[2].seconds.at("device"), 2);
  expect_refused("graph { a -- b }", "dot", "'digraph'");
  expect_refused("digraph { a [weight=1] ", "dot", "the end of the file");
  expect_refused("digraph { a }", "dot", "weight of node a");
  expect_refused("digraph { a [weight=x] }", "dot", "'x'");
  expect_refused("digraph { a [weight=1 ", "dot", "end of the file");
  expect_refused("digraph { \"a", "dot", "closing quote");
  expect_refused("digraph { subgraph s { a } }", "dot", "subgraph");
  expect_refused("digraph { node [weight=1] a -> }", "dot", "'}'");
  expect_refused("digraph { node [weight=1] a -> b -> a }", "dot", "a, b wait for each other");
  expect_refused("digraph { node [weight=1] a -> b [weight=-2] }", "dot", "edge from a");
  expect_refused("digraph { }", "dot", "1 task or more");
}

TEST(TaskFile, ReadsItsOwnJson) {
  const TimedGraph graph = parse_timed_graph(R"({
    "tasks": [{"name": "a", "seconds": 1, "residentBytes": 8},
              {"name": "b", "secondsByKind": {"gpu": 2, "cpu": 20}}],
    "edges": [{"from": "a", "to": ["b"], "bytes": 12}],
    "cluster": {"name": "two", "memories": [{"name": "host", "capacityBytes": 100}],
                "devices": [{"name": "x", "kind": "gpu", "flopsPerSecond": 1, "bytesPerSecond": 1}]}})",
                                             "json");
  ASSERT_EQ(graph.tasks.size(), 2U);
  EXPECT_EQ(graph.tasks[0].seconds, (std::map<std::string, double>{{"device", 1}}));
  EXPECT_EQ(graph.tasks[0].resident_bytes, 8);
  EXPECT_EQ(graph.tasks[1].seconds, (std::map<std::string, double>{{"cpu", 20}, {"gpu", 2}}));
  ASSERT_EQ(graph.edges.size(), 1U);
  EXPECT_EQ(graph.edges[0].bytes, 12);
  ASSERT_TRUE(graph.cluster);
  EXPECT_EQ(graph.cluster->device_count(), 1U);
  expect_refused("", "json", "JSON");
  expect_refused("[]", "json", "JSON");
  expect_refused("{}", "json", "1 task or more");
  expect_refused(R"({"tasks":[{"name":"a"}]})", "json", "a time");
  expect_refused(R"({"tasks":[{"name":"a","seconds":1},{"name":"a","seconds":1}]})", "json", "'a'");
  expect_refused(R"({"tasks":[{"name":"a","seconds":"NaN"}]})", "json", "nan");
  expect_refused(R"({"tasks":[{"name":"a","seconds":1}],"edges":[{"from":"a","to":["b"]}]})", "json", "'b'");
  expect_refused(R"({"tasks":[{"name":"a","seconds":1}],"edges":[{"from":"a"}]})", "json", "a reader");
  expect_refused(R"({"tasks":[{"name":"a","seconds":1}],"weights":3})", "json", "weights");
}

TEST(TaskFile, ReadsPartitioningWorkloads) {
  const std::string node =
      R"({"id":1,"cpuLatency":10,"fpgaLatency":1,"size":4,"supportedOnFpga":1,"isBackwardNode":false,"colorClass":3})";
  const std::string second =
      R"({"id":2,"cpuLatency":20,"fpgaLatency":2,"size":0,"supportedOnFpga":false,"isBackwardNode":1})";
  const std::string head = R"({"maxSizePerFPGA":16,"maxFPGAs":2,"maxCPUs":1,"nodes":[)" + node + "," + second + "],";
  const TimedGraph graph = parse_timed_graph(head + R"("edges":[{"sourceId":1,"destId":2,"cost":0.5}]})", "json");
  EXPECT_EQ(graph.tasks[0].seconds, (std::map<std::string, double>{{"accelerator", 1}, {"cpu", 10}}));
  EXPECT_EQ(graph.tasks[0].group, 3);
  EXPECT_EQ(graph.tasks[1].seconds, (std::map<std::string, double>{{"cpu", 20}}));
  EXPECT_TRUE(graph.tasks[1].backward);
  ASSERT_TRUE(graph.cluster);
  EXPECT_EQ(graph.cluster->device_count(), 3U);
  EXPECT_DOUBLE_EQ(graph.cluster->copy_seconds(graph.edges[0].bytes, MemoryId(1), kHostMemory), 0.5);
  EXPECT_DOUBLE_EQ(graph.cluster->copy_seconds(graph.edges[0].bytes, MemoryId(1), MemoryId(2)), 1);
  expect_refused(head + R"("edges":[{"sourceId":1,"destId":9,"cost":1}]})", "json", "node 9");
  expect_refused(head + R"("edges":[{"sourceId":1,"destId":2,"cost":1},{"sourceId":1,"destId":2,"cost":2}]})", "json",
                 "one cost");
  expect_refused(head + R"("edges":[{"sourceId":1,"destId":2}]})", "json", "cost");
  expect_refused(R"({"maxFPGAs":"two"})", "json", "partitioning");
  for (const std::string number : {"1e300", "-1", "1.5"}) {
    expect_refused(R"({"maxFPGAs":)" + number + R"(,"maxCPUs":1,"maxSizePerFPGA":1})", "json", "whole number");
  }
  expect_refused(R"({"maxFPGAs":0,"maxCPUs":0,"maxSizePerFPGA":1,"nodes":[],"edges":[]})", "json", "1 to 1024");
}

// Times, topological order and copies arrive in the plan: the chain a, b, c, listed backwards.
TEST(TaskFile, BecomesAProblemThatPoliciesPlan) {
  TimedGraph graph;
  graph.tasks = {{"c", {{"device", 3}}}, {"b", {{"device", 2}}}, {"a", {{"device", 1}}}};
  graph.edges = {{1, {0}, 8}, {2, {1}, 8}};
  const TimedProblem problem(graph, timed_cluster(4));
  EXPECT_EQ(problem.positions, (std::vector<std::size_t>{2, 1, 0}));
  const TaskGraph tasks(problem.graph, 1);
  EXPECT_EQ(tasks.name(TaskId(0)), "a");
  const Plan plan = plan_with("heft", tasks, timed_cluster(3), problem.costs);
  EXPECT_DOUBLE_EQ(plan.predicted_seconds, 6);
  EXPECT_DOUBLE_EQ(plan.lower_bound_seconds, 6);
  EXPECT_THROW((void)timed_cluster(0), std::invalid_argument);
  EXPECT_THROW((void)timed_cluster(1025), std::invalid_argument);
}

TEST(TaskFile, ErrorsNameTheFileInOneLine) {
  const Folder folder("task_file");
  folder.write("bad.stg", "x");
  folder.write("bad.dot", "digraph { \"two\nlines\" }");
  folder.write("bad.json", "{\"tasks\": [\n{\"name\": \"a\" 1}]}");
  std::filesystem::create_directory(folder / "folder");
  for (const std::string name : {"bad.stg", "bad.dot", "bad.json", "missing.json", "folder"}) {
    try {
      (void)load_timed_graph(folder / name);
      ADD_FAILURE() << name;
    } catch (const std::invalid_argument& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find(folder / name), std::string::npos) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
      EXPECT_EQ(name == "folder", text.ends_with("got: Is a directory")) << text;
    }
  }
}

}  // namespace
}  // namespace skua::test
