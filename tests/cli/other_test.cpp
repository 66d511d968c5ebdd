// skua devices, policies, plan, simulate and bench, from the outside.
#include "cli/command.h"

namespace skua::test {
namespace {

TEST(Command, EverySubcommandExplainsItself) {
  for (const char* name : {"", "devices", "policies", "train", "plan", "simulate", "schedule", "bench", "bench speedup",
                           "bench fidelity", "bench policies", "bench planning"}) {
    const Outcome outcome = skua(std::string(name) + " --help");
    EXPECT_EQ(outcome.status, 0) << name;
    EXPECT_NE(outcome.out.find("--help"), std::string::npos) << name;
  }
  EXPECT_EQ(skua("").status, 2);
}

TEST(Command, ListsDevicesAndPolicies) {
  const nlohmann::json devices = skua("devices --json").json();
  EXPECT_GE(devices.at("devices").size(), 1U);
  EXPECT_EQ(devices.at("devices")[0].at("name"), "cpu:0");
  EXPECT_GE(devices.at("presets").size(), 4U);
  const nlohmann::json policies = skua("policies --json").json();
  std::string names;
  for (const auto& policy : policies.at("policies")) {
    names += policy.at("name").get<std::string>() + " ";
    EXPECT_FALSE(policy.at("description").get<std::string>().empty());
  }
  EXPECT_EQ(names,
            "single round_robin data_parallel gpipe 1f1b greedy heft cpop peft etf m_etf m_sct linear integer convex "
            "annealing "
            "genetic exact replay auto ");
  EXPECT_NE(skua("policies").out.find("heft"), std::string::npos);
  EXPECT_NE(skua("devices").out.find("h100x8-nvlink"), std::string::npos);
}

TEST(Plan, JsonIsSimulatedAndAboveTheLowerBound) {
  for (const char* cluster : {"cpu:2", "a100x4-pcie"}) {
    for (const char* policy : {"single", "data_parallel", "heft", "auto"}) {
      const nlohmann::json plan = skua(std::string("plan mnist_cnn --json --micro-batches 4 --placements --cluster ") +
                                       cluster + " --policy " + policy)
                                      .json();
      EXPECT_EQ(plan.at("cluster"), cluster);
      EXPECT_EQ(plan.at("simulated"), true);
      EXPECT_EQ(plan.at("valid"), true);
      EXPECT_EQ(plan.at("policy").get<std::string>().rfind(policy, 0), 0U);
      const double makespan = plan.at("makespan_seconds");
      const double bound = plan.at("lower_bound");
      EXPECT_GE(makespan, bound * 0.999999);
      EXPECT_NEAR(plan.at("gap_percent").get<double>(), (makespan / bound - 1) * 100, 1e-6);
      EXPECT_GE(plan.at("planning_seconds"), 0);
      EXPECT_GT(plan.at("peak_bytes").size(), 1U);
      EXPECT_EQ(plan.at("placements").size(), plan.at("tasks"));
    }
  }
}

TEST(Simulate, APlanFileGivesThePlansTime) {
  const Folder folder("simulate");
  for (const std::string name : {"plan.json", "plan.bin"}) {
    const nlohmann::json plan =
        skua("plan mnist_cnn --json --cluster cpu:2 --micro-batches 4 --out " + folder / name).json();
    const nlohmann::json simulated = skua("simulate " + folder / name + " --json --cluster cpu:2").json();
    EXPECT_EQ(simulated.at("makespan_seconds"), plan.at("makespan_seconds"));
    EXPECT_EQ(simulated.at("micro_batches"), 4);
  }
  expect_refused("simulate " + folder / "plan.bin" + " --cluster cpu:3", {"[plan]"});
  expect_refused("simulate " + folder / "plan.bin" + " --batch 64", {"[plan]", "another"});
  expect_refused("simulate " + folder / "plan.bin" + " --micro-batches 8", {"[plan]", "8 micro-batches"});
  expect_refused("simulate " + folder / "plan.bin" + " --policy heft", {"--policy", "replay", "heft"});
  expect_refused("plan mnist_cnn --policy heft --plan " + folder / "plan.bin", {"--policy", "replay", "heft"});
  std::ofstream(folder / "plan.bin", std::ios::binary | std::ios::app) << "x";
  expect_refused("simulate " + folder / "plan.bin" + " --cluster cpu:2", {"plan.bin"});
}

TEST(Simulate, StragglersNoiseAndStealing) {
  const std::string base = "simulate mnist_cnn --json --cluster cpu:2 --policy data_parallel --micro-batches 16 ";
  const double planned = skua(base).json().at("makespan_seconds");
  const double slow = skua(base + "--straggler cpu:1:2").json().at("makespan_seconds");
  EXPECT_NEAR(slow, 2 * planned, 0.1 * planned);
  const nlohmann::json stolen = skua(base + "--straggler 1:2 --stealing cost").json();
  EXPECT_GT(stolen.at("steals"), 0);
  EXPECT_LT(stolen.at("makespan_seconds"), 0.9 * slow);
  const nlohmann::json both = skua(base + "--straggler 0:2 --straggler 1:2").json();
  EXPECT_NEAR(both.at("makespan_seconds").get<double>(), 2 * planned, 1e-6 * planned);
  const nlohmann::json noisy = skua(base + "--noise 0.2 --cost-error 0.1 --seeds 7").json();
  EXPECT_LT(noisy.at("least_seconds"), noisy.at("most_seconds"));
  nlohmann::json again = skua(base + "--noise 0.2 --cost-error 0.1 --seeds 7").json();
  again["planning_seconds"] = noisy.at("planning_seconds");
  EXPECT_EQ(again, noisy);
}

TEST(Command, BadInputIsRefused) {
  expect_refused("plan mnist_cnn --cluster tpu", {"tpu"});
  expect_refused("plan mnist_cnn --cluster cpu:0", {"cpu:0"});
  expect_refused("plan mnist_cnn --policy best", {"best"});
  expect_refused("plan mnist_cnn --policy replay", {"plan file"});
  expect_refused("plan mnist_cnn --profile /nowhere", {"/nowhere"});
  expect_refused("plan mnist_cnn --out /nowhere/plan", {"--out", "/nowhere/plan"});
  expect_refused("plan mnist_cnn --batch 0", {"batch"});
  expect_refused("simulate nothing", {"nothing"});
  expect_refused("simulate mnist_cnn --straggler cpu:9:2", {"--straggler", "cpu:9:2"});
  for (const std::string straggler : {"cpu:1:0", "cpu:1:inf", "cpu:1:2x", "cpu:1:", "2"}) {
    expect_refused("simulate mnist_cnn --straggler " + straggler, {"--straggler", "'" + straggler + "'"});
  }
  expect_refused("simulate mnist_cnn --noise -1", {"--noise"});
  expect_refused("simulate mnist_cnn --seeds 0", {"--seeds"});
  expect_refused("simulate mnist_cnn --stealing often", {"often"});
  expect_refused("bench speedup mnist_cnn --devices 1,0", {"--devices", "'0'"});
  expect_refused("bench speedup mnist_cnn --devices two", {"--devices", "'two'"});
  expect_refused("policies extra", {"extra"});
  expect_refused("bench speedup mnist_cnn --steps 3", {"--steps"});
  expect_refused("bench flight", {"flight"});
}

TEST(Command, UnwritableOutputFails) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  const int status = std::system(SKUA_COMMAND " policies >/dev/full 2>/dev/null");
  EXPECT_EQ(WEXITSTATUS(status), 1);
  const Outcome outcome = skua("simulate mnist_cnn --micro-batches 2 --trace /dev/full");
  EXPECT_EQ(outcome.status, 1);
  EXPECT_NE(outcome.err.find("/dev/full"), std::string::npos) << outcome.err;
}

// A cluster file may name its devices as it likes.
TEST(Simulate, ReportAndTraceShowTheClusterUnharmed) {
  const Folder folder("report");
  std::ofstream(folder / "cluster.json")
      << R"({"name": "<script>&", "memories": [{"name": "host", "capacityBytes": 1e9}],
    "devices": [{"name": "<b>fast\"", "kind": "a", "flopsPerSecond": 1e10, "bytesPerSecond": 1e10},
                {"name": "slow", "kind": "b", "flopsPerSecond": 5e9, "bytesPerSecond": 5e9}]})";
  const nlohmann::json result =
      skua("simulate mnist_cnn --json --micro-batches 16 --policy round_robin --stealing cost --cluster " +
           folder / "cluster.json" + " --report " + folder / "r.html" + " --trace " + folder / "t.json")
          .json();
  EXPECT_EQ(result.at("cluster"), "<script>&");
  EXPECT_GT(result.at("steals"), 0);  // round robin halves the work, the slow device takes twice as long
  const std::string page = content_of(folder / "r.html");
  for (const char* raw : {"<script", "<b>", "http:", "https:"}) EXPECT_EQ(page.find(raw), std::string::npos) << raw;
  EXPECT_NE(page.find("simulated: &lt;script&gt;&amp;"), std::string::npos);
  EXPECT_NE(page.find("&lt;b&gt;fast&quot;"), std::string::npos);
  EXPECT_NE(page.find("<rect class=\"steal\""), std::string::npos);
  const nlohmann::json trace = nlohmann::json::parse(content_of(folder / "t.json"));
  std::vector<std::string> rows;
  for (const auto& event : trace.at("traceEvents")) {
    if (event.at("name") == "thread_name") rows.push_back(event.at("args").at("name"));
  }
  EXPECT_EQ(rows, (std::vector<std::string>{"<b>fast\"", "slow"}));
}

// What is measured here is not asserted: that belongs to benchmarks.
TEST(Bench, GivesOneResultPerSide) {
  const std::string quick = " mnist_cnn --batch 8 --micro-batches 2 --devices 1,2 --steps 20 --repeats 2 --json";
  const nlohmann::json speedup = skua("bench speedup" + quick).json();
  ASSERT_EQ(speedup.at("results").size(), 2U);
  EXPECT_EQ(speedup.at("results")[0].at("speedup"), 1);
  EXPECT_EQ(speedup.at("results")[1].at("devices"), "cpu:2");
  EXPECT_EQ(speedup.at("results")[1].at("speedup_by_repeat").size(), 2U);
  const nlohmann::json fidelity = skua("bench fidelity" + quick).json();
  for (const auto& side : fidelity.at("results")) {
    EXPECT_GT(side.at("measured_ms"), 0);
    EXPECT_GT(side.at("simulated_ms"), 0);
    EXPECT_EQ(side.at("error_percent_by_repeat").size(), 2U);
  }
}

}  // namespace
}  // namespace skua::test
