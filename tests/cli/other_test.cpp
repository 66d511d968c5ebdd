// skua devices, policies, plan, simulate and bench, from the outside.
#include "cli/command.h"

namespace skua::test {
namespace {

TEST(Command, EverySubcommandExplainsItself) {
  for (const char* name :
       {"", "devices", "policies", "train", "plan", "simulate", "schedule", "bench", "bench speedup", "bench fidelity",
        "bench policies", "bench planning", "bench overhead", "bench wakeup", "bench stealing"}) {
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

// Holds for builds with and without CUDA, and whatever words a driver has.
TEST(Command, SaysWhatGpusThereAre) {
  const nlohmann::json cuda = skua("devices --json").json().at("cuda");
  const bool built = cuda.at("built");
  EXPECT_EQ(built, !cuda.at("versions").get<std::string>().empty());
  if (built) {
    EXPECT_EQ(cuda.at("versions").get<std::string>().rfind("CUDA ", 0), 0U) << cuda;
  }
  EXPECT_EQ(cuda.at("gpus").empty(), !cuda.at("why_none").get<std::string>().empty()) << cuda;
  const std::string out = skua("devices").out;
  if (!cuda.at("gpus").empty()) {
    const auto& gpu = cuda.at("gpus")[0];
    EXPECT_EQ(gpu.at("name"), "cuda:0");
    EXPECT_GT(gpu.at("memory_bytes"), 0);
    EXPECT_GT(gpu.at("multiprocessors"), 0);
    EXPECT_NE(out.find(gpu.at("kind")), std::string::npos) << out;
    GTEST_SKIP() << "there is a GPU";
  }
  EXPECT_NE(out.find("No GPU: " + cuda.at("why_none").get<std::string>()), std::string::npos) << out;
  if (!built) {
    EXPECT_NE(cuda.at("why_none").get<std::string>().find("no CUDA devices"), std::string::npos) << cuda;
  }
  expect_refused("train mnist_cnn --steps 1 --devices cuda:0", {"[devices]", cuda.at("why_none")});
  expect_refused("train mnist_cnn --steps 1 --devices cuda:0/4", {"[devices]", cuda.at("why_none")});
}

TEST(Command, BadNamesOfGpusAreRefused) {
  for (const char* name : {"cuda:", "cuda:x", "cuda:0/", "cuda:0/0", "cuda:-1", "cudas"}) {
    expect_refused(std::string("train mnist_cnn --steps 1 --devices ") + name, {"[devices]", name});
  }
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

TEST(Simulate, ALostDeviceCostsItsTimeAndThePlanOfTheRest) {
  const std::string base = "simulate mnist_cnn --json --cluster cpu:3 --policy data_parallel --micro-batches 8 ";
  const nlohmann::json whole = skua(base).json();
  const double planned = whole.at("makespan_seconds");
  const double early = planned / 4;
  const nlohmann::json lost = skua(base + "--lose cpu:1:" + std::to_string(early)).json();
  const nlohmann::json two =
      skua("simulate mnist_cnn --json --cluster cpu:2 --policy data_parallel --micro-batches 8").json();
  EXPECT_EQ(lost.at("lost_device"), "cpu:1");
  EXPECT_NEAR(lost.at("lost_seconds").get<double>(), early, 1e-6);
  EXPECT_EQ(lost.at("rest").at("cluster"), "cpu:3 without cpu:1");
  EXPECT_EQ(lost.at("rest").at("makespan_seconds"), two.at("makespan_seconds"));
  EXPECT_DOUBLE_EQ(lost.at("makespan_seconds").get<double>(),
                   lost.at("lost_seconds").get<double>() + two.at("makespan_seconds").get<double>());
  EXPECT_EQ(lost.at("utilization").size(), 2U);
  // The slow device stays the slow one where those after the lost one move up.
  const nlohmann::json slow = skua(base + "--straggler 2:2 --lose 1:" + std::to_string(early)).json();
  const nlohmann::json slow_two =
      skua("simulate mnist_cnn --json --cluster cpu:2 --policy data_parallel --micro-batches 8 --straggler 1:2").json();
  EXPECT_DOUBLE_EQ(slow.at("makespan_seconds").get<double>(),
                   slow.at("lost_seconds").get<double>() + slow_two.at("makespan_seconds").get<double>());
  // After the step's end there is nothing to lose.
  const nlohmann::json late = skua(base + "--lose 1:" + std::to_string(2 * planned)).json();
  EXPECT_EQ(late.at("makespan_seconds"), whole.at("makespan_seconds"));
  EXPECT_EQ(late.at("lost_seconds"), 0);
}

TEST(Simulate, FiguresOfEveryDevice) {
  for (const char* command : {"plan", "simulate"}) {
    const nlohmann::json result =
        skua(std::string(command) + " mnist_cnn --json --cluster a100x4-pcie --policy data_parallel --micro-batches 4")
            .json();
    EXPECT_GT(result.at("bytes_copied"), 0);
    double busy = 0;
    for (const auto& [device, share] : result.at("utilization").items()) {
      busy += share.get<double>() / 4;
      EXPECT_LE(result.at("bubble").at(device), 1 - share.get<double>() + 1e-12);
      EXPECT_GT(result.at("peak_live_bytes").at(device), 0);
      EXPECT_LE(result.at("peak_live_bytes").at(device), result.at("peak_bytes").at(device));
    }
    EXPECT_EQ(result.at("utilization").size(), 4U);
    EXPECT_GT(result.at("step_bubble"), 0);
    EXPECT_LE(result.at("step_bubble"), 1 - busy + 1e-12);  // the first copies come before the first start
  }
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
  for (const std::string loss : {"cpu:1:-1", "cpu:1:inf", "cpu:1:", "0.1", "cpu:2:0.1"}) {
    expect_refused("simulate mnist_cnn --lose " + loss, {"--lose", "'" + loss + "'"});
  }
  expect_refused("simulate mnist_cnn --cluster cpu:1 --lose 0:0", {"cpu:1", "lost"});
  expect_refused("simulate mnist_cnn --noise -1", {"--noise"});
  expect_refused("simulate mnist_cnn --seeds 0", {"--seeds"});
  expect_refused("simulate mnist_cnn --stealing often", {"often"});
  expect_refused("bench speedup mnist_cnn --devices 1,0", {"--devices", "'0'"});
  expect_refused("bench speedup mnist_cnn --devices two", {"--devices", "'two'"});
  expect_refused("policies extra", {"extra"});
  expect_refused("bench speedup mnist_cnn --steps 3", {"--steps"});
  expect_refused("bench fidelity --models mnist_cnn,nothing", {"nothing"});
  expect_refused("bench fidelity --policies single,best", {"best"});
  expect_refused("bench fidelity --devices 0", {"--devices", "'0'"});
  expect_refused("bench fidelity --repeats 1", {"--repeats", "'1'"});
  expect_refused("bench fidelity --models resnet18", {"resnet18"});
  expect_refused("bench fidelity --csv /nowhere/x", {"--csv", "/nowhere/x"});
  expect_refused("bench flight", {"flight"});
  expect_refused("bench overhead --json --workers 0", {"--workers", "'0'"});
  expect_refused("bench overhead --json --work-us 0,-1", {"--work-us", "'-1'"});
  expect_refused("bench overhead --work-us inf", {"--work-us", "inf"});
  expect_refused("bench overhead --tasks 0", {"--tasks", "'0'"});
  expect_refused("bench wakeup --json --samples 0", {"--samples", "'0'"});
  for (const std::string seconds : {"0", "-1", "inf", "nan"}) {
    expect_refused("bench wakeup --json --seconds " + seconds, {"--seconds", seconds});
  }
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
}

double middle_of(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

// Of single and round_robin, which are one schedule on one device: only on two they can make a pair, and do where their
// repeats lie apart.
void expect_order(const nlohmann::json& fidelity) {
  nlohmann::json faster = fidelity.at("results").at(2);
  nlohmann::json slower = fidelity.at("results").at(3);
  if (faster.at("measured_ms") > slower.at("measured_ms")) std::swap(faster, slower);
  const auto of = faster.at("measured_ms_by_repeat").get<std::vector<double>>();
  const auto other = slower.at("measured_ms_by_repeat").get<std::vector<double>>();
  const bool apart = *std::max_element(of.begin(), of.end()) < *std::min_element(other.begin(), other.end());
  const double simulated =
      (slower.at("simulated_ms").get<double>() / faster.at("simulated_ms").get<double>() - 1) * 100;
  EXPECT_EQ(fidelity.at("pairs"), apart ? 1 : 0);
  EXPECT_EQ(fidelity.at("pairs_agreeing"), apart && simulated >= 0.1 ? 1 : 0);
  EXPECT_EQ(fidelity.at("pairs_alike").size(), apart && std::abs(simulated) < 0.1 ? 1U : 0U);
  ASSERT_EQ(fidelity.at("pairs_reversed").size(), apart && simulated <= -0.1 ? 1U : 0U);
  for (const auto& pair : fidelity.at("pairs_reversed")) {
    EXPECT_EQ(pair.at("faster"), faster.at("policy"));
    EXPECT_EQ(pair.at("slower"), slower.at("policy"));
    EXPECT_NEAR(pair.at("simulated_percent"), simulated, 1e-6);
  }
}

TEST(Bench, FidelityFiguresFitEachOther) {
  const Folder folder("fidelity");
  const nlohmann::json fidelity =
      skua(
          "bench fidelity --models mnist_cnn --batch 8 --micro-batches 2 --policies single,round_robin --steps 2"
          " --repeats 3 --json --csv " +
          folder / "f.csv" + " --report " + folder / "f.html")
          .json();
  EXPECT_EQ(fidelity.at("bench"), "fidelity");
  EXPECT_GE(fidelity.at("machine").at("cores"), 1);
  std::vector<std::string> sides;
  std::vector<double> errors;
  for (const auto& row : fidelity.at("results")) {
    sides.push_back(row.at("devices").get<std::string>() + " " + row.at("policy").get<std::string>());
    const auto measured = row.at("measured_ms_by_repeat").get<std::vector<double>>();
    const auto simulated = row.at("simulated_ms_by_repeat").get<std::vector<double>>();
    ASSERT_EQ(measured.size(), 3U);
    ASSERT_EQ(simulated.size(), 3U);
    EXPECT_NEAR(row.at("measured_ms"), middle_of(measured), 1e-9);
    EXPECT_NEAR(row.at("simulated_ms"), middle_of(simulated), 1e-9);
    const double error = (middle_of(simulated) - middle_of(measured)) / middle_of(measured) * 100;
    EXPECT_NEAR(row.at("error_percent"), error, 1e-6);
    const auto [least, most] = std::minmax_element(measured.begin(), measured.end());
    EXPECT_GT(*least, 0);
    EXPECT_NEAR(row.at("spread_percent"), (*most - *least) / middle_of(measured) * 100, 1e-6);
    errors.push_back(std::abs(error));
  }
  EXPECT_EQ(sides,
            (std::vector<std::string>{"cpu:1 single", "cpu:1 round_robin", "cpu:2 single", "cpu:2 round_robin"}));
  EXPECT_NEAR(fidelity.at("median_error_percent"), middle_of(errors), 1e-6);
  EXPECT_NEAR(fidelity.at("worst_error_percent"), *std::max_element(errors.begin(), errors.end()), 1e-6);
  expect_order(fidelity);
  const std::string csv = content_of(folder / "f.csv");
  EXPECT_EQ(std::count(csv.begin(), csv.end(), '\n'), 5) << csv;
  EXPECT_NE(content_of(folder / "f.html").find("mnist_cnn on cpu:2"), std::string::npos);
}

TEST(Bench, OverheadOfEverySideIsOfRunsThatWereRight) {
  const nlohmann::json overhead = skua(
                                      "bench overhead --tasks 1,700 --work-us 0,0.5 --workers 2 --rounds 3 --runs 2 "
                                      "--block 8 --metg-tasks 40 --json")
                                      .json();
  EXPECT_EQ(overhead.at("bench"), "overhead");
  EXPECT_EQ(overhead.at("workers"), 2);
  EXPECT_EQ(overhead.at("verified"), true);
  EXPECT_GE(overhead.at("machine").at("cores"), 1);
  std::map<std::string, std::vector<double>> first;  // by tasks and work: the runs of the side that comes first
  std::map<std::string, int> rows;                   // by side
  for (const auto& row : overhead.at("results")) {
    EXPECT_EQ(row.at("verified"), true) << row;
    ++rows[row.at("side")];
    const auto runs = row.at("run_ns_by_round").get<std::vector<double>>();
    ASSERT_EQ(runs.size(), 3U);
    EXPECT_NEAR(row.at("run_ns").get<double>(), middle_of(runs), 1e-6);
    const auto& base = first.emplace(row.at("tasks").dump() + " " + row.at("work_us").dump(), runs).first->second;
    EXPECT_NEAR(row.at("ratio").get<double>(), middle_of({runs[0] / base[0], runs[1] / base[1], runs[2] / base[2]}),
                1e-9);
    const auto in_order = row.at("in_order_ns_by_round").get<std::vector<double>>();
    ASSERT_EQ(in_order.size(), 3U);
    ASSERT_EQ(row.at("efficiency").is_null(), row.at("work_us") == 0);
    if (row.at("work_us") == 0) continue;
    EXPECT_NEAR(row.at("efficiency").get<double>(),
                middle_of({in_order[0] / runs[0], in_order[1] / runs[1], in_order[2] / runs[2]}) / 2, 1e-9);
  }
  for (const char* side : {"skua, stealing cost", "skua, stealing none", "oneTBB flow graph", "oneTBB task group"}) {
    EXPECT_EQ(rows[side], 4) << side;
  }
  EXPECT_EQ(overhead.at("metg").size(), rows.size());
  for (const auto& side : overhead.at("metg")) EXPECT_TRUE(side.contains("metg_us")) << side;
}

TEST(Bench, WakeupMeasuresEveryIdleTimeAndState) {
  const nlohmann::json wakeup = skua("bench wakeup --samples 3 --seconds 0.03 --json").json();
  EXPECT_EQ(wakeup.at("bench"), "wakeup");
  EXPECT_GE(wakeup.at("machine").at("cores"), 1);
  std::vector<std::string> wakings;
  for (const auto& row : wakeup.at("wakings")) {
    wakings.push_back(row.at("by").get<std::string>() + " " + std::to_string(row.at("idle_us").get<int>()));
    for (const char* side : {"skua", "condition_variable"}) {
      EXPECT_GT(row.at(side).at("median_us"), 0);
      EXPECT_GE(row.at(side).at("p90_us"), row.at(side).at("median_us"));
    }
  }
  EXPECT_EQ(wakings, (std::vector<std::string>{"run 5000", "task 0", "task 100", "task 1000", "task 20000"}));
  ASSERT_EQ(wakeup.at("idling").size(), 3U);
  for (const auto& row : wakeup.at("idling")) {
    EXPECT_GE(row.at("seconds").get<double>(), 0.029) << row;  // none of the waits was cut short
    EXPECT_NEAR(row.at("percent").get<double>(),
                row.at("cpu_seconds").get<double>() / row.at("seconds").get<double>() * 100, 1e-9);
  }
}

TEST(Bench, StealingRunsAndSimulatesEverySituation) {
  const nlohmann::json stealing =
      skua(
          "bench stealing --json --models mnist_cnn --clusters cpu:2 --rounds 2 --steps 10 --simulated-steps 12 "
          "--seeds 1 --policy data_parallel")
          .json();
  EXPECT_EQ(stealing.at("bench"), "stealing");
  int executed = 0;
  int simulated = 0;
  for (const auto& row : stealing.at("results")) {
    (row.at("simulated").get<bool>() ? simulated : executed) += 1;
    for (const char* mode : {"static", "dynamic", "random", "locality", "cost", "cost+"}) {
      EXPECT_GT(row.at("modes").at(mode).at("step_ms").get<double>(), 0) << row;
    }
    if (row.at("simulated") && row.at("situation") == "costs right") {
      EXPECT_LE(row.at("modes").at("cost").at("step_ms").get<double>(),
                1.02 * row.at("modes").at("static").at("step_ms").get<double>());
    }
    if (row.at("simulated") && row.at("situation") == "slow for good") {
      EXPECT_LT(row.at("modes").at("cost").at("step_ms"), row.at("modes").at("static").at("step_ms"));
      EXPECT_GE(row.at("modes").at("cost+").at("last_step_over_bound").get<double>(), 0.999999);
    }
  }
  EXPECT_EQ(executed, 4);
  EXPECT_EQ(simulated, 6);
  expect_refused("bench stealing --clusters moon", {"moon"});
  expect_refused("bench stealing --devices 1", {"--devices"});
}

}  // namespace
}  // namespace skua::test
