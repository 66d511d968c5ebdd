// skua calibrate, and plans by what it measured.
#include <cstdio>

#include "command.h"

namespace skua::test {
namespace {

std::string file(const std::string& name) {
  return testing::TempDir() + "skua_calibrate_" + std::to_string(getpid()) + "_" + name;
}

TEST(Calibrate, MeasuresForPlansElsewhere) {
  const std::string profile = file("profile.json");
  const std::string cluster = file("cluster.json");
  const std::string options = " --devices cpu:2 --batch 8 --steps 3 --profile " + profile;
  const nlohmann::json first = skua("calibrate mnist_cnn --json --micro-batches 2" + options).json();
  EXPECT_EQ(first["devices"], "cpu:2");
  EXPECT_TRUE(first["links"].empty());  // one memory
  const int measured = first["operators_measured"];
  EXPECT_GT(measured, 20);
  // Three samples do not divide eight; the operators of four micro-batches are others than those of two.
  const std::string more = "calibrate mnist_cnn --json --micro-batches 3,4 --cluster " + cluster + options;
  EXPECT_GT(skua(more).json()["operators_measured"], measured);
  const std::string plan =
      "plan mnist_cnn --json --policy data_parallel --batch 8 --micro-batches 2 --cluster " + cluster;
  const nlohmann::json by_profile = skua(plan + " --profile " + profile).json();
  const nlohmann::json by_roofline = skua(plan).json();
  EXPECT_GT(by_profile["makespan_seconds"], 0);
  EXPECT_NE(by_profile["makespan_seconds"], by_roofline["makespan_seconds"]);
  std::remove(profile.c_str());
  std::remove(cluster.c_str());
}

TEST(Calibrate, BadOptionsAreRefused) {
  const std::string profile = " --profile " + file("none.json");
  expect_refused("calibrate mnist_cnn", {"--profile"});
  expect_refused("calibrate mnist_cnn --steps 2" + profile, {"--steps", "3"});
  expect_refused("calibrate mnist_cnn --devices moon:1" + profile, {"[devices]", "moon:1"});
  expect_refused("calibrate mnist_cnn --micro-batches auto" + profile, {"[--micro-batches]", "auto"});
  expect_refused("calibrate nothing" + profile, {"nothing"});
  expect_refused("calibrate mnist_cnn --profile /nowhere/profile.json", {"[--profile]", "/nowhere/profile.json"});
}

}  // namespace
}  // namespace skua::test
