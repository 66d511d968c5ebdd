#include "skua/layers/models.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <stdexcept>

namespace skua {
namespace {

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

}  // namespace

std::vector<std::string> model_names() {
  return {"mnist_cnn"};
}

Sequential make_model(const std::string& name) {
  if (name == "mnist_cnn") return mnist_cnn();
  throw std::invalid_argument(
      fmt::format("[model] expected one of {}, got '{}'", fmt::join(model_names(), ", "), name));
}

}  // namespace skua
