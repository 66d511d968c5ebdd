// Models end to end: layers, training against the reference in double precision, equal bits, checkpoints, errors.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <set>

#include "graph/small_graphs.h"
#include "skua/skua.h"

namespace skua::test {
namespace {

// Blurred squares in one of four corners, 8x8.
std::shared_ptr<const Dataset> corners(int count, std::uint64_t seed = 1) {
  std::vector<std::uint8_t> pixels;
  std::vector<std::uint8_t> labels;
  Random random(seed);
  for (int i = 0; i < count; ++i) {
    const auto label = static_cast<int>(random.below(4));
    labels.push_back(static_cast<std::uint8_t>(label));
    for (int y = 0; y < 8; ++y) {
      for (int x = 0; x < 8; ++x) {
        const bool inside = y / 4 == label / 2 && x / 4 == label % 2;
        pixels.push_back(static_cast<std::uint8_t>((inside ? 120 : 0) + random.below(100)));
      }
    }
  }
  return datasets::images(std::move(pixels), std::move(labels), 8, 8, 4, "corners");
}

Sequential small_model() {
  Sequential model({1, 8, 8});
  model.add(Conv2D(6, {3, 3}, {.activation = "relu", .padding = "same"}))
      .add(MaxPool2D({2, 2}))
      .add(Flatten())
      .add(Dense(8, {.activation = "tanh"}))
      .add(Dense(4));
  return model;
}

std::string file_in_temp(const std::string& name) {
  return (std::filesystem::temp_directory_path() / ("skua_model_test_" + name)).string();
}

TEST(Model, SummaryOfTheMnistCnnByHand) {
  const Sequential model = make_model("mnist_cnn");
  EXPECT_EQ(model.parameter_count(), 32 * 9 + 32 + 64 * 32 * 9 + 64 + 64 * 64 * 9 + 64 + 576 * 64 + 64 + 640 + 10);
  const std::string summary = model.summary();
  for (const char* part : {"conv1 (Conv2D)", "(32,26,26)", "320", "(64,11,11)", "18496", "(64,3,3)", "36928", "(576)",
                           "dense1 (Dense)", "36928", "650", "93322"}) {
    EXPECT_NE(summary.find(part), std::string::npos) << part << " in\n" << summary;
  }
}

TEST(Model, LayersThatDoNotFitAreErrors) {
  Sequential model({1, 28, 28});
  const auto message = [&](auto layer) { return message_of([&] { model.add(layer); }); };
  EXPECT_EQ(message(Dense(3)), "[Dense dense1] expected 2-D input (N,features), got (1,1,28,28)");
  EXPECT_EQ(message(Conv2D(4, {29, 3})), "[Conv2D conv1] expected images of at least 29x3, got 28x28");
  EXPECT_EQ(message(MaxPool2D({40, 1})), "[MaxPool2D pool1] expected images of at least 40x1, got 28x28");
  EXPECT_NE(message(Conv2D(0, {3, 3})).find("[Conv2D conv1] expected filters"), std::string::npos);
  EXPECT_NE(message(Conv2D(4, {3, 3}, {.padding = "full"})).find("got 'full'"), std::string::npos);
  EXPECT_NE(message(Conv2D(4, {3, 3}, {.activation = "gelu"})).find("got 'gelu'"), std::string::npos);
  EXPECT_NE(message(Activation("step")).find("[Activation activation1]"), std::string::npos);
  model.add(Flatten());
  EXPECT_EQ(message(Conv2D(4, {3, 3})), "[Conv2D conv1] expected 4-D input (N,C,H,W), got (1,784)");
  EXPECT_EQ(message(Dense(4, {.name = "flatten1"})), "[Dense flatten1] expected a new name, got that of another layer");
  EXPECT_EQ(message(Dense(4)), "");  // the failed ones have left nothing
  EXPECT_EQ(model.parameter_count(), 784 * 4 + 4);
}

// "same" keeps ceil(H / stride); an even kernel's odd pixel goes to the bottom right.
TEST(Model, SamePaddingByHand) {
  Sequential model({1, 5, 5});
  model.add(Conv2D(1, {2, 2}, {.padding = "same"})).add(Flatten());
  model.compile({.devices = "cpu:1", .micro_batches = 1});
  std::map<std::string, Tensor> weights = model.weights();
  for (float& x : weights.at("conv1.weight").floats()) x = 1;
  model.set_weights(std::move(weights));
  Tensor features(ValueType{{1, 1, 5, 5}});
  for (std::size_t i = 0; i < 25; ++i) features.floats()[i] = static_cast<float>(i);
  const Tensor sums = model.predict(features);
  EXPECT_EQ(sums.shape(), Shape({1, 25}));
  EXPECT_EQ(sums.floats()[0], 0 + 1 + 5 + 6);
  EXPECT_EQ(sums.floats()[4], 4 + 9);  // right of it is padding
  EXPECT_EQ(sums.floats()[24], 24);    // right and below

  Sequential strided({1, 7, 6});
  strided.add(Conv2D(3, {3, 3}, {.strides = {2, 2}, .padding = "same"}));
  EXPECT_NE(strided.summary().find("(3,4,3)"), std::string::npos) << strided.summary();
}

TEST(Initializers, BoundsAndMoments) {
  const Shape shape{40, 30, 3, 3};
  const std::pair<Initializer, double> cases[] = {
      {initializers::glorot_uniform(), std::sqrt(6.0 / (30 * 9 + 40 * 9))},
      {initializers::kaiming_uniform(), std::sqrt(1.0 / (30 * 9))},
  };
  for (const auto& [initializer, bound] : cases) {
    Random random(5);
    const Tensor tensor = initializer(shape, random);
    double largest = 0;
    double sum = 0;
    double squares = 0;
    for (float x : tensor.floats()) {
      largest = std::max(largest, std::abs(static_cast<double>(x)));
      sum += static_cast<double>(x);
      squares += static_cast<double>(x) * static_cast<double>(x);
    }
    const auto count = static_cast<double>(shape.elements());
    EXPECT_LE(largest, bound);
    EXPECT_GT(largest, 0.999 * bound);
    const double deviation = bound / std::sqrt(3);
    EXPECT_NEAR(sum / count, 0, 4 * deviation / std::sqrt(count));
    EXPECT_NEAR(std::sqrt(squares / count), deviation, 0.01 * deviation);
  }
  Random random(5);
  const Tensor zeros = initializers::zeros()({7}, random);
  for (float x : zeros.floats()) EXPECT_EQ(x, 0);
}

// Ten steps of fit, against the graph run in double precision by the reference. After the seventh a new session takes
// over weights and optimizer states.
TEST(Model, TrainsAsTheReference) {
  const auto data = corners(80);
  for (const Optimizer& optimizer : {Optimizer(Adam(0.01, 0.9, 0.999, 1e-2)), Optimizer(SGD(0.1, 0.9))}) {
    Sequential model = small_model();
    model.compile({.optimizer = optimizer, .devices = "cpu:2", .micro_batches = 2, .seed = 3});
    const Graph graph = model.training_graph(8, 1);
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
    EXPECT_EQ(model.report().plans_made, 2);
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
  EXPECT_GT(*history[3].validation_accuracy, 0.95);
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
  EXPECT_DOUBLE_EQ(metrics.accuracy, right / 70.0);
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

// Twenty steps contain planning anew by measured times.
TEST(Model, BitsDoNotDependOnDevicesPolicyOrStealing) {
  const std::string expected =
      trained_hash({.devices = "cpu:1", .policy = "single", .stealing = "none", .micro_batches = 4});
  EXPECT_EQ(expected.size(), 64U);
  for (const char* devices : {"cpu:1", "cpu:2", "cpu:3"}) {
    for (const PolicyInfo& policy : policies()) {
      if (policy.name == "replay") continue;
      for (const std::string& stealing : steal_rule_names()) {
        EXPECT_EQ(trained_hash({.devices = devices, .policy = policy.name, .stealing = stealing, .micro_batches = 4}),
                  expected)
            << devices << " " << policy.name << " " << stealing;
      }
    }
  }
  EXPECT_NE(trained_hash({.devices = "cpu:1", .micro_batches = 2}), expected);  // the count is part of the numerics
}

TEST(Model, PlansAreMadeAnewByMeasuredTimes) {
  Sequential model = small_model();
  model.compile({.devices = "cpu:2", .micro_batches = 2});
  model.fit(*corners(64), {.batch_size = 16, .steps = 12, .verbose = false, .trace_steps = 3});
  const TrainingReport& report = model.report();
  EXPECT_EQ(report.plans_made, 2);
  EXPECT_EQ(report.steps, 12);
  EXPECT_EQ(report.traces.size(), 3U);
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
  const int count = choose_micro_batches(model, 24, cluster, CostModel(), "auto");
  EXPECT_EQ(24 % count, 0);
  // Against all other counts that were allowed.
  const auto seconds = [&](int m) {
    return plan_with("auto", TaskGraph(model.training_graph(24, m), m), cluster, CostModel()).predicted_seconds;
  };
  for (const int other : {1, 2, 3, 4, 6, 8, 12}) EXPECT_LE(seconds(count), seconds(other) * 1.001) << other;
  EXPECT_EQ(trained_hash({.devices = "cpu:2"}), trained_hash({.devices = "cpu:2"}));
}

TEST(Model, CheckpointsContinueWithTheSameBits) {
  const auto data = corners(80);
  const std::string directory = file_in_temp("checkpoint");
  const CompileOptions options{.devices = "cpu:2", .micro_batches = 2, .seed = 8};
  const auto fit = [](std::int64_t steps) { return FitOptions{.batch_size = 16, .steps = steps, .verbose = false}; };
  Sequential whole = small_model();
  whole.compile(options);
  whole.fit(*data, fit(13));

  // Broken off in the middle of the second epoch of five batches.
  Sequential first = small_model();
  first.compile(options);
  first.fit(*data, fit(7));
  first.save_checkpoint(directory);
  Sequential second = small_model();
  second.compile({.devices = "cpu:1", .seed = 99});  // the seed and the micro-batches come from the checkpoint
  second.load_checkpoint(directory);
  EXPECT_EQ(second.weights_sha256(), first.weights_sha256());
  second.fit(*data, fit(6));
  EXPECT_EQ(second.weights_sha256(), whole.weights_sha256());
  first.fit(*data, fit(6));
  EXPECT_EQ(first.weights_sha256(), whole.weights_sha256());

  Sequential third = small_model();
  third.compile({.devices = "cpu:1", .micro_batches = 4});
  third.load_checkpoint(directory);
  EXPECT_EQ(message_of([&] { third.fit(*data, fit(1)); }), "[micro-batches] expected the checkpoint's 2, got 4");
  EXPECT_EQ(message_of([&] { third.fit(*data, {.batch_size = 8, .steps = 1, .verbose = false}); }),
            "[batch] expected the checkpoint's 16 samples, got 8");
  std::filesystem::remove_all(directory);
}

TEST(Model, BadCheckpointsAreErrorsThatNameTheFile) {
  const std::string directory = file_in_temp("bad_checkpoint");
  Sequential model = small_model();
  model.compile({.devices = "cpu:1"});
  const auto load = [&] { return message_of([&] { model.load_checkpoint(directory); }); };
  EXPECT_NE(load().find(directory), std::string::npos);
  model.save_checkpoint(directory);
  const std::string path = directory + "/skua.checkpoint";
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const std::string hash = model.weights_sha256();
  for (std::size_t i = 0; i < bytes.size(); i += 97) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 16);
    std::ofstream(path, std::ios::binary) << flipped;
    ASSERT_NE(load().find(path), std::string::npos) << "byte " << i;
    std::ofstream(path, std::ios::binary) << bytes.substr(0, i);
    ASSERT_NE(load().find(path), std::string::npos) << "first " << i << " bytes";
  }
  EXPECT_EQ(model.weights_sha256(), hash);
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_EQ(load(), "");
  Sequential other({1, 8, 8});
  other.add(Flatten()).add(Dense(4));
  other.compile({.devices = "cpu:1"});
  EXPECT_NE(message_of([&] { other.load_checkpoint(directory); }).find("got one of another"), std::string::npos);
  std::filesystem::remove_all(directory);
}

// Callbacks may save in the middle of an epoch.
TEST(Model, CheckpointsOfAStepContinueWithTheSameBits) {
  const auto data = corners(80);
  const std::string directory = file_in_temp("step_checkpoint");
  const CompileOptions options{.devices = "cpu:2", .micro_batches = 2, .seed = 4};
  class SaveAtStep3 final : public Callback {
   public:
    explicit SaveAtStep3(std::string directory) : directory_(std::move(directory)) {}
    void on_step_end(Sequential& model, const StepLogs& logs) override {
      if (logs.step == 3) model.save_checkpoint(directory_);
    }

   private:
    std::string directory_;
  } save(directory);
  Sequential whole = small_model();
  whole.compile(options);
  whole.fit(*data, {.batch_size = 16, .callbacks = {&save}, .verbose = false});
  Sequential rest = small_model();
  rest.compile(options);
  rest.load_checkpoint(directory);
  rest.fit(*data, {.batch_size = 16, .verbose = false});  // the epoch's other two steps
  EXPECT_EQ(rest.report().steps, 2);
  EXPECT_EQ(rest.weights_sha256(), whole.weights_sha256());

  Sequential other = small_model();
  other.compile({.optimizer = SGD(0.1, 0.9), .devices = "cpu:1", .micro_batches = 2});
  other.load_checkpoint(directory);
  EXPECT_EQ(message_of([&] { other.fit(*data, {.batch_size = 16, .verbose = false}); }),
            "[optimizer] expected the checkpoint's, got sgd_update, which keeps other states");
  std::filesystem::remove_all(directory);
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

// The profile says that two micro-batches are fastest by far; what the first fit measures says that one is.
TEST(Model, AutomaticMicroBatchesStayThoughMeasuredTimesDiffer) {
  const std::string path = file_in_temp("wrong_profile.json");
  Sequential model = small_model();
  const std::string kind = open_devices("cpu:1").cluster.devices()[0].kind;
  CostModel costs;
  for (const auto& [count, seconds] : {std::pair{1, 2e-9}, {2, 1e-10}}) {
    const TaskGraph tasks(model.training_graph(16, count), count);
    for (const CostKey& key : tasks.cost_keys()) {
      for (int i = 0; i < 3; ++i) costs.observe(key.signature, kind, seconds);
    }
  }
  costs.save(path);
  model.compile({.devices = "cpu:1", .profile_file = path});
  model.fit(*corners(64), {.batch_size = 16, .steps = 8, .verbose = false});
  ASSERT_EQ(model.report().plan.micro_batches, 2);
  const Cluster cluster = open_devices("cpu:1").cluster;
  ASSERT_NE(choose_micro_batches(model, 16, cluster, CostModel::load(path), "auto"), 2);  // with what was measured
  model.fit(*corners(64), {.batch_size = 16, .steps = 1, .verbose = false});
  EXPECT_EQ(model.report().plan.micro_batches, 2);
  model.fit(*corners(64), {.batch_size = 32, .steps = 1, .verbose = false});
  model.fit(*corners(64), {.batch_size = 16, .steps = 1, .verbose = false});
  EXPECT_EQ(model.report().plan.micro_batches, 2);
  std::filesystem::remove(path);
}

TEST(Model, ProfilesAreWrittenAndRead) {
  const std::string path = file_in_temp("profile.json");
  std::filesystem::remove(path);
  const CompileOptions options{.devices = "cpu:1", .micro_batches = 1, .profile_file = path};
  for (int attempt = 0; attempt < 2; ++attempt) {
    Sequential model = small_model();
    model.compile(options);
    model.fit(*corners(32), {.batch_size = 16, .steps = 10, .verbose = false});
    const TaskGraph tasks(model.training_graph(16, 1), 1);
    EXPECT_EQ(CostModel::load(path).measured_count(), tasks.cost_keys().size());
  }
  std::ofstream(path) << "nonsense";
  EXPECT_NE(message_of([&] { small_model().compile(options); }).find(path), std::string::npos);
  std::filesystem::remove(path);
}

class Recorder final : public Callback {
 public:
  void on_train_begin(Sequential&) override { text += "begin "; }
  void on_step_end(Sequential&, const StepLogs& logs) override {
    text += std::to_string(logs.epoch) + "." + std::to_string(logs.step) + " ";
    if (logs.epoch == 2 && logs.step == 2) stop_training = true;
  }
  void on_epoch_end(Sequential& model, const EpochLogs& logs) override {
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
  class Freeze final : public Callback {
   public:
    void on_train_begin(Sequential& model) override { first = model.weights(); }
    void on_step_end(Sequential& model, const StepLogs&) override {
      hashes.push_back(model.weights_sha256());
      std::map<std::string, Tensor> weights = model.weights();
      weights.at("conv1.weight") = first.at("conv1.weight");
      model.set_weights(std::move(weights));
      error = message_of([&] { model.compile(); });
    }
    std::map<std::string, Tensor> first;
    std::vector<std::string> hashes;
    std::string error;
  } freeze;
  Sequential model = small_model();
  model.compile({.optimizer = SGD(0.5), .devices = "cpu:2", .micro_batches = 2});
  model.fit(*corners(160), {.batch_size = 16, .callbacks = {&freeze}, .verbose = false});
  EXPECT_EQ(std::set<std::string>(freeze.hashes.begin(), freeze.hashes.end()).size(), 10U);
  const auto bytes = [](const Tensor& tensor) { return std::vector(tensor.floats().begin(), tensor.floats().end()); };
  EXPECT_EQ(bytes(model.weights().at("conv1.weight")), bytes(freeze.first.at("conv1.weight")));
  EXPECT_NE(bytes(model.weights().at("dense1.weight")), bytes(freeze.first.at("dense1.weight")));
  EXPECT_EQ(freeze.error, "[compile] expected no training under way, got a callback");
}

// A data set whose third batch has a label that the model does not know, once.
TEST(Model, TrainingGoesOnAfterAnErrorInAStep) {
  class Faulty final : public Dataset {
   public:
    [[nodiscard]] std::int64_t size() const override { return good->size(); }
    [[nodiscard]] Shape feature_shape() const override { return good->feature_shape(); }
    [[nodiscard]] int classes() const override { return good->classes(); }
    [[nodiscard]] std::string description() const override { return "faulty"; }
    void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels) const override {
      good->read(rows, features, labels);
      if (++reads == 3) labels.ints()[9] = 77;
    }
    std::shared_ptr<const Dataset> good = corners(80);
    mutable int reads = 0;
  } data;
  const CompileOptions options{.devices = "cpu:2", .micro_batches = 2, .seed = 2};
  Sequential model = small_model();
  model.compile(options);
  EXPECT_NE(message_of([&] { model.fit(data, {.batch_size = 16, .verbose = false}); }).find("77"), std::string::npos);
  model.fit(data, {.batch_size = 16, .verbose = false});  // the third to fifth batch
  EXPECT_EQ(data.reads, 6);
  Sequential whole = small_model();
  whole.compile(options);
  whole.fit(*data.good, {.batch_size = 16, .verbose = false});
  EXPECT_EQ(model.weights_sha256(), whole.weights_sha256());
}

// A layer from outside: y = x scale, with one scale for each feature.
class Scale final : public Layer {
 public:
  Scale() : Layer("") {}
  [[nodiscard]] std::string type_name() const override { return "Scale"; }
  [[nodiscard]] std::string name_prefix() const override { return "scale"; }
  ValueId build(LayerBuilder& builder, ValueId input) const override {
    builder.expect_rank(input, 2, "(N,features)");
    const std::int64_t units = builder.shape(input)[1];
    const ValueId weight = builder.parameter("weight", {1, units}, [](const Shape& shape, Random&) {
      Tensor tensor(ValueType{shape});
      for (float& x : tensor.floats()) x = 3;
      return tensor;
    });
    return builder.node({"dense", {}}, {input, weight});
  }
};

TEST(Model, LayersOfOnesOwn) {
  Sequential model({4});
  model.add(Scale()).add(Dense(2));
  EXPECT_EQ(model.parameter_count(), 4 + 2 + 2);
  model.compile({.devices = "cpu:1", .micro_batches = 1});
  EXPECT_EQ(model.weights().at("scale1.weight").floats()[3], 3);
  Sequential image({1, 4, 4});
  EXPECT_EQ(message_of([&] { image.add(Scale()); }), "[Scale scale1] expected 2-D input (N,features), got (1,1,4,4)");
}

TEST(Model, NumbersOfNamesStepOverTakenOnes) {
  Sequential model({1, 8, 8});
  model.add(Conv2D(2, {2, 2}, {.name = "conv2"})).add(Conv2D(3, {2, 2})).add(Conv2D(4, {2, 2}, {.name = "a"}));
  model.add(Flatten("a.b")).add(Dense(2, {.name = "a.c"}));
  model.compile({.devices = "cpu:1"});
  EXPECT_EQ(model.weights().count("conv3.weight"), 1U);
  EXPECT_NE(model.summary().find(std::to_string(4 * 3 * 4 + 4) + "\na.b"), std::string::npos) << model.summary();
}

TEST(Model, BadOptionsAreErrorsThatNameThem) {
  const auto compile = [](const CompileOptions& options) {
    return message_of([&] { small_model().compile(options); });
  };
  EXPECT_NE(compile({.devices = "gpu"}).find("got 'gpu'"), std::string::npos);
  EXPECT_NE(compile({.devices = "cuda:0"}).find("no CUDA devices"), std::string::npos);
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
  EXPECT_EQ(message_of([&] { wide.fit(*data); }), "[data] expected samples (1,9,9), got (1,8,8)");
  Sequential narrow({1, 8, 8});
  narrow.add(Flatten()).add(Dense(3));
  narrow.compile({.devices = "cpu:1"});
  EXPECT_EQ(message_of([&] { narrow.fit(*data); }), "[data] expected at most 3 classes, got 4");
  EXPECT_NE(message_of([&] {
              (void)narrow.predict(Tensor(ValueType{{2, 8, 8}}));
            }).find("[predict]"),
            std::string::npos);
  EXPECT_NE(message_of([&] { narrow.set_weights({}); }).find("[weights]"), std::string::npos);
  EXPECT_NE(message_of([] { (void)make_model("resnet"); }).find("got 'resnet'"), std::string::npos);
}

}  // namespace
}  // namespace skua::test
