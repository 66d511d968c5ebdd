// The cost model: roofline by hand, medians, profile files.
#include "skua/scheduler/cost_model.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "graph/small_graphs.h"
#include "scheduler/tiny_step.h"

namespace skua::test {
namespace {

const DeviceSpec kDevice{"d", "k", kHostMemory, 100, 10, 0.5, false};
const CostKey kKey{"key", 400, 20};  // 4 s of work, 2 s of bytes

std::string temporary(const std::string& name) {
  return (std::filesystem::path(testing::TempDir()) / ("skua_profile_" + name)).string();
}

TEST(CostModel, RooflineByHand) {
  EXPECT_DOUBLE_EQ(CostModel::roofline_seconds(kKey, kDevice), 0.5 + 4);
  EXPECT_DOUBLE_EQ(CostModel::roofline_seconds({"", 100, 90}, kDevice), 0.5 + 9);
  EXPECT_DOUBLE_EQ(CostModel::roofline_seconds({}, kDevice), 0.5);
}

TEST(CostModel, MedianFromTheThirdSampleOn) {
  CostModel model;
  model.observe("key", "k", 7);
  model.observe("key", "k", 9);
  EXPECT_DOUBLE_EQ(model.seconds(kKey, kDevice), 4.5);
  model.observe("key", "k", 8);
  EXPECT_DOUBLE_EQ(model.seconds(kKey, kDevice), 8);
  model.observe("key", "k", 10);
  EXPECT_DOUBLE_EQ(model.seconds(kKey, kDevice), 8.5);
  EXPECT_DOUBLE_EQ(model.seconds({"other", 400, 20}, kDevice), 4.5);
  DeviceSpec other = kDevice;
  other.kind = "other";
  EXPECT_DOUBLE_EQ(model.seconds(kKey, other), 4.5);
  EXPECT_EQ(model.measured_count(), 1U);
}

TEST(CostModel, WakesAreMeasuredByKind) {
  CostModel model;
  for (const double seconds : {3e-6, 5e-6}) model.observe_wake("k", seconds);
  EXPECT_EQ(model.wake_seconds("k"), 0);
  model.observe_wake("k", 4e-6);
  EXPECT_DOUBLE_EQ(model.wake_seconds("k"), 4e-6);
  EXPECT_EQ(model.wake_seconds("other"), 0);
  const std::string path = temporary("wake.json");
  model.save(path);
  EXPECT_EQ(CostModel::load(path).wake_seconds("k"), model.wake_seconds("k"));
  std::filesystem::remove(path);
  const TaskGraph graph(chain_graph(), 1);
  const Cluster cluster("mixed", {{"a", "other", kHostMemory, 1, 1, 0, false}, {"b", "k", kHostMemory, 1, 1, 0, false}},
                        {{"host", 1e9}}, {});
  const CostTable costs(graph, cluster, model);
  EXPECT_EQ(costs.wake_seconds(DeviceId(0)), 0);
  EXPECT_DOUBLE_EQ(costs.wake_seconds(DeviceId(1)), 4e-6);
}

TEST(CostModel, OutliersChangeNothing) {
  CostModel model;
  for (int i = 0; i < 5; ++i) model.observe("key", "k", 2);
  for (int i = 0; i < 4; ++i) model.observe("key", "k", 1e9);
  EXPECT_DOUBLE_EQ(model.seconds(kKey, kDevice), 2);
  for (const double bad : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    for (int i = 0; i < 50; ++i) model.observe("key", "k", bad);
  }
  model.observe("new", "k", -1);
  EXPECT_DOUBLE_EQ(model.seconds(kKey, kDevice), 2);
  EXPECT_EQ(model.measured_count(), 1U);
}

TEST(CostModel, ForgetsOldSamples) {
  CostModel model;
  for (int i = 0; i < 1000; ++i) model.observe("key", "k", 1);
  for (std::size_t i = 0; i < CostModel::kKeptSamples / 2; ++i) model.observe("key", "k", 3);
  EXPECT_DOUBLE_EQ(model.seconds(kKey, kDevice), 1);
  model.observe("key", "k", 3);
  EXPECT_DOUBLE_EQ(model.seconds(kKey, kDevice), 3);
}

TEST(CostModel, ProfilesComeBackAndCanBeMoved) {
  const std::string path = temporary("round_trip.json");
  CostModel model;
  for (const double seconds : {0.1, 0.3, 1.0 / 3, 5.0}) model.observe("key", "k", seconds);
  for (int i = 0; i < 3; ++i) model.observe("a \"b\"{}\n", "other", 2e-7);
  model.observe("once", "k", 1);  // not in force, so not kept
  model.save(path);
  CostModel loaded = CostModel::load(path);
  EXPECT_EQ(loaded.measured_count(), 2U);
  DeviceSpec other = kDevice;
  other.kind = "other";
  EXPECT_EQ(loaded.seconds(kKey, kDevice), model.seconds(kKey, kDevice));
  EXPECT_EQ(loaded.seconds({"a \"b\"{}\n", 0, 0}, other), 2e-7);
  for (int i = 0; i < 2; ++i) loaded.observe("key", "k", 50);
  EXPECT_EQ(loaded.seconds(kKey, kDevice), model.seconds(kKey, kDevice));
  for (int i = 0; i < 2; ++i) loaded.observe("key", "k", 50);
  EXPECT_EQ(loaded.seconds(kKey, kDevice), 50);
  loaded.save(path);
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_NE(text.str().find("\"samples\": \"8\""), std::string::npos) << text.str();  // 4 before, 4 after
  std::filesystem::remove(path);
  EXPECT_THROW(model.save(temporary("no_folder/x.json")), std::runtime_error);
}

TEST(CostModel, DamagedProfilesAreNamed) {
  const std::string path = temporary("damaged.json");
  const auto time = [](const char* seconds) {
    return fmt::format(R"({{"signature":"s","deviceKind":"k","medianSeconds":{},"samples":"3"}})", seconds);
  };
  const std::pair<std::string, std::string> cases[] = {
      {"{\"times\": [", "expected a profile in JSON"},
      {"[]", "expected a profile in JSON"},
      {"{\"times\": [" + time("0") + "]}", "expected a finite time above 0 for s on k, got 0"},
      {"{\"times\": [" + time("-1") + "]}", "expected a finite time above 0 for s on k, got -1"},
      {"{\"times\": [" + time("\"NaN\"") + "]}", "expected a finite time above 0 for s on k, got nan"},
      {"{\"times\": [" + time("1") + "," + time("2") + "]}", "expected one time for s on k, got two"},
  };
  for (const auto& [text, what] : cases) {
    std::ofstream(path) << text;
    const std::string message = message_of([&] { (void)CostModel::load(path); });
    EXPECT_TRUE(message.starts_with("[profile " + path + "] " + what)) << message;
  }
  std::filesystem::remove(path);
  EXPECT_EQ(message_of([&] { (void)CostModel::load(path); }),
            "[profile " + path + "] expected a readable file, got: No such file or directory");
}

TEST(CostTable, AnswersForTasksAndDevices) {
  const TaskGraph graph(chain_graph(), 2);
  const Cluster cluster("mixed",
                        {{"a", "k", kHostMemory, 1, 1, 0, false}, {"b", "slow", kHostMemory, 1, 800, 0.25, false}},
                        {{"host", 1e9}}, {});
  const CostTable costs(graph, cluster, tiny_costs(graph));
  const TaskId sigmoid(3 + 1);                               // of micro-batch 1
  EXPECT_DOUBLE_EQ(costs.seconds(sigmoid, DeviceId(0)), 2);  // measured on kind k
  const CostKey& key = graph.cost_keys()[graph.task(sigmoid).cost_key.index()];
  const double roofline = 0.25 + std::max(key.flops, 8000.0 / 800);
  EXPECT_DOUBLE_EQ(costs.seconds(sigmoid, DeviceId(1)), roofline);
  EXPECT_DOUBLE_EQ(costs.fastest_seconds(sigmoid), 2);
  EXPECT_DOUBLE_EQ(costs.mean_seconds(sigmoid), (2 + roofline) / 2);
  const Cluster two = tiny_cluster(true);
  EXPECT_DOUBLE_EQ(CostTable(graph, two, {}).copy_seconds(DatumId(0), MemoryId(0), MemoryId(1)), kCopySeconds);
}

}  // namespace
}  // namespace skua::test
