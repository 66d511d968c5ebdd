// skua bench models: the table's figures, and a peer that is a script.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>

#include "command.h"

namespace skua::test {
namespace {

std::string file(const std::string& name) {
  return testing::TempDir() + "skua_bench_models_" + std::to_string(getpid()) + "_" + name;
}

TEST(BenchModels, MeasuresBothSidesAndTheFloor) {
  const std::string peer = file("peer.sh");
  const std::string csv = file("table.csv");
  // Some options are faster than others; what it is asked for comes back as it should. A process that does not warm up
  // holds 64 MB, and asks for one step fewer, which is that before the timed ones.
  std::ofstream(peer)
      << "case \"$*\" in *--trace*) ms=7.5;; *) ms=80;; esac\n"
         "case \"$*\" in *'--steps 4 '*'--warmup 0'*) held=$(head -c 64000000 /dev/zero | tr '\\0' x);; "
         "*--warmup*) exit 1;; esac\n"
         "echo \"RESULT model=x args=$* median_ms=$ms p10_ms=1\"\n";
  const nlohmann::json object =
      skua("bench models --json --models cnn --devices 1 --rounds 2 --steps 3 --python sh --peer " + peer + " --csv " +
           csv)
          .json();
  ASSERT_EQ(object["rows"].size(), 2U);
  for (const nlohmann::json& row : object["rows"]) {
    EXPECT_EQ(row["model"], "cnn");
    EXPECT_GT(row["median_step_ms"], 0);
    EXPECT_EQ(row["rounds_ms"].size(), 2U);
    EXPECT_EQ(row["peer_median_step_ms"], 7.5);
    EXPECT_NE(row["peer_options"].get<std::string>().find("--trace"), std::string::npos);
    EXPECT_GT(row["peer_peak_bytes"], 64e6);
    EXPECT_LT(row["peer_peak_bytes"], 1e9);
    EXPECT_GT(row["first_step_seconds"], row["median_step_ms"].get<double>() / 1e3);
    EXPECT_DOUBLE_EQ(row["ratio"], 7.5 / row["median_step_ms"].get<double>());
    double shares = 0;
    for (const auto& [kind, share] : row["shares"].items()) shares += share.get<double>();
    EXPECT_NEAR(shares, 1, 1e-9);
    EXPECT_GT(row["shares"]["convolution"], 0);
    double gflop = 0;
    double floor_ms = 0;
    double longest = std::numeric_limits<double>::infinity();
    for (const nlohmann::json& time : row["operators"]) {
      EXPECT_LE(time["ms"], longest);
      longest = time["ms"];
      gflop += time["gflop"].get<double>();
      floor_ms += time["floor_ms"].get<double>();
      EXPECT_NEAR(time["floor_ms"],
                  1e3 * std::max(time["gflop"].get<double>() / row["limit_gflops"].get<double>(),
                                 time["gbytes"].get<double>() / row["limit_gbytes_per_second"].get<double>()),
                  1e-9);
    }
    EXPECT_NEAR(gflop, row["gflop_per_step"], 1e-9);
    EXPECT_NEAR(floor_ms, row["floor_ms"], 1e-6);
    EXPECT_EQ(row["operators"][0]["type"].get<std::string>().rfind("conv2d", 0), 0U);
  }
  // Multiplications and additions of the CNN's forward pass by hand, times the batch and at most three passes.
  const double forward = 2.0 * (26 * 26 * 32 * 9 + 11 * 11 * 64 * 32 * 9 + 3 * 3 * 64 * 64 * 9 + 576 * 64 + 640) / 1e9;
  EXPECT_GT(object["rows"][0]["gflop_per_step"], 2 * 32 * forward);
  EXPECT_LT(object["rows"][0]["gflop_per_step"], 1.05 * 3 * 32 * forward);
  // The weights with gradients and two moments, and the data: eight batches of images. More rows, more memory.
  const double weights = 4 * 4.0 * (32 * 10 + 64 * 289 + 64 * 577 + 64 * 577 + 650);
  for (const nlohmann::json& row : object["rows"]) {
    EXPECT_GT(row["peak_bytes"], weights + 8 * 4.0 * row["batch"].get<double>() * 784);
    EXPECT_LT(row["peak_bytes"], 1e9);
  }
  EXPECT_GT(object["rows"][1]["peak_bytes"], object["rows"][0]["peak_bytes"].get<double>() + 8 * 4 * 96.0 * 784);
  EXPECT_EQ(content_of(csv).rfind("model,batch,cores", 0), 0U);
  EXPECT_NE(content_of(csv).find("peak MB,peer MB,first step s"), std::string::npos);
  std::remove(peer.c_str());
  std::remove(csv.c_str());
}

TEST(BenchModels, BadOptionsAndPeersAreRefused) {
  expect_refused("bench models --models vgg", {"[model]", "vgg"});
  expect_refused("bench model vgg", {"[model]", "vgg"});
  expect_refused("bench models --peer /nowhere.py", {"[--peer]", "/nowhere.py"});
  expect_refused("bench models --csv /nowhere/table.csv", {"[--csv]"});
  const std::string peer = file("broken.sh");
  std::ofstream(peer) << "echo no such module; exit 1\n";
  const Outcome outcome = skua("bench models --models cnn --devices 1 --rounds 1 --steps 3 --python sh --peer " + peer);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.err.find("no such module"), std::string::npos) << outcome.err;
  std::remove(peer.c_str());
}

TEST(BenchModels, ListsTheLongestOperators) {
  const Outcome outcome = skua("bench models --models cnn --devices 1 --rounds 1 --steps 3 --operators 2");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  std::size_t listed = 0;
  for (std::size_t at = outcome.out.find("conv2d"); at != std::string::npos; at = outcome.out.find("conv2d", at + 1)) {
    ++listed;
  }
  EXPECT_EQ(listed, 4U) << outcome.out;  // two of each of two batches, all convolutions
  EXPECT_EQ(outcome.out.find("pool1"), std::string::npos);
}

}  // namespace
}  // namespace skua::test
