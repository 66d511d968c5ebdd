// The models of `skua bench models` against PyTorch, whose losses make_benchmark_losses.py wrote into
// tests/fixtures/benchmark_losses.txt. First weights and data are its functions of tensor and element.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iostream>
#include <sstream>

#include "models/peer_models.h"

namespace skua::test {
namespace {

constexpr std::int64_t kBatches = 2;
constexpr int kSteps = 50;
constexpr std::uint32_t kFeatures = 1000;
constexpr std::uint32_t kLabels = 1001;

std::uint32_t hashed(std::uint32_t tensor, std::size_t element) {
  std::uint32_t x = static_cast<std::uint32_t>(element) * 0x9E3779B1U + (tensor + 1) * 0x85EBCA77U;
  x = (x ^ x >> 16) * 0x85EBCA6BU;
  x = (x ^ x >> 13) * 0xC2B2AE35U;
  return x ^ x >> 16;
}

float uniform(std::uint32_t tensor, std::size_t element) {
  return static_cast<float>(hashed(tensor, element) >> 8) / static_cast<float>(1 << 24);
}

Tensor uniform_floats(std::uint32_t number, const Shape& shape, float scale, float shift) {
  Tensor tensor(ValueType{shape});
  const std::span<float> values = tensor.floats();
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = uniform(number, i) * scale - shift;
  return tensor;
}

std::map<std::string, Tensor> first_weights(const Model& model) {
  std::map<std::string, Tensor> weights;
  std::uint32_t number = 0;
  for (const auto& [name, old] : model.weights()) {
    const Shape& shape = old.shape();
    const double row = static_cast<double>(shape.elements() / shape[0]);
    const float bound = shape.rank() > 1 ? static_cast<float>(1 / std::sqrt(row)) : 0.0625F;
    Tensor values = uniform_floats(number++, shape, 2, 1);
    for (float& x : values.floats()) x *= bound;
    weights.emplace(name, std::move(values));
  }
  return weights;
}

// In each epoch one of the batches, so that figures of an epoch are those of a step.
class Batches final : public Dataset {
 public:
  Batches(std::int64_t samples, ValueType feature, ValueType label, int classes, float shift)
      : samples_(samples), feature_(std::move(feature)), label_(std::move(label)), classes_(classes), shift_(shift) {}
  [[nodiscard]] std::int64_t size() const override { return samples_; }
  [[nodiscard]] ValueType feature_type() const override { return feature_; }
  [[nodiscard]] ValueType label_type() const override { return label_; }
  [[nodiscard]] int classes() const override { return classes_; }
  [[nodiscard]] std::string description() const override { return "hashed numbers"; }
  void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels, std::int64_t epoch) const override {
    const auto first = static_cast<std::size_t>(epoch % kBatches * samples_);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const std::size_t row = first + static_cast<std::size_t>(rows[i]);
      fill(kFeatures, row, i, feature_.dtype == DType::kInt32 ? kWords : 0, features);
      fill(kLabels, row, i, static_cast<std::uint32_t>(label_.dtype == DType::kInt32 ? classes_ : 2), labels);
    }
  }

 private:
  static constexpr std::uint32_t kWords = 10000;

  // Integers below `bound`, or if that is 0 pixels.
  void fill(std::uint32_t number, std::size_t row, std::size_t at, std::uint32_t bound, Tensor& to) const {
    const auto count = static_cast<std::size_t>(to.shape().elements() / to.shape()[0]);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t element = row * count + i;
      if (to.type().dtype == DType::kInt32) {
        to.ints()[at * count + i] = static_cast<std::int32_t>(hashed(number, element) % bound);
      } else if (bound > 0) {
        to.floats()[at * count + i] = static_cast<float>(hashed(number, element) % bound);
      } else {
        to.floats()[at * count + i] = uniform(number, element) * (1 + shift_) - shift_;
      }
    }
  }

  std::int64_t samples_;
  ValueType feature_;
  ValueType label_;
  int classes_;
  float shift_;  // pixels go from -shift to 1
};

class Losses final : public Callback {
 public:
  void on_step_end(Model&, const StepLogs& logs) override {
    losses.push_back(logs.loss);
    const auto judge = logs.epoch_metrics.find("discriminator_loss");
    if (judge != logs.epoch_metrics.end()) discriminator_losses.push_back(judge->second);
  }
  std::vector<double> losses;
  std::vector<double> discriminator_losses;
};

std::vector<double> pytorch_losses(const std::string& name) {
  std::ifstream file(SKUA_SOURCE_DIR "/tests/fixtures/benchmark_losses.txt");
  std::vector<double> losses;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string first;
    if (!(words >> first) || first != name) continue;
    for (double loss = 0; words >> loss;) losses.push_back(loss);
  }
  return losses;
}

void expect_close(const std::vector<double>& losses, const std::string& name, const std::string& where) {
  const std::vector<double> expected = pytorch_losses(name);
  ASSERT_EQ(expected.size(), static_cast<std::size_t>(kSteps));
  ASSERT_EQ(losses.size(), expected.size());
  double largest = 0;
  for (std::size_t i = 0; i < losses.size(); ++i) {
    largest = std::max(largest, std::abs(losses[i] - expected[i]) / expected[i]);
    EXPECT_NEAR(losses[i], expected[i], 1e-4 * expected[i]) << name << ", " << where << ", step " << i;
  }
  std::cout << name << ", " << where << ": largest relative deviation " << largest << '\n';
}

// Learning rates are the model's times `rate_factor`. `name`: of the losses.
void expect_parity(const std::string& model_name, const std::string& name, double rate_factor, const Dataset& data,
                   const std::vector<int>& device_counts = {1, 2}) {
  const models::PeerModel& peer = models::peer_model(model_name);
  for (const int devices : device_counts) {
    for (const int micro_batches : {1, 2}) {
      Model model = peer.make();
      CompileOptions options = peer.compile;
      options.devices = "cpu:" + std::to_string(devices);
      options.policy = "data_parallel";
      options.micro_batches = micro_batches;
      model.compile(options);
      model.set_weights(first_weights(model));
      model.scale_learning_rate(rate_factor);
      Losses losses;
      model.fit(
          data,
          {.batch_size = data.size(), .epochs = kSteps, .shuffle = false, .callbacks = {&losses}, .verbose = false});
      const std::string where = options.devices + " M=" + std::to_string(micro_batches);
      expect_close(losses.losses, name, where);
      if (model_name == "gan") expect_close(losses.discriminator_losses, name + "_discriminator", where);
    }
  }
}

TEST(BenchmarkParity, Cnn) {
  expect_parity("cnn", "cnn", 1, Batches(8, {{1, 28, 28}}, {{}, DType::kInt32}, 10, 0));
}

// So many samples that most convolutions are transforms.
TEST(BenchmarkParity, CnnOfLargeBatches) {
  expect_parity("cnn", "cnn_32", 0.03, Batches(32, {{1, 28, 28}}, {{}, DType::kInt32}, 10, 0), {2});
}

TEST(BenchmarkParity, Rnn) {
  expect_parity("rnn", "rnn", 0.5, Batches(8, {{100}, DType::kInt32}, {{1}}, 0, 0));
}

TEST(BenchmarkParity, Lstm) {
  expect_parity("lstm", "lstm", 1, Batches(8, {{100}, DType::kInt32}, {{}, DType::kInt32}, 10000, 0));
}

TEST(BenchmarkParity, Gan) {
  expect_parity("gan", "gan", 0.1, Batches(8, {{1, 28, 28}}, {{}, DType::kInt32}, 10, 1));
}

TEST(BenchmarkParity, GanOfLargeBatches) {
  expect_parity("gan", "gan_64", 0.01, Batches(64, {{1, 28, 28}}, {{}, DType::kInt32}, 10, 1), {2});
}

}  // namespace
}  // namespace skua::test
