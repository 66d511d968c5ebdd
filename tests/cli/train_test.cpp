// skua train, from the outside.
#include <filesystem>

#include "cli/command.h"

namespace skua::test {
namespace {

const std::string kQuick = "train mnist_cnn --batch 32 --seed 4 --json ";

TEST(Train, JsonHoldsWhatScriptsNeed) {
  const nlohmann::json result = skua(kQuick + "--steps 12 --devices cpu:2 --micro-batches 2").json();
  EXPECT_EQ(result.at("model"), "mnist_cnn");
  EXPECT_NE(result.at("data").get<std::string>().find("synthetic"), std::string::npos);
  EXPECT_EQ(result.at("devices"), "cpu:2");
  EXPECT_EQ(result.at("policy").get<std::string>().rfind("auto", 0), 0U);
  EXPECT_EQ(result.at("stealing"), "cost");
  EXPECT_EQ(result.at("micro_batches"), 2);
  EXPECT_EQ(result.at("steps"), 12);
  EXPECT_EQ(result.at("weights_sha256").get<std::string>().size(), 64U);
  EXPECT_GT(result.at("final_loss"), 0);
  EXPECT_GT(result.at("metrics").at("test_accuracy"), 0);
  EXPECT_LE(result.at("metrics").at("test_accuracy"), 1);
  EXPECT_GT(result.at("seconds"), 0);
  EXPECT_GT(result.at("median_step_ms"), 0);
  EXPECT_EQ(result.at("predicted_by"), "simulated: cpu:2, measured costs");
  EXPECT_GE(result.at("predicted_step_ms").get<double>(), result.at("lower_bound_ms").get<double>() * 0.999);
  EXPECT_GE(result.at("steals"), 0);
  EXPECT_EQ(result.at("bytes_copied"), 0);  // one memory
  for (const char* device : {"cpu:0", "cpu:1"}) {
    EXPECT_GT(result.at("peak_bytes").at(device), 1e5);
    EXPECT_GT(result.at("utilization").at(device), 0);
    EXPECT_LE(result.at("utilization").at(device), 1.0001);
  }
}

TEST(Train, TheLastOfAnOptionCounts) {
  EXPECT_EQ(skua(kQuick + "--devices cpu:1 --steps 3 --devices cpu:2 --steps 4").json().at("steps"), 4);
}

TEST(Train, NormalOutputIsForPeople) {
  const Outcome outcome = skua("train mnist_cnn --batch 32 --steps 8 --devices cpu:1");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  for (const char* part : {"test accuracy", "sha256 ", "micro-batches", "predicted", "lower bound", "cpu:0"}) {
    EXPECT_NE(outcome.out.find(part), std::string::npos) << part << " in\n" << outcome.out;
  }
  EXPECT_NE(outcome.err.find("synthetic"), std::string::npos) << outcome.err;
  EXPECT_NE(outcome.err.find("epoch"), std::string::npos) << outcome.err;
}

TEST(Train, PassesAreNamed) {
  const std::string plan = (std::filesystem::temp_directory_path() / "skua_passes_test.plan").string();
  const std::string batch = " mnist_cnn --batch 32 --micro-batches 2 --passes activations,pool_first ";
  ASSERT_EQ(skua("plan" + batch + "--cluster cpu:1 --policy single --out " + plan).status, 0);
  EXPECT_EQ(skua("train" + batch + "--devices cpu:1 --steps 2 --plan " + plan + " --json").json().at("steps"), 2);
  expect_refused(kQuick + "--devices cpu:1 --steps 2 --passes none --micro-batches 2 --plan " + plan, {"[plan]"});
  std::filesystem::remove(plan);
  for (const char* command : {"train", "plan", "simulate"}) {
    expect_refused(std::string(command) + " mnist_cnn --passes pool_first,fast", {"[passes]", "pool_first", "'fast'"});
  }
  expect_refused("bench models --passes fast", {"[passes]", "'fast'"});
}

TEST(Train, BitsDoNotDependOnDevicesPolicyOrStealing) {
  const std::string fixed = kQuick + "--steps 10 --micro-batches 4 ";
  const nlohmann::json expected = skua(fixed + "--devices cpu:1 --policy single --stealing none").json();
  for (const char* rest :
       {"--devices cpu:1 --policy single --stealing none", "--devices cpu:2 --policy heft --stealing random",
        "--devices cpu:3 --policy round_robin --stealing cost", "--devices cpu:2 --policy auto --stealing locality"}) {
    const nlohmann::json result = skua(fixed + rest).json();
    EXPECT_EQ(result.at("weights_sha256"), expected.at("weights_sha256")) << rest;
    EXPECT_EQ(result.at("final_loss"), expected.at("final_loss")) << rest;
  }
}

TEST(Train, ResumingEqualsNotStopping) {
  const Folder folder("resume");
  const std::string fixed = kQuick + "--micro-batches 2 --devices cpu:2 ";
  const nlohmann::json whole = skua(fixed + "--steps 14").json();
  const std::string files = "--checkpoint " + folder / "c" + " --metrics " + folder / "m.csv";
  (void)skua(fixed + "--steps 9 " + files).json();
  const nlohmann::json resumed = skua(fixed + "--steps 5 --resume " + files).json();
  EXPECT_EQ(resumed.at("weights_sha256"), whole.at("weights_sha256"));
  const std::string metrics = content_of(folder / "m.csv");  // a head and a row for each run
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 3) << metrics;
  EXPECT_EQ(metrics.rfind("epoch,loss,"), 0U) << metrics;
  expect_refused(fixed + "--steps 5 --batch 64 --resume " + files, {"[batch]", "32", "64"});
  expect_refused(kQuick + "--steps 5 --micro-batches 4 --resume " + files, {"[micro-batches]", "2", "4"});
}

TEST(Train, WritesTraceReportMetricsAndProfile) {
  const Folder folder("files");
  const nlohmann::json result =
      skua(kQuick + "--steps 10 --devices cpu:2 --trace " + folder / "t.json" + " --report " + folder / "r.html" +
           " --metrics " + folder / "m.csv" + " --profile " + folder / "p.json")
          .json();
  const nlohmann::json trace = nlohmann::json::parse(content_of(folder / "t.json"));
  int rows = 0;
  int events = 0;
  for (const auto& event : trace.at("traceEvents")) {
    rows += event.at("name") == "thread_name" ? 1 : 0;
    if (event.at("ph") != "X") continue;
    ++events;
    EXPECT_GE(event.at("ts"), 0);
    EXPECT_GE(event.at("dur"), 0);
  }
  EXPECT_EQ(rows, 2);
  EXPECT_GT(events, 30);
  EXPECT_NE(trace.dump().find("conv2.backward_weight [mb 0]"), std::string::npos);

  const std::string page = content_of(folder / "r.html");
  EXPECT_EQ(page.rfind("<!doctype html>", 0), 0U);
  EXPECT_NE(page.find("conv1 [mb 0]"), std::string::npos);
  EXPECT_NE(page.find(result.at("weights_sha256").get<std::string>()), std::string::npos);
  for (const char* outside : {"http:", "https:", "<script", "@import"}) {
    EXPECT_EQ(page.find(outside), std::string::npos) << outside;
  }
  const std::string metrics = content_of(folder / "m.csv");
  EXPECT_EQ(metrics.rfind("epoch,loss,", 0), 0U) << metrics;
  EXPECT_EQ(std::count(metrics.begin(), metrics.end(), '\n'), 2) << metrics;
  EXPECT_NE(content_of(folder / "p.json").find("conv2d{"), std::string::npos);
}

TEST(Train, RefusedInputLeavesFilesAsTheyAre) {
  const Folder folder("kept");
  std::ofstream(folder / "m.csv") << "kept\n";
  expect_refused(kQuick + "--batch 20000 --metrics " + folder / "m.csv" + " --trace " + folder / "t.json" +
                     " --checkpoint " + folder / "c",
                 {"[batch]", "got 20000"});
  EXPECT_EQ(content_of(folder / "m.csv"), "kept\n");
  EXPECT_FALSE(std::filesystem::exists(folder / "t.json"));
  EXPECT_FALSE(std::filesystem::exists(folder / "c"));
  std::ofstream(folder / "empty.json").close();
  expect_refused(kQuick + "--profile " + folder / "empty.json", {"empty.json", "JSON"});
}

TEST(Train, FollowsAPlanFile) {
  const Folder folder("plan");
  const std::string plan = folder / "plan.json";
  EXPECT_EQ(
      skua("plan mnist_cnn --cluster cpu:2 --batch 32 --micro-batches 2 --policy round_robin --out " + plan).status, 0);
  const nlohmann::json result = skua(kQuick + "--steps 3 --devices cpu:2 --plan " + plan).json();
  EXPECT_EQ(result.at("policy"), "round_robin");
  EXPECT_EQ(result.at("micro_batches"), 2);
  expect_refused(kQuick + "--steps 3 --devices cpu:3 --plan " + plan, {"[plan]", "cpu:2"});
  expect_refused("train mnist_cnn --batch 64 --steps 3 --devices cpu:2 --plan " + plan, {"[plan]", "another"});
  expect_refused(kQuick + "--steps 3 --devices cpu:2 --micro-batches 4 --plan " + plan, {"[plan]", "4 micro-batches"});
  expect_refused(kQuick + "--steps 3 --policy heft --plan " + plan, {"--policy", "replay", "heft"});
}

TEST(Train, BadInputIsRefused) {
  const std::string train = "train mnist_cnn --steps 2 ";
  expect_refused("train resnet", {"resnet", "mnist_cnn"});
  expect_refused("train", {"model"});
  expect_refused(train + "--batch 0", {"[batch]", "got 0"});
  expect_refused(train + "--batch x", {"--batch", "x"});
  expect_refused(train + "--batch 30 --micro-batches 4", {"[micro-batches]", "30", "got 4"});
  expect_refused(train + "--micro-batches 0", {"--micro-batches", "'0'"});
  expect_refused(train + "--policy best", {"policy", "best", "heft"});
  expect_refused(train + "--devices gpu:1", {"devices", "gpu:1"});
  expect_refused(train + "--stealing often", {"stealing", "often"});
  expect_refused(train + "--learning-rate -1", {"learning rate", "-1"});
  expect_refused(train + "--learning-rate 1e40", {"learning rate", "1e+40"});  // infinite as float32
  expect_refused(train + "--seed -1", {"--seed", "'-1'"});
  expect_refused(train + "--plan-seconds -2", {"--plan-seconds", "'-2'"});
  expect_refused(train + "--plan-seconds nan", {"--plan-seconds", "'nan'"});
  expect_refused("train mnist_cnn --epochs 0", {"[epochs]", "got 0"});
  expect_refused("train mnist_cnn --steps 0", {"--steps", "got 0"});
  expect_refused(train + "--epochs 2", {"--epochs", "--steps"});
  expect_refused(train + "--resume", {"--checkpoint"});
  expect_refused(train + "--resume --checkpoint /nowhere", {"/nowhere"});
  expect_refused(train + "--trace /nowhere/t.json", {"--trace", "/nowhere/t.json"});
  expect_refused(train + "--report /nowhere/r.html", {"--report", "/nowhere/r.html"});
  expect_refused(train + "--metrics /nowhere/m.csv", {"--metrics", "/nowhere/m.csv"});
  expect_refused(train + "--checkpoint /dev/null/c", {"--checkpoint", "/dev/null/c"});
  expect_refused(train + "--data /nowhere", {"/nowhere"});
  expect_refused(train + "--plan /nowhere/plan", {"/nowhere/plan"});
  expect_refused(train + "--speed 3", {"--speed"});
  expect_refused("fly", {"fly"});
}

void put_number(std::string& bytes, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8)
    bytes += static_cast<char>((number >> static_cast<unsigned>(shift)) & 255U);
}

// Four small IDX files under MNIST's names.
void write_mnist(const Folder& folder, int count) {
  for (const std::string part : {"train", "t10k"}) {
    std::string images;
    for (const std::uint32_t number : {0x803U, static_cast<std::uint32_t>(count), 28U, 28U}) put_number(images, number);
    std::string labels;
    for (const std::uint32_t number : {0x801U, static_cast<std::uint32_t>(count)}) put_number(labels, number);
    for (int i = 0; i < count; ++i) {
      for (int pixel = 0; pixel < 784; ++pixel) images += static_cast<char>((pixel * (i % 10 + 1)) % 251);
      labels += static_cast<char>(i % 10);
    }
    std::ofstream(folder / (part + "-images-idx3-ubyte"), std::ios::binary) << images;
    std::ofstream(folder / (part + "-labels-idx1-ubyte"), std::ios::binary) << labels;
  }
}

TEST(Train, DamagedIdxFilesAreRefused) {
  const Folder folder("idx");
  write_mnist(folder, 40);
  const std::string train = kQuick + "--steps 2 --devices cpu:1 --data " + folder / "";
  EXPECT_EQ(skua(train).json().at("steps"), 2);
  const std::string path = folder / "train-images-idx3-ubyte";
  const std::string bytes = content_of(path);
  const auto refuse_with = [&](const std::string& content) {
    std::ofstream(path, std::ios::binary) << content;
    expect_refused(train, {"train-images-idx3-ubyte"});
  };
  refuse_with(bytes.substr(0, bytes.size() - 1));
  refuse_with(bytes.substr(0, 9));
  std::string flipped = bytes;
  flipped[3] ^= 1;
  refuse_with(flipped);
  std::filesystem::remove(path);
  expect_refused(train, {"train-images-idx3-ubyte"});
}

// A signal while the second epoch or a later one runs: what was done stays, and training goes on from there.
TEST(Train, AnInterruptKeepsWhatWasDone) {
  const Folder folder("interrupt");
  const std::string files = " --checkpoint " + (folder / "checkpoint") + " --metrics " + (folder / "metrics.csv");
  const std::string train = "train mnist_cnn --devices cpu:1 --policy single --micro-batches 1 --seed 4" + files;
  const std::string script = std::string(SKUA_COMMAND) + " " + train + " --epochs 100000 >" + (folder / "out") + " 2>" +
                             (folder / "err") + " & child=$!; while [ ! -f " + (folder / "checkpoint/skua.checkpoint") +
                             " ]; do sleep 0.05; done; kill -TERM $child; wait $child; exit $?";
  const int status = std::system(("sh -c '" + script + "'").c_str());
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_NE(content_of((folder / "err")).find("skua: stopped before"), std::string::npos);
  EXPECT_EQ(skua(train + " --resume --steps 2 --json").status, 0);
}

}  // namespace
}  // namespace skua::test
