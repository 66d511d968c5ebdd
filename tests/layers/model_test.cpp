// Models end to end: training against the reference in double precision, equal bits, callbacks, errors.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <set>

#include "graph/small_graphs.h"
#include "layers/small_models.h"
#include "skua/layers/devices.h"
#include "skua/scheduler/adaptation.h"

namespace skua::test {
namespace {

// Ten steps of fit, against the graph run in double precision by the reference. After the seventh a new session takes
// over weights and optimizer states.
TEST(Model, TrainsAsTheReference) {
  const auto data = corners(80);
  for (const Optimizer& optimizer :
       {Optimizer(Adam(0.01, {.epsilon = 1e-2})), Optimizer(SGD(0.1, {.momentum = 0.9}))}) {
    Sequential model = small_model();
    const CompileOptions options{.optimizer = optimizer,
                                 .devices = "cpu:2",
                                 .plan_in_background = false,
                                 .micro_batches = 2,
                                 .seed = 3};
    model.compile(options);
    const Graph graph = model.training_graph(8, 1, options);
    Values values;
    for (ValueId id : graph.values_of(ValueKind::kParameter)) {
      values[id] = reference::to_array(model.weights().at(graph.value(id).name));
    }
    for (ValueId id : graph.values_of(ValueKind::kState)) {
      values[id].assign(static_cast<std::size_t>(graph.value(id).type.shape.elements()), 0);
    }
    Tensor features(ValueType{{8, 1, 8, 8}});
    Tensor labels(ValueType{{8}, DType::kInt32});
    double loss = 0;
    for (std::int64_t step = 0; step < 10; ++step) {
      std::vector<std::int64_t> rows;
      for (std::int64_t i = 0; i < 8; ++i) rows.push_back(step * 8 + i);
      data->read(rows, features, labels);
      values[graph.find_value("features")] = reference::to_array(features);
      values[graph.find_value("labels")] = reference::to_array(labels);
      reference::run(graph, values, {step, static_cast<double>(static_cast<float>(optimizer.learning_rate))}, true);
      loss += values.at(graph.find_value("loss"))[0] / 10;
    }
    const History history = model.fit(*data, {.batch_size = 8, .epochs = 1, .shuffle = false, .verbose = false});
    EXPECT_GE(model.report().plans_made, 2);
    EXPECT_NEAR(history.at(0).loss, loss, 1e-5);
    for (ValueId id : graph.values_of(ValueKind::kParameter)) {
      const Tensor& trained = model.weights().at(graph.value(id).name);
      for (std::size_t i = 0; i < values[id].size(); ++i) {
        ASSERT_NEAR(trained.floats()[i], values[id][i], 2e-5) << graph.value(id).name;
      }
    }
  }
}

TEST(Model, LearnsAndEvaluatesPerSample) {
  const auto train = corners(512);
  const auto test = corners(70, 2);
  Sequential model = small_model();
  model.compile({.optimizer = Adam(0.01), .devices = "cpu:2", .seed = 1});
  const History history =
      model.fit(*train, {.batch_size = 32, .epochs = 4, .validation = test.get(), .verbose = false});
  ASSERT_EQ(history.size(), 4U);
  EXPECT_LT(history[3].loss, history[0].loss);
  EXPECT_GT(history[3].value("validation_accuracy"), 0.95);
  EXPECT_EQ(history[0].samples, 512);

  // 70 samples in batches of 32 leave 6; against softmax over predictions, sample by sample.
  Tensor features(ValueType{{70, 1, 8, 8}});
  Tensor labels(ValueType{{70}, DType::kInt32});
  std::vector<std::int64_t> rows;
  for (std::int64_t i = 0; i < 70; ++i) rows.push_back(i);
  test->read(rows, features, labels);
  const Tensor logits = model.predict(features, 32);
  ASSERT_EQ(logits.shape(), Shape({70, 4}));
  double loss = 0;
  int right = 0;
  for (std::size_t i = 0; i < 70; ++i) {
    const auto row = logits.floats().subspan(i * 4, 4);
    double sum = 0;
    for (float x : row) sum += std::exp(static_cast<double>(x));
    const auto label = static_cast<std::size_t>(labels.ints()[i]);
    loss += (std::log(sum) - static_cast<double>(row[label])) / 70;
    right += std::max_element(row.begin(), row.end()) - row.begin() == static_cast<std::ptrdiff_t>(label) ? 1 : 0;
  }
  const Metrics metrics = model.evaluate(*test, 32);
  EXPECT_EQ(metrics.samples, 70);
  EXPECT_NEAR(metrics.loss, loss, 1e-6);
  EXPECT_DOUBLE_EQ(metrics.metric("accuracy"), right / 70.0);
  EXPECT_EQ(model.predict(features, 7).floats()[279], logits.floats()[279]);
}

std::string trained_hash(CompileOptions options,
                         const FitOptions& fit = {.batch_size = 16, .steps = 20, .verbose = false}) {
  Sequential model = small_model();
  options.seed = 5;
  model.compile(options);
  model.fit(*corners(128), fit);
  return model.weights_sha256();
}

TEST(Model, EvaluationIsTheSameOnAnyDevices) {
  const auto test = corners(70, 2);
  std::vector<double> losses;
  for (const char* devices : {"cpu:1", "cpu:2", "cpu:3"}) {
    Sequential model = small_model();
    model.compile({.devices = devices, .seed = 2});
    losses.push_back(model.evaluate(*test, 32).loss);
  }
  EXPECT_EQ(losses[0], losses[1]);
  EXPECT_EQ(losses[0], losses[2]);
}

// Twenty steps contain planning anew by measured times.
TEST(Model, BitsDoNotDependOnDevicesPolicyOrStealing) {
  const std::string expected =
      trained_hash({.devices = "cpu:1", .policy = "single", .stealing = "none", .micro_batches = 4});
  EXPECT_EQ(expected.size(), 64U);
  for (const char* devices : {"cpu:1", "cpu:2", "cpu:3"}) {
    for (const PolicyInfo& policy : policies()) {
      if (policy.name == "replay") continue;
      for (const std::string& stealing : steal_rule_names()) {
        EXPECT_EQ(trained_hash({.devices = devices,
                                .policy = policy.name,
                                .plan_seconds = 0.01,
                                .plan_in_background = false,
                                .stealing = stealing,
                                .micro_batches = 4}),
                  expected)
            << devices << " " << policy.name << " " << stealing;
      }
    }
  }
  EXPECT_NE(trained_hash({.devices = "cpu:1", .micro_batches = 2}), expected);  // the count is part of the numerics
}

// The steps end before a further plan, for a machine whose times drift, could be due.
TEST(Model, PlansAreMadeAnewByMeasuredTimes) {
  constexpr int kFirstSteps = Adaptation::kWarmUpSteps + Adaptation::kMeasuredSteps;
  constexpr int kSteps = kFirstSteps + Adaptation::kWarmUpSteps;
  Sequential model = small_model();
  model.compile({.devices = "cpu:2", .plan_in_background = false, .micro_batches = 2});
  model.fit(*corners(64), {.batch_size = 16, .steps = kSteps, .verbose = false, .trace_steps = 3});
  const TrainingReport& report = model.report();
  EXPECT_EQ(report.plans_made, 2);
  EXPECT_TRUE(report.measured_costs);
  EXPECT_EQ(report.steps, kSteps);
  EXPECT_EQ(report.traces.size(), std::size_t{Adaptation::kWarmUpSteps});  // of the second plan
  EXPECT_GT(report.median_step_seconds, 0);
  EXPECT_GE(report.plan.predicted_seconds, report.lower_bound_seconds * 0.999);
  ASSERT_EQ(report.utilization.size(), 2U);
  for (double share : report.utilization) {
    EXPECT_GE(share, 0);
    EXPECT_LE(share, 1 + 1e-9);
  }
  EXPECT_GT(report.peak_bytes[0], 0);
}

TEST(Model, AutomaticMicroBatchesDivideTheBatchAndDoNotDependOnMeasurements) {
  const Sequential model = small_model();
  const Cluster cluster = make_cluster("cpu:3");
  const int count = choose_micro_batches(model, {}, 24, cluster, CostModel());
  EXPECT_EQ(24 % count, 0);
  // Against all other counts that were allowed.
  const auto seconds = [&](int m) {
    return plan_with("auto", TaskGraph(model.training_graph(24, m, {}), m), cluster, CostModel()).predicted_seconds;
  };
  for (const int other : {1, 2, 3, 4, 6, 8, 12}) EXPECT_LE(seconds(count), seconds(other) * 1.001) << other;
  EXPECT_EQ(trained_hash({.devices = "cpu:2"}), trained_hash({.devices = "cpu:2"}));
}

// Five batches an epoch, left after the second of the second epoch.
TEST(Model, AnotherBatchSizeBeginsANewEpoch) {
  const auto data = corners(80);
  for (const std::int64_t batch_size : {40, 80}) {
    Sequential model = small_model();
    model.compile({.devices = "cpu:1", .micro_batches = 1});
    model.fit(*data, {.batch_size = 16, .steps = 7, .verbose = false});
    const History history = model.fit(*data, {.batch_size = batch_size, .epochs = 1, .verbose = false});
    ASSERT_EQ(history.size(), 1U);
    EXPECT_EQ(history[0].epoch, 3);
    EXPECT_EQ(history[0].samples, 80);
    EXPECT_TRUE(std::isfinite(history[0].loss));
  }
  Sequential model = small_model();
  model.compile({.devices = "cpu:1", .micro_batches = 1});
  model.fit(*data, {.batch_size = 16, .steps = 4, .verbose = false});
  const auto less = corners(32);  // two batches: the fifth is not there
  EXPECT_EQ(model.fit(*less, {.batch_size = 16, .epochs = 1, .verbose = false}).at(0).samples, 32);
}

TEST(Model, CompilingAgainStartsAnew) {
  const auto data = corners(48);
  Sequential model = small_model();
  std::vector<std::string> hashes;
  for (const char* devices : {"cpu:2", "cpu:1", "cpu:3"}) {
    model.compile({.devices = devices, .micro_batches = 2, .seed = 6});
    model.fit(*data, {.batch_size = 16, .verbose = false});
    hashes.push_back(model.weights_sha256());
  }
  EXPECT_EQ(hashes[1], hashes[0]);
  EXPECT_EQ(hashes[2], hashes[0]);
}

class Recorder final : public Callback {
 public:
  void on_train_begin(Model&) override { text += "begin "; }
  void on_step_end(Model&, const StepLogs& logs) override {
    text += std::to_string(logs.epoch) + "." + std::to_string(logs.step) + " ";
    if (logs.epoch == 2 && logs.step == 2) stop_training = true;
  }
  void on_epoch_end(Model& model, const EpochLogs& logs) override {
    text += "end" + std::to_string(logs.epoch) + " ";
    hashes.push_back(model.weights_sha256());
  }
  std::string text;
  std::vector<std::string> hashes;
};

TEST(Model, CallbacksSeeEachStepAndCanStop) {
  Sequential model = small_model();
  model.compile({.devices = "cpu:1", .micro_batches = 1});
  Recorder recorder;
  const History history =
      model.fit(*corners(50), {.batch_size = 16, .epochs = 3, .callbacks = {&recorder}, .verbose = false});
  EXPECT_EQ(recorder.text, "begin 1.1 1.2 1.3 end1 2.1 2.2 end2 ");
  EXPECT_EQ(history.size(), 2U);
  EXPECT_NE(recorder.hashes.at(0), recorder.hashes.at(1));
  EXPECT_EQ(recorder.hashes.at(1), model.weights_sha256());
}

TEST(Model, CallbacksReadAndSetTheWeightsOfEachStep) {
  class SetBeforeTheLastStep final : public Callback {
   public:
    void on_step_end(Model& model, const StepLogs& logs) override {
      hashes.insert(model.weights_sha256());
      if (logs.step == logs.steps - 1) {
        std::map<std::string, Tensor> weights = model.weights();
        for (float& x : weights.at("dense2.weight").floats()) x = 100;
        model.set_weights(std::move(weights));
      }
      error = message_of([&] { model.compile(); });
    }
    std::set<std::string> hashes;
    std::string error;
  } callback;
  Sequential model = small_model();
  model.compile({.optimizer = SGD(0.01), .devices = "cpu:2", .micro_batches = 2});
  model.fit(*corners(160), {.batch_size = 16, .callbacks = {&callback}, .verbose = false});
  EXPECT_EQ(callback.hashes.size(), 10U);
  for (float x : model.weights().at("dense2.weight").floats()) {
    EXPECT_NEAR(x, 100, 1);
    EXPECT_NE(x, 100);  // the last step's update
  }
  EXPECT_EQ(callback.error, "[compile] expected no training under way, got a callback");
}

// A data set whose third batch has a label that the model does not know, once.
TEST(Model, TrainingGoesOnAfterAnErrorInAStep) {
  class Faulty final : public PassedOn {
   public:
    Faulty() : PassedOn(corners(80)) {}
    void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels, std::int64_t) const override {
      good->read(rows, features, labels);
      if (++reads == 3 && faulty) labels.ints()[9] = 77;
    }
    bool faulty = true;
    mutable std::atomic<int> reads = 0;
  } data;
  const CompileOptions options{.devices = "cpu:2", .micro_batches = 2, .seed = 2};
  Sequential model = small_model();
  model.compile(options);
  EXPECT_NE(message_of([&] { model.fit(data, {.batch_size = 16, .verbose = false}); }).find("77"), std::string::npos);
  data.faulty = false;
  data.reads = 0;
  model.fit(data, {.batch_size = 16, .verbose = false});  // the third to fifth batch
  EXPECT_EQ(data.reads, 3);
  Sequential whole = small_model();
  whole.compile(options);
  whole.fit(*data.good, {.batch_size = 16, .verbose = false});
  EXPECT_EQ(model.weights_sha256(), whole.weights_sha256());
}

TEST(Model, BadOptionsAreErrorsThatNameThem) {
  const auto compile = [](const CompileOptions& options) {
    return message_of([&] { small_model().compile(options); });
  };
  EXPECT_NE(compile({.devices = "gpu"}).find("got 'gpu'"), std::string::npos);
  if (machine_gpus().gpus.empty()) {
    EXPECT_NE(compile({.devices = "cuda:0"}).find("CUDA device"), std::string::npos);
  }
  EXPECT_NE(compile({.devices = "cpu:0"}).find("got 'cpu:0'"), std::string::npos);
  EXPECT_NE(compile({.devices = "cpu:2x"}).find("got 'cpu:2x'"), std::string::npos);
  EXPECT_NE(compile({.policy = "best"}).find("got 'best'"), std::string::npos);
  EXPECT_NE(compile({.stealing = "often"}).find("got 'often'"), std::string::npos);
  EXPECT_NE(compile({.micro_batches = -1}).find("[micro-batches]"), std::string::npos);
  EXPECT_NE(compile({.optimizer = Adam(0)}).find("[learning rate]"), std::string::npos);
  EXPECT_NE(message_of([] { Sequential({1, 8, 8}).compile(); }).find("expected a layer at least"), std::string::npos);

  const auto data = corners(40);
  const auto fit = [&](const FitOptions& options, int micro_batches = 0) {
    Sequential model = small_model();
    model.compile({.devices = "cpu:1", .micro_batches = micro_batches});
    return message_of([&] { model.fit(*data, options); });
  };
  EXPECT_EQ(fit({.batch_size = 0}), "[batch] expected 1 or more samples, got 0");
  EXPECT_EQ(fit({.batch_size = 41}), "[batch] expected at most the 40 samples of the data, got 41");
  EXPECT_EQ(fit({.epochs = 0}), "[epochs] expected 1 or more, got 0");
  EXPECT_EQ(fit({.steps = -1}), "[steps] expected 0 or more, got -1");
  EXPECT_EQ(fit({.callbacks = {nullptr}}), "[callbacks] expected callbacks, got a null pointer");
  EXPECT_EQ(fit({.batch_size = 16}, 3), "[micro-batches] expected a divisor of the batch size 16, got 3");

  Sequential raw = small_model();
  EXPECT_NE(message_of([&] { raw.fit(*data); }).find("call compile first"), std::string::npos);
  Sequential wide({1, 9, 9});
  wide.add(Flatten()).add(Dense(4));
  wide.compile({.devices = "cpu:1"});
  EXPECT_EQ(message_of([&] { wide.fit(*data); }), "[data] expected samples float32(1,9,9), got float32(1,8,8)");
  Sequential narrow({1, 8, 8});
  narrow.add(Flatten()).add(Dense(3));
  narrow.compile({.devices = "cpu:1"});
  EXPECT_EQ(message_of([&] { narrow.fit(*data); }), "[data] expected at most 3 classes, got 4");
  EXPECT_NE(message_of([&] {
              (void)narrow.predict(Tensor(ValueType{{2, 8, 8}}));
            }).find("[predict]"),
            std::string::npos);
  EXPECT_NE(message_of([&] { narrow.set_weights({}); }).find("[weights]"), std::string::npos);
  EXPECT_NE(message_of([] { (void)models::recipe("resnet"); }).find("got 'resnet'"), std::string::npos);
}

}  // namespace
}  // namespace skua::test
