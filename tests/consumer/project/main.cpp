#include <skua/skua.h>

#include <iostream>

// Trains for a few steps.
int main() {
  using namespace skua;
  const DatasetPair digits = datasets::synthetic_digits(64, 16);
  Sequential model({1, 28, 28});
  model.add(Flatten()).add(Dense(10));
  model.compile({.optimizer = Adam(1e-2), .devices = "cpu:2"});
  model.fit(*digits.train, {.batch_size = 16, .epochs = 2, .verbose = false});
  std::cout << model.summary() << model.evaluate(*digits.test).loss << '\n';
  return model.report().steps == 8 ? 0 : 1;
}
