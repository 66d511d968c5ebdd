// Trains a small CNN on MNIST (the folder is the argument), or on digits that Skua draws.
#include <skua/skua.h>

#include <iostream>

using namespace skua;

int main(int argc, char** argv) {
  const DatasetPair data = argc > 1 ? datasets::mnist(argv[1]) : datasets::synthetic_digits();

  Sequential model({1, 28, 28});
  model.add(Conv2D(32, {3, 3}, {.activation = "relu"}))
      .add(MaxPool2D({2, 2}))
      .add(Conv2D(64, {3, 3}, {.activation = "relu"}))
      .add(MaxPool2D({2, 2}))
      .add(Conv2D(64, {3, 3}, {.activation = "relu"}))
      .add(Flatten())
      .add(Dense(64, {.activation = "relu"}))
      .add(Dense(10));

  model.compile({.optimizer = Adam(1e-3), .devices = "cpu:2", .policy = "auto"});
  model.fit(*data.train, {.batch_size = 128, .epochs = 3, .validation = data.test.get()});
  std::cout << "test accuracy " << model.evaluate(*data.test).metric("accuracy") << '\n';
}
