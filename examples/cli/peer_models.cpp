#include "peer_models.h"

#include "models/models.h"

namespace skua::cli {
namespace {

constexpr std::int64_t kWords = 10000;
constexpr std::int64_t kLength = 100;

std::shared_ptr<const Dataset> data_of(const std::string& model) {
  return models::recipe(model).data("").pair.train;
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
  return Gan(generator, models::mnist_discriminator(), {.discriminator_optimizer = Adam(1e-3, {.epsilon = 1e-7})});
}

}  // namespace

const std::vector<PeerModel>& peer_models() {
  const Optimizer adam = Adam(1e-3, {.epsilon = 1e-7});
  static const std::vector<PeerModel> all{
      {"cnn",
       [] { return Model(models::mnist_cnn()); },
       {.optimizer = adam},
       [] { return data_of("mnist_cnn"); },
       {32, 128}},
      {"rnn",
       rnn,
       {.optimizer = adam, .loss = BinaryCrossentropy(true)},
       [] { return data_of("text_rnn"); },
       {32, 128}},
      {"lstm", lstm, {.optimizer = adam}, [] { return data_of("text_lstm"); }, {32, 128}},
      {"gan", gan, {.optimizer = adam}, [] { return data_of("mnist_gan"); }, {64}}};
  return all;
}

}  // namespace skua::cli
