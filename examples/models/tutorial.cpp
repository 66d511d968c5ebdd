// The tutorial's four models, with its shapes.
#include "models.h"

namespace skua::models {

Sequential mnist_cnn() {
  Sequential model({1, 28, 28});
  model.add(Conv2D(32, {3, 3}, {.activation = "relu"}))
      .add(MaxPool2D({2, 2}))
      .add(Conv2D(64, {3, 3}, {.activation = "relu"}))
      .add(MaxPool2D({2, 2}))
      .add(Conv2D(64, {3, 3}, {.activation = "relu"}))
      .add(Flatten())
      .add(Dense(64, {.activation = "relu"}))
      .add(Dense(10));
  return model;
}

Sequential text_rnn(std::int64_t vocabulary, std::int64_t length) {
  Sequential model({length}, DType::kInt32);
  model.add(Embedding(vocabulary, 128, {.mask_zero = true}))
      .add(Dropout(0.5))
      .add(SimpleRNN(64))
      .add(Dropout(0.5))
      .add(Dense(1, {.activation = "sigmoid"}));
  return model;
}

Sequential text_lstm(std::int64_t vocabulary, std::int64_t length) {
  Sequential model({length}, DType::kInt32);
  model.add(Embedding(vocabulary, 128)).add(LSTM(128)).add(Dropout(0.2)).add(Dense(vocabulary));
  return model;
}

Sequential mnist_discriminator() {
  Sequential discriminator({1, 28, 28});
  discriminator.add(Conv2D(64, {5, 5}, {.strides = {2, 2}, .padding = "same"}))
      .add(LeakyReLU(0.2))
      .add(Dropout(0.3))
      .add(Conv2D(128, {5, 5}, {.strides = {2, 2}, .padding = "same"}))
      .add(LeakyReLU(0.2))
      .add(Dropout(0.3))
      .add(Flatten())
      .add(Dense(1, {.activation = "sigmoid"}));
  return discriminator;
}

Gan mnist_gan() {
  // Batch norm keeps the generator from collapsing to blank images, as it does without.
  Sequential generator({100});
  generator.add(Dense(7 * 7 * 256))
      .add(BatchNorm())
      .add(LeakyReLU(0.2))
      .add(Reshape({256, 7, 7}))
      .add(Conv2DTranspose(128, {5, 5}, {.padding = "same"}))
      .add(BatchNorm())
      .add(LeakyReLU(0.2))
      .add(Conv2DTranspose(64, {5, 5}, {.strides = {2, 2}, .padding = "same"}))
      .add(BatchNorm())
      .add(LeakyReLU(0.2))
      .add(Conv2DTranspose(1, {5, 5}, {.activation = "tanh", .strides = {2, 2}, .padding = "same"}));
  return {generator, mnist_discriminator(), {.discriminator_optimizer = skua::Adam(1e-4, {.beta1 = 0.5})}};
}

}  // namespace skua::models
