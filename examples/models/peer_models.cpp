#include "models/peer_models.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "models/models.h"

namespace skua::models {
namespace {

constexpr std::int64_t kWords = 10000;
constexpr std::int64_t kLength = 100;

constexpr std::int64_t kBatchesOfData = 8;

Tensor uniform_integers(Shape shape, std::uint64_t bound, Random& random) {
  Tensor tensor({std::move(shape), DType::kInt32});
  for (std::int32_t& x : tensor.ints()) x = static_cast<std::int32_t>(random.below(bound));
  return tensor;
}

Tensor uniform_floats(Shape shape, double low, double high, Random& random) {
  Tensor tensor(ValueType{std::move(shape)});
  for (float& x : tensor.floats()) x = static_cast<float>(random.uniform(low, high));
  return tensor;
}

// Pixels from `low` to 1.
std::shared_ptr<const Dataset> uniform_images(std::int64_t batch, double low) {
  Random random(1);
  const std::int64_t count = kBatchesOfData * batch;
  Tensor pixels = uniform_floats({count, 1, 28, 28}, low, 1, random);
  return datasets::arrays(std::move(pixels), uniform_integers({count}, 10, random), 10, "uniform pixels");
}

std::shared_ptr<const Dataset> uniform_reviews(std::int64_t batch) {
  Random random(1);
  const std::int64_t count = kBatchesOfData * batch;
  Tensor words = uniform_integers({count, kLength}, kWords, random);
  Tensor labels(ValueType{{count, 1}});
  for (float& label : labels.floats()) label = static_cast<float>(random.below(2));
  return datasets::arrays(std::move(words), std::move(labels), 0, "uniform words");
}

std::shared_ptr<const Dataset> uniform_text(std::int64_t batch) {
  Random random(1);
  const std::int64_t count = kBatchesOfData * batch;
  Tensor words = uniform_integers({count, kLength}, kWords, random);
  return datasets::arrays(std::move(words), uniform_integers({count}, kWords, random), kWords, "uniform words");
}

Model rnn() {
  Sequential model({kLength}, DType::kInt32);
  model.add(Embedding(kWords, 128)).add(SimpleRNN(64)).add(Dense(1));
  return model;
}

Model lstm() {
  Sequential model({kLength}, DType::kInt32);
  model.add(Embedding(kWords, 128)).add(LSTM(128)).add(Dense(kWords));
  return model;
}

Model gan() {
  Sequential generator({100});
  generator.add(Dense(7 * 7 * 256))
      .add(LeakyReLU(0.2))
      .add(Reshape({256, 7, 7}))
      .add(Conv2DTranspose(128, {5, 5}, {.padding = "same"}))
      .add(LeakyReLU(0.2))
      .add(Conv2DTranspose(64, {5, 5}, {.strides = {2, 2}, .padding = "same"}))
      .add(LeakyReLU(0.2))
      .add(Conv2DTranspose(1, {5, 5}, {.activation = "tanh", .strides = {2, 2}, .padding = "same"}));
  return Gan(generator, mnist_discriminator(), {.discriminator_optimizer = Adam(1e-3, {.epsilon = 1e-7})});
}

}  // namespace

const std::vector<PeerModel>& peer_models() {
  const Optimizer adam = Adam(1e-3, {.epsilon = 1e-7});
  static const std::vector<PeerModel> all{
      {"cnn",
       [] { return Model(mnist_cnn()); },
       {.optimizer = adam},
       [](std::int64_t batch) { return uniform_images(batch, 0); },
       {32, 128}},
      {"rnn", rnn, {.optimizer = adam, .loss = BinaryCrossentropy(true)}, uniform_reviews, {32, 128}},
      {"lstm", lstm, {.optimizer = adam}, uniform_text, {32, 128}},
      {"gan", gan, {.optimizer = adam}, [](std::int64_t batch) { return uniform_images(batch, -1); }, {64}}};
  return all;
}

const PeerModel& peer_model(const std::string& name) {
  const auto found = std::ranges::find(peer_models(), name, &PeerModel::name);
  if (found == peer_models().end()) {
    throw std::invalid_argument(fmt::format("[model] expected cnn, rnn, lstm or gan, got {}", name));
  }
  return *found;
}

}  // namespace skua::models
