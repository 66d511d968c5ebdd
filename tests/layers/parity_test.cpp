// Small models against PyTorch, which made tests/fixtures/parity.json by the script beside it.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "graph/small_graphs.h"
#include "layers/small_models.h"

namespace skua::test {
namespace {

const nlohmann::json& fixture() {
  static const nlohmann::json json =
      nlohmann::json::parse(std::ifstream(SKUA_SOURCE_DIR "/tests/fixtures/parity.json"));
  return json;
}

Tensor tensor_of(const nlohmann::json& values, const Shape& shape, DType dtype = DType::kFloat32) {
  return reference::to_tensor(values.get<reference::Array>(), {shape, dtype});
}

std::map<std::string, Tensor> weights_of(const nlohmann::json& json) {
  std::map<std::string, Tensor> weights;
  for (const auto& [name, tensor] : json.items()) {
    weights[name] = tensor_of(tensor["values"], Shape(tensor["shape"].get<Integers>()));
  }
  return weights;
}

// The same rows in each batch.
class Batch final : public Dataset {
 public:
  Batch(Tensor features, Tensor labels, int classes)
      : features_(std::move(features)), labels_(std::move(labels)), classes_(classes) {}
  [[nodiscard]] std::int64_t size() const override { return features_.shape()[0]; }
  [[nodiscard]] ValueType feature_type() const override { return sample(features_); }
  [[nodiscard]] ValueType label_type() const override { return sample(labels_); }
  [[nodiscard]] int classes() const override { return classes_; }
  [[nodiscard]] std::string description() const override { return "a batch"; }
  void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels, std::int64_t) const override {
    for (std::size_t i = 0; i < rows.size(); ++i) {
      copy_row(features_, rows[i], features, i);
      copy_row(labels_, rows[i], labels, i);
    }
  }

 private:
  static ValueType sample(const Tensor& tensor) {
    Integers extents = tensor.shape().extents();
    extents.erase(extents.begin());
    return {Shape(extents), tensor.type().dtype};
  }
  static void copy_row(const Tensor& from, std::int64_t row, Tensor& to, std::size_t at) {
    const std::size_t bytes = from.bytes() / static_cast<std::size_t>(from.shape()[0]);
    std::memcpy(to.data() + at * bytes, from.data() + static_cast<std::size_t>(row) * bytes, bytes);
  }

  Tensor features_;
  Tensor labels_;
  int classes_;
};

class Losses final : public Callback {
 public:
  void on_step_end(Model&, const StepLogs& logs) override {
    losses.push_back(logs.loss);
    metrics.push_back(logs.epoch_metrics);
  }
  std::vector<double> losses;
  std::vector<MetricValues> metrics;  // each epoch is one step
};

void expect_near(const std::vector<double>& got, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i)
    EXPECT_NEAR(got[i], expected[i], tolerance * expected[i]) << "step " << i;
}

// Fifty steps of the same batch; also cut into micro-batches where the numerics allow it.
void expect_parity(Model model, const std::string& name, const Dataset& data, const Optimizer& optimizer,
                   const Loss& loss, int micro_batches = 2) {
  const nlohmann::json& json = fixture()["models"][name];
  model.compile({.optimizer = optimizer, .loss = loss, .devices = "cpu:2", .micro_batches = micro_batches});
  model.set_weights(weights_of(json["weights"]));
  Losses losses;
  model.fit(data, {.batch_size = 8, .epochs = 50, .shuffle = false, .callbacks = {&losses}, .verbose = false});
  expect_near(losses.losses, json["losses"].get<std::vector<double>>(), 1e-4);
  for (const auto& [weight, expected] : weights_of(json["trained"])) {
    const Tensor& trained = model.weights().at(weight);
    for (std::size_t i = 0; i < expected.floats().size(); ++i) {
      ASSERT_NEAR(trained.floats()[i], expected.floats()[i], 1e-3) << weight << " " << i;
    }
  }
}

Batch images_of(const std::string& name) {
  const nlohmann::json& json = fixture()["models"][name];
  return {tensor_of(json["features"], {8, 1, 14, 14}), tensor_of(json["labels"], {8}, DType::kInt32), 4};
}

Tensor ids_of(const std::string& name) {
  return tensor_of(fixture()["models"][name]["features"], {8, 9}, DType::kInt32);
}

TEST(Parity, Cnn) {
  Sequential model({1, 14, 14});
  model.add(Conv2D(4, {3, 3}, {.activation = "relu"}))
      .add(MaxPool2D({2, 2}))
      .add(Conv2D(6, {3, 3}, {.activation = "relu"}))
      .add(MaxPool2D({2, 2}))
      .add(Flatten())
      .add(Dense(10, {.activation = "relu"}))
      .add(Dense(4));
  expect_parity(std::move(model), "cnn", images_of("cnn"), Adam(1e-3), SparseCategoricalCrossentropy());
}

TEST(Parity, TextRnn) {
  Sequential model({9}, DType::kInt32);
  model.add(Embedding(20, 6)).add(SimpleRNN(5)).add(Dense(1, {.activation = "sigmoid"}));
  const Batch data(ids_of("text_rnn"), tensor_of(fixture()["models"]["text_rnn"]["labels"], {8, 1}), 0);
  expect_parity(std::move(model), "text_rnn", data, Adam(1e-2), BinaryCrossentropy());
}

TEST(Parity, TextLstmOfTwoLayersAndBothDirections) {
  const Batch data(ids_of("text_lstm"), tensor_of(fixture()["models"]["text_lstm"]["labels"], {8}, DType::kInt32), 20);
  for (const int chunks : {1, 3}) {
    Sequential model({9}, DType::kInt32);
    model.add(Embedding(20, 6))
        .add(LSTM(7, {.layers = 2, .bidirectional = true, .time_chunks = chunks}))
        .add(Dense(20));
    expect_parity(std::move(model), "text_lstm", data, Adam(1e-3), SparseCategoricalCrossentropy());
  }
}

TEST(Parity, TextGruOfEveryStep) {
  Sequential model({9}, DType::kInt32);
  model.add(Embedding(20, 6)).add(GRU(7, {.return_sequences = true, .time_chunks = 2})).add(Dense(20));
  const Batch data(ids_of("text_gru"), tensor_of(fixture()["models"]["text_gru"]["labels"], {8, 9}, DType::kInt32), 20);
  expect_parity(std::move(model), "text_gru", data, Adam(1e-3), SparseCategoricalCrossentropy());
}

// Batch norm sees a micro-batch, so there is one. The running averages are among the weights that are compared.
TEST(Parity, BranchesAndNormalization) {
  Functional model({1, 14, 14});
  Symbol x = model.add(Conv2D(4, {3, 3}, {.padding = "same"}), model.input());
  x = model.add(Activation("gelu"), model.add(BatchNorm(), x));
  const Symbol y = model.add(Conv2D(4, {3, 3}, {.activation = "elu", .padding = "same", .groups = 2}), x);
  x = model.add(Dense(6), model.add(GlobalAveragePool2D(), model.add(Add(), {y, x})));
  x = model.add(Activation("softplus"), model.add(LayerNorm(), x));
  model.add(Dense(4), x);
  expect_parity(std::move(model), "normed", images_of("normed"), SGD(1e-2, {.momentum = 0.9}),
                SparseCategoricalCrossentropy(), 1);
}

TEST(Parity, Gan) {
  const nlohmann::json& json = fixture()["gan"];
  Sequential generator({3});
  generator.add(Dense(16))
      .add(LeakyReLU(0.2))
      .add(Reshape({4, 2, 2}))
      .add(Conv2DTranspose(3, {5, 5}, {.padding = "same"}))
      .add(LeakyReLU(0.2))
      .add(Conv2DTranspose(1, {5, 5}, {.activation = "tanh", .strides = {2, 2}, .padding = "same"}));
  Sequential discriminator({1, 4, 4});
  discriminator.add(Conv2D(3, {5, 5}, {.strides = {2, 2}, .padding = "same"}))
      .add(LeakyReLU(0.2))
      .add(Flatten())
      .add(Dense(1, {.activation = "sigmoid"}));
  Gan gan(generator, discriminator, {.discriminator_optimizer = Adam(2e-3, {.beta1 = 0.5})});
  gan.compile({.optimizer = Adam(1e-3, {.beta1 = 0.5}), .devices = "cpu:2", .micro_batches = 2, .seed = 0});
  gan.set_weights(weights_of(json["weights"]));
  const Batch data(tensor_of(json["features"], {8, 1, 4, 4}), Tensor(ValueType{{8}, DType::kInt32}), 1);
  Losses losses;
  gan.fit(data, {.batch_size = 8, .epochs = 50, .shuffle = false, .callbacks = {&losses}, .verbose = false});
  expect_near(losses.losses, json["losses"].get<std::vector<double>>(), 1e-4);
  std::vector<double> judges;
  for (const MetricValues& values : losses.metrics) judges.push_back(values.at("discriminator_loss"));
  expect_near(judges, json["discriminator_losses"].get<std::vector<double>>(), 1e-4);
}

// Twenty steps of a linear model.
TEST(Parity, Optimizers) {
  const nlohmann::json& json = fixture()["optimizers"];
  const std::map<std::string, Optimizer> optimizers{
      {"sgd", SGD(0.05)},
      {"sgd_momentum", SGD(0.05, {.momentum = 0.9, .weight_decay = 0.02})},
      {"sgd_nesterov", SGD(0.05, {.momentum = 0.9, .nesterov = true})},
      {"adam", Adam(0.02, {.weight_decay = 0.02})},
      {"adamw", AdamW(0.02, 0.1)},
      {"rmsprop", RMSprop(0.01)},
      {"rmsprop_momentum", RMSprop(0.01, {.momentum = 0.9})},
      {"adagrad", Adagrad(0.05)},
      {"sgd_clip_value", SGD(0.05, {.clipping = {.value = 0.1}})},
      {"sgd_clip_global_norm", SGD(0.05, {.clipping = {.global_norm = 0.3}})},
  };
  const Batch data(tensor_of(json["features"], {6, 3}), tensor_of(json["labels"], {6, 2}), 0);
  ASSERT_EQ(json["trained"].size(), optimizers.size());
  for (const auto& [name, optimizer] : optimizers) {
    Sequential model({3});
    model.add(Dense(2));
    model.compile({.optimizer = optimizer, .loss = MeanSquaredError(), .devices = "cpu:2", .micro_batches = 2});
    model.set_weights(weights_of(json["weights"]));
    model.fit(data, {.batch_size = 6, .epochs = 20, .shuffle = false, .verbose = false});
    for (const auto& [weight, expected] : weights_of(json["trained"][name])) {
      for (std::size_t i = 0; i < expected.floats().size(); ++i) {
        EXPECT_NEAR(model.weights().at(weight).floats()[i], expected.floats()[i], 1e-6) << name << " " << weight;
      }
    }
  }
}

TEST(Parity, OneCycle) {
  const auto expected = fixture()["optimizers"]["one_cycle"].get<std::vector<double>>();
  const LearningRateSchedule schedule = schedules::one_cycle(40);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_NEAR(schedule(static_cast<std::int64_t>(i)), expected[i], 1e-9) << i;
  }
}

}  // namespace
}  // namespace skua::test
