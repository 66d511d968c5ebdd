// skua schedule, bench policies and bench planning, from the outside.
#include <fstream>

#include <map>
#include <regex>
#include <set>

#include "cli/command.h"

namespace skua::test {
namespace {

// a (2 s) before b (3 s) and c (4 s): on two devices 6 s, on one 9 s.
void write_fork(const std::string& path) {
  std::ofstream(path) << "digraph { a [weight=2] b [weight=3] c [weight=4] a -> b a -> c }";
}

TEST(ScheduleCommand, GivesMakespanBoundAndGap) {
  const Folder folder("schedule");
  write_fork(folder / "fork.dot");
  const nlohmann::json two =
      skua("schedule " + folder / "fork.dot" + " --json --placements --policy exact --gantt " + folder / "g.svg")
          .json();
  EXPECT_NEAR(two.at("makespan_seconds"), 6, 1e-6);
  EXPECT_NEAR(two.at("lower_bound"), 6, 1e-6);
  EXPECT_NEAR(two.at("gap_percent"), 0, 1e-6);
  EXPECT_EQ(two.at("policy"), "exact");
  EXPECT_EQ(two.at("simulated"), true);
  EXPECT_EQ(two.at("valid"), true);
  EXPECT_EQ(two.at("tasks"), 3);
  ASSERT_EQ(two.at("placements").size(), 3U);
  EXPECT_EQ(two.at("placements")[0].at("task"), "a");
  EXPECT_NE(two.at("placements")[1].at("device"), two.at("placements")[2].at("device"));
  EXPECT_EQ(content_of(folder / "g.svg").rfind("<svg xmlns=", 0), 0U);
  const nlohmann::json one =
      skua("schedule " + folder / "fork.dot" + " --json --devices 1 --gantt " + folder / "g.html").json();
  EXPECT_NEAR(one.at("makespan_seconds"), 9, 1e-6);
  EXPECT_EQ(content_of(folder / "g.html").rfind("<!doctype html>", 0), 0U);
  EXPECT_NE(skua("schedule " + folder / "fork.dot").out.find("makespan"), std::string::npos);
}

TEST(ScheduleCommand, SplitsPipelines) {
  const Folder folder("max_load");
  const auto node = [](int id) {
    return R"({"supportedOnFpga":1,"cpuLatency":30,"fpgaLatency":3,"isBackwardNode":0,"size":0,"id":)" +
           std::to_string(id) + "}";
  };
  std::ofstream(folder / "w.json")
      << R"({"maxSizePerFPGA":1,"maxFPGAs":2,"maxCPUs":1,"nodes":[)" << node(1) << "," << node(2) << "," << node(3)
      << R"(],"edges":[{"sourceId":1,"destId":2,"cost":1},{"sourceId":2,"destId":3,"cost":2}]})";
  const nlohmann::json split = skua("schedule " + folder / "w.json" + " --objective max-load --json").json();
  EXPECT_NEAR(split.at("max_load"), 7, 1e-5);  // 1 | 2, 3: two times, and 1 in
  EXPECT_NEAR(split.at("lower_bound"), 7, 1e-5);
  EXPECT_NEAR(split.at("loads").at("cpu:0"), 0, 1e-9);
  EXPECT_NE(skua("schedule " + folder / "w.json" + " --objective max-load").out.find("of pipelines"),
            std::string::npos);
}

TEST(ScheduleCommand, BadInputIsRefused) {
  const Folder folder("schedule_bad");
  write_fork(folder / "fork.dot");
  expect_refused("schedule missing.stg", {"missing.stg"});
  expect_refused("schedule " + folder / "fork.dot" + " --devices 0", {"--devices"});
  expect_refused("schedule " + folder / "fork.dot" + " --devices 2 --cluster cpu:2", {"both"});
  expect_refused("schedule " + folder / "fork.dot" + " --policy best", {"'best'"});
  expect_refused("schedule " + folder / "fork.dot" + " --objective profit", {"profit"});
  std::ofstream(folder / "gpu.json") << R"({"tasks":[{"name":"a","secondsByKind":{"gpu":1}}]})";
  expect_refused("schedule " + folder / "gpu.json" + " --cluster cpu:2", {"[a]", "cpu:2"});
  std::ofstream(folder / "cycle.dot") << "digraph { node [weight=1] a -> b -> a }";
  expect_refused("schedule " + folder / "cycle.dot", {"cycle"});
}

TEST(BenchPolicies, GivesATableOfSimulatedSteps) {
  const Folder folder("bench_policies");
  const nlohmann::json table = skua(
                                   "bench policies --models mnist_cnn --clusters cpu:1,cpu:2 --policies "
                                   "single,heft,1f1b --micro-batches 2 --json --csv " +
                                   folder / "t.csv" + " --report " + folder / "t.html")
                                   .json();
  ASSERT_EQ(table.at("results").size(), 6U);
  EXPECT_EQ(table.at("simulated"), true);
  for (const auto& row : table.at("results")) {
    EXPECT_GE(row.at("gap_percent"), 0);
    if (row.at("policy") == "single") {
      EXPECT_EQ(row.at("speedup"), 1);
    }
    if (row.at("cluster") == "cpu:2" && row.at("policy") == "heft") {
      EXPECT_GT(row.at("speedup"), 1.5);
    }
  }
  const std::string csv = content_of(folder / "t.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 7);
  const std::string page = content_of(folder / "t.html");
  EXPECT_NE(page.find("<h2>Speed-up of mnist_cnn on cpu, simulated</h2>"), std::string::npos);
  EXPECT_NE(page.find("<h2>mnist_cnn on cpu:1: single, 2 micro-batches, "), std::string::npos);
  EXPECT_NE(page.find("<h2>mnist_cnn on cpu:2: heft, 2 micro-batches, "), std::string::npos);
  EXPECT_NE(page.find("<td>mnist_cnn</td><td>cpu:2</td><td>1f1b</td><td>2</td>"), std::string::npos);
  expect_refused("bench policies --models nope", {"'nope'"});
  expect_refused("bench policies --clusters nope", {"nope"});
  expect_refused("bench policies --policies nope", {"'nope'"});
}

// Every policy there is, told apart in the key as in the drawing.
TEST(BenchPolicies, TheKeyShowsEveryCurveInItsOwnWay) {
  const Folder folder("bench_policies_key");
  const nlohmann::json table = skua(
                                   "bench policies --models mlp --clusters cpu:1 --micro-batches 1 --plan-seconds 0.01 "
                                   "--json --report " +
                                   folder / "t.html")
                                   .json();
  const std::string page = content_of(folder / "t.html");
  const std::regex in_key("<path class=\"curve\" style=\"([^\"]*)\" d=\"M0 6H44\"/></svg>([a-z0-9_]+)</span>");
  std::map<std::string, std::string> styles;  // by policy
  for (std::sregex_iterator match(page.begin(), page.end(), in_key), end; match != end; ++match) {
    styles[(*match)[2]] = (*match)[1];
  }
  std::set<std::string> different;
  for (const auto& [policy, style] : styles) {
    different.insert(style);
    EXPECT_NE(page.find("style=\"" + style + "\" d=\"M"), std::string::npos) << policy;
  }
  EXPECT_EQ(styles.size(), table.at("results").size());
  EXPECT_EQ(different.size(), styles.size());
}

TEST(BenchPlanning, GivesSecondsBySizeAndPolicy) {
  const nlohmann::json table = skua("bench planning --sizes 30,60 --policies single,heft --devices 3 --json").json();
  ASSERT_EQ(table.at("results").size(), 4U);
  for (const auto& row : table.at("results")) {
    EXPECT_GT(row.at("planning_seconds"), 0);
    EXPECT_GE(row.at("makespan_seconds").get<double>(), row.at("lower_bound").get<double>() * 0.999999);
  }
  EXPECT_EQ(table.at("results")[2].at("tasks"), 60);
  EXPECT_EQ(table.at("results")[3].at("policy"), "heft");
  expect_refused("bench planning --policies nope", {"'nope'"});
  expect_refused("bench planning --sizes 0", {"--sizes", "'0'"});
}

TEST(ConstraintsOption, IsKeptToByPlansTrainingAndSchedules) {
  const Folder folder("constraints");
  const std::string file = folder.write("c.json", R"({"pins": [{"layer": "dense2", "devices": ["cpu:1"]}],
    "limits": [{"device": "cpu:0", "busySeconds": 0.5}]})");
  const nlohmann::json plan =
      skua(
          "plan mnist_cnn --cluster cpu:2 --micro-batches 2 --policy data_parallel --placements --json --constraints " +
          file)
          .json();
  int pinned = 0;
  for (const auto& placement : plan.at("placements")) {
    const std::string task = placement.at("task");
    if (task.rfind("dense2.", 0) != 0 && task.rfind("dense2 ", 0) != 0) continue;
    EXPECT_EQ(placement.at("device"), "cpu:1") << task;
    ++pinned;
  }
  EXPECT_GE(pinned, 6);  // forward and backward for each micro-batch, and two updates
  const std::string train = "train mnist_cnn --devices cpu:2 --steps 3 --micro-batches 2 --stealing random --json ";
  const nlohmann::json free = skua(train).json();
  const nlohmann::json kept = skua(train + "--constraints " + file).json();
  EXPECT_EQ(kept.at("weights_sha256"), free.at("weights_sha256"));

  const std::string graph = folder.write("g.stg", "2\n0 3 0\n1 4 0\n");
  const std::string together = folder.write("t.json", R"({"colocations": [{"layers": ["0", "1"]}]})");
  EXPECT_NEAR(skua("schedule " + graph + " --json").json().at("makespan_seconds"), 4, 1e-6);
  EXPECT_NEAR(skua("schedule " + graph + " --json --constraints " + together).json().at("makespan_seconds"), 7, 1e-6);
}

TEST(ConstraintsOption, IsRefusedInOneLineWhereItCannotBeKept) {
  const Folder folder("refused");
  const auto refused = [&](const std::string& constraints, const std::vector<std::string>& parts) {
    const std::string file = folder.write("c.json", constraints);
    for (const char* command : {"plan mnist_cnn --cluster cpu:2", "train mnist_cnn --devices cpu:2 --steps 1"}) {
      expect_refused(std::string(command) + " --policy heft --micro-batches 2 --constraints " + file, parts);
    }
  };
  refused(R"({"pins": [{"layer": "denze2", "devices": ["cpu:1"]}]})", {"[pin]", "expected a layer", "'denze2'"});
  refused(R"({"pins": [{"layer": "dense2", "devices": ["cuda:0"]}]})", {"[pin dense2]", "'cuda:0'"});
  refused(R"({"deadlines": [{"layer": "dense2", "seconds": 1e-9}]})",
          {"[policy heft]", "dense2", "to end within 1e-09 s"});
  refused(R"({"limits": [{"device": "cpu:0", "busySeconds": 1e-9}, {"device": "cpu:1", "busySeconds": 1e-9}]})",
          {"expected a device of cpu:2"});
  refused(R"({"pins": 3})", {"expected constraints in JSON"});
  expect_refused("plan mnist_cnn --constraints " + folder / "none.json", {"none.json"});
  const std::string graph = folder.write("g.stg", "2\n0 3 0\n1 4 0\n");
  const std::string pins = folder.write("p.json", R"({"pins": [{"layer": "0", "devices": ["device:0"]}]})");
  expect_refused("schedule " + graph + " --objective max-load --constraints " + pins, {"limits of memory"});
}

}  // namespace
}  // namespace skua::test
