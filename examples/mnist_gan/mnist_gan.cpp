// Trains a generator of handwritten digits against a discriminator, on MNIST (the folder is the argument) or on digits
// that Skua draws. Writes what it makes into gan_samples/ after each epoch.
#include <skua/skua.h>

using namespace skua;

int main(int argc, char** argv) {
  const DatasetPair digits = argc > 1 ? datasets::mnist(argv[1]) : datasets::synthetic_digits();
  const auto data = datasets::augmented(digits.train, {.mean = {0.5F}, .deviation = {0.5F}});  // pixels in [-1,1]

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
  Sequential discriminator({1, 28, 28});
  discriminator.add(Conv2D(64, {5, 5}, {.strides = {2, 2}, .padding = "same"}))
      .add(LeakyReLU(0.2))
      .add(Dropout(0.3))
      .add(Conv2D(128, {5, 5}, {.strides = {2, 2}, .padding = "same"}))
      .add(LeakyReLU(0.2))
      .add(Dropout(0.3))
      .add(Flatten())
      .add(Dense(1, {.activation = "sigmoid"}));

  Gan model(generator, discriminator, {.discriminator_optimizer = Adam(1e-4, {.beta1 = 0.5})});
  model.compile({.optimizer = Adam(1e-4, {.beta1 = 0.5}), .devices = "cpu:2"});
  SampleGrid samples("gan_samples");
  model.fit(*data, {.batch_size = 64, .epochs = 5, .callbacks = {&samples}});
}
