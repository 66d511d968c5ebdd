// Models with graph passes on and off: the same training.
#include "skua/graph/passes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <tuple>

#include "files.h"
#include "layers/small_models.h"

namespace skua::test {
namespace {

using Names = std::vector<std::string>;

class Losses final : public Callback {
 public:
  void on_step_end(Model&, const StepLogs& logs) override { values.push_back(logs.loss); }
  std::vector<double> values;
};

// 8x8 images of which the second pool leaves a row and a column; what a pool reads shrinks the convolutions.
Sequential images_model() {
  Sequential model({1, 8, 8});
  model.add(Conv2D(5, {3, 3}, {.activation = "relu", .padding = "same"}))
      .add(MaxPool2D({2, 2}))
      .add(Conv2D(6, {2, 2}))
      .add(LeakyReLU(0.3))
      .add(MaxPool2D({2, 2}))
      .add(Flatten())
      .add(Dense(8, {.activation = "elu"}))
      .add(Dense(4));
  return model;
}

Gan small_gan() {
  Sequential generator({6});
  generator.add(Dense(3 * 4 * 4, {.activation = "relu"}))
      .add(Reshape({3, 4, 4}))
      .add(Conv2DTranspose(1, {4, 4}, {.activation = "tanh", .strides = {2, 2}, .padding = "same"}));
  Sequential discriminator({1, 8, 8});
  discriminator.add(Conv2D(4, {3, 3}, {.activation = "leaky_relu", .strides = {2, 2}}))
      .add(Dropout(0.3))
      .add(Flatten())
      .add(Dense(1, {.activation = "sigmoid"}));
  return {generator, discriminator, {.discriminator_optimizer = SGD(0.05)}};
}

// Sums of branches, activations and dropouts in a row.
Functional branches_model() {
  Functional model({1, 8, 8});
  const Symbol x = model.add(Conv2D(16, {3, 3}, {.padding = "same"}), model.input());
  const Symbol y = model.add(Conv2D(16, {3, 3}, {.activation = "elu", .padding = "same"}), x);
  Symbol z = model.add(Dropout(0.2), model.add(Activation("relu"), model.add(Add(), {x, model.add(Dropout(0.4), y)})));
  z = model.add(Activation("gelu"), model.add(Conv2D(7, {2, 2}), z));
  model.add(Dense(4), model.add(Flatten(), z));
  return model;
}

// Words of a vocabulary of 9 in sentences of 6, some of them twice.
Sequential words_model() {
  Sequential model({6}, DType::kInt32);
  model.add(Embedding(9, 5)).add(LSTM(4)).add(Dense(4));
  return model;
}

std::shared_ptr<const Dataset> sentences(std::int64_t count) {
  Tensor features(ValueType{{count, 6}, DType::kInt32});
  Tensor labels(ValueType{{count}, DType::kInt32});
  Random random(3);
  for (std::int32_t& word : features.ints()) word = static_cast<std::int32_t>(random.below(9));
  for (std::int32_t& label : labels.ints()) label = static_cast<std::int32_t>(random.below(4));
  return datasets::arrays(std::move(features), std::move(labels), 4, "sentences");
}

struct Trained {
  std::vector<double> losses;
  std::string sha256;
};

Trained train(Model model, const Names& passes, const Optimizer& optimizer,
              const std::shared_ptr<const Dataset>& data = corners(64), const std::string& devices = "cpu:1",
              const std::string& policy = "auto") {
  model.compile(
      {.optimizer = optimizer, .devices = devices, .policy = policy, .micro_batches = 2, .seed = 5, .passes = passes});
  Losses losses;
  model.fit(*data, {.batch_size = 16, .steps = 10, .callbacks = {&losses}, .verbose = false});
  return {losses.values, model.weights_sha256()};
}

// Rounding in another order, of a step's some hundred sums, a few units in the last place of float32 (2^-24) each, over
// ten steps of plain gradient descent, which does not magnify them.
constexpr double kTolerance = 1e-5;

void expect_near(const Trained& got, const Trained& expected) {
  ASSERT_EQ(got.losses.size(), expected.losses.size());
  for (std::size_t i = 0; i < got.losses.size(); ++i) {
    EXPECT_NEAR(got.losses[i], expected.losses[i], kTolerance * expected.losses[i]) << "step " << i;
  }
}

TEST(ModelPasses, ImagesTrainTheSame) {
  const Trained expected = train(images_model(), {}, SGD(0.05));
  // relu and leaky_relu keep every bit.
  EXPECT_EQ(train(images_model(), {"activations"}, SGD(0.05)).sha256, expected.sha256);
  EXPECT_EQ(train(images_model(), {"pool_first"}, SGD(0.05)).sha256, expected.sha256);
  expect_near(train(images_model(), {"dead_regions"}, SGD(0.05)), expected);
  expect_near(train(images_model(), pass_names(), SGD(0.05)), expected);
}

TEST(ModelPasses, GansTrainTheSame) {
  const Trained expected = train(small_gan(), {}, SGD(0.05));
  EXPECT_EQ(train(small_gan(), {"activations"}, SGD(0.05)).sha256, expected.sha256);
  expect_near(train(small_gan(), pass_names(), SGD(0.05)), expected);
}

TEST(ModelPasses, WordsTrainTheSame) {
  const auto data = sentences(64);
  const Trained expected = train(words_model(), {}, SGD(0.05), data);
  expect_near(train(words_model(), {"embeddings"}, SGD(0.05), data), expected);
}

TEST(ModelPasses, ElementWiseKeepsEveryBit) {
  const std::pair<std::function<Model()>, std::shared_ptr<const Dataset>> cases[] = {{images_model, corners(64)},
                                                                                     {small_gan, corners(64)},
                                                                                     {branches_model, corners(64)},
                                                                                     {words_model, sentences(64)}};
  Names others = pass_names();
  std::erase(others, "element_wise");
  // Devices of two threads have bits of their own.
  const std::tuple<const char*, const char*, const char*> devices[] = {
      {"cpu:1", "cpu:1", "auto"}, {"cpu:1", "cpu:2", "round_robin"}, {"cpu:1x2", "cpu:1x2", "auto"}};
  for (const auto& [make, data] : cases) {
    for (const auto& [before, after, policy] : devices) {
      const Trained expected = train(make(), others, Adam(0.01), data, before);
      const Trained got = train(make(), pass_names(), Adam(0.01), data, after, policy);
      EXPECT_EQ(got.losses, expected.losses);
      EXPECT_EQ(got.sha256, expected.sha256) << after;
    }
  }
}

TEST(ModelPasses, EveryPassChangesOneOfTheModels) {
  const Model models[] = {images_model(), words_model(), branches_model()};
  for (const std::string& name : pass_names()) {
    EXPECT_TRUE(std::any_of(std::begin(models), std::end(models), [&](const Model& model) {
      const auto graph = [&](const Names& passes) {
        return fingerprint(model.training_graph(16, 2, {.passes = passes}));
      };
      return graph({name}) != graph({});
    })) << name;
  }
}

TEST(ModelPasses, EvaluationAndPredictionsAreTheSame) {
  std::vector<double> losses;
  std::vector<Tensor> predictions;
  Tensor features(ValueType{{20, 1, 8, 8}});
  Tensor labels(ValueType{{20}, DType::kInt32});
  std::vector<std::int64_t> rows(20);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::int64_t>(i);
  corners(20)->read(rows, features, labels);
  for (const Names& passes : {Names(), pass_names()}) {
    Sequential model = images_model();
    model.compile({.devices = "cpu:1", .seed = 5, .passes = passes});
    losses.push_back(model.evaluate(*corners(20)).loss);
    predictions.push_back(model.predict(features));
  }
  EXPECT_NEAR(losses[1], losses[0], kTolerance * losses[0]);
  for (std::size_t i = 0; i < predictions[0].floats().size(); ++i) {
    EXPECT_NEAR(predictions[1].floats()[i], predictions[0].floats()[i], kTolerance);
  }
}

TEST(ModelPasses, CheckpointsLoadWhateverThePasses) {
  const Folder folder("passes");
  Sequential saved = images_model();
  saved.compile({.devices = "cpu:1", .micro_batches = 2, .seed = 5, .passes = {}});
  saved.fit(*corners(64), {.batch_size = 16, .steps = 3, .verbose = false});
  saved.save_checkpoint(folder / "");
  Sequential loaded = images_model();
  loaded.compile({.devices = "cpu:1", .micro_batches = 2, .seed = 9});
  loaded.load_checkpoint(folder / "");
  EXPECT_EQ(loaded.weights_sha256(), saved.weights_sha256());
  loaded.fit(*corners(64), {.batch_size = 16, .steps = 1, .verbose = false});
}

TEST(ModelPasses, ALayerThatConstraintsNameKeepsANode) {
  Sequential model = images_model();
  CompileOptions options{.devices = "cpu:2", .micro_batches = 2};
  options.constraints.pins = {{"leaky_relu1", {"cpu:1"}}};
  const Graph graph = model.training_graph(16, 2, options);
  EXPECT_TRUE(graph.find_node("leaky_relu1").valid());
  EXPECT_FALSE(graph.find_node("conv1.relu").valid());
  options.constraints = {};
  EXPECT_FALSE(model.training_graph(16, 2, options).find_node("leaky_relu1").valid());
}

TEST(ModelPasses, ALayerThatConstraintsNameKeepsAllNodesThroughTheLastPass) {
  const Functional model = branches_model();
  CompileOptions options{.devices = "cpu:2", .micro_batches = 2};
  EXPECT_FALSE(model.training_graph(16, 2, options).find_node("dropout1").valid());
  options.constraints.pins = {{"dropout1", {"cpu:1"}}};
  const Graph graph = model.training_graph(16, 2, options);
  for (const char* node : {"dropout1", "dropout1.backward"}) {
    ASSERT_TRUE(graph.find_node(node).valid()) << node;
    EXPECT_EQ(graph.node(graph.find_node(node)).op.type, "dropout");
  }
}

TEST(ModelPasses, UnknownNamesAreRefused) {
  Sequential model = images_model();
  EXPECT_THROW(model.compile({.devices = "cpu:1", .passes = {"fast"}}), std::invalid_argument);
}

}  // namespace
}  // namespace skua::test
