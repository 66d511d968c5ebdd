// Layers and initialisers: shapes, parameters, names, values for small numbers, errors.
#include <gtest/gtest.h>

#include <cmath>

#include "graph/small_graphs.h"
#include "layers/small_models.h"

namespace skua::test {
namespace {

TEST(Model, SummaryOfTheMnistCnnByHand) {
  const Sequential model = models::mnist_cnn();
  EXPECT_EQ(model.parameter_count(), 32 * 9 + 32 + 64 * 32 * 9 + 64 + 64 * 64 * 9 + 64 + 576 * 64 + 64 + 640 + 10);
  const std::string summary = model.summary();
  for (const char* part : {"conv1 (Conv2D)", "(32,26,26)", "320", "(64,11,11)", "18496", "(64,3,3)", "36928", "(576)",
                           "dense1 (Dense)", "36928", "650", "93322"}) {
    EXPECT_NE(summary.find(part), std::string::npos) << part << " in\n" << summary;
  }
}

TEST(Model, LayersThatDoNotFitAreErrors) {
  Sequential model({1, 28, 28});
  const auto message = [&](auto layer) { return message_of([&] { model.add(layer); }); };
  EXPECT_EQ(message(Dense(3)), "[Dense dense1] expected 2-D input (N,features), got (1,1,28,28)");
  EXPECT_EQ(message(Conv2D(4, {29, 3})), "[Conv2D conv1] expected images of at least 29x3, got 28x28");
  EXPECT_EQ(message(MaxPool2D({40, 1})), "[MaxPool2D pool1] expected images of at least 40x1, got 28x28");
  EXPECT_NE(message(Conv2D(0, {3, 3})).find("[Conv2D conv1] expected filters"), std::string::npos);
  EXPECT_NE(message(Conv2D(4, {3, 3}, {.padding = "full"})).find("got 'full'"), std::string::npos);
  EXPECT_NE(message(Conv2D(4, {3, 3}, {.activation = "step"})).find("got 'step'"), std::string::npos);
  EXPECT_NE(message(Activation("step")).find("[Activation activation1]"), std::string::npos);
  model.add(Flatten());
  EXPECT_EQ(message(Conv2D(4, {3, 3})), "[Conv2D conv1] expected 4-D input (N,C,H,W), got (1,784)");
  EXPECT_EQ(message(Dense(4, {.name = "flatten1"})), "[Dense flatten1] expected a new name, got that of another layer");
  EXPECT_EQ(message(Dense(4)), "");  // the failed ones have left nothing
  EXPECT_EQ(model.parameter_count(), 784 * 4 + 4);
}

// "same" keeps ceil(H / stride); an even kernel's odd pixel goes to the bottom right.
TEST(Model, SamePaddingByHand) {
  Sequential model({1, 5, 5});
  model.add(Conv2D(1, {2, 2}, {.padding = "same"})).add(Flatten());
  model.compile({.devices = "cpu:1", .micro_batches = 1});
  std::map<std::string, Tensor> weights = model.weights();
  for (float& x : weights.at("conv1.weight").floats()) x = 1;
  model.set_weights(std::move(weights));
  Tensor features(ValueType{{1, 1, 5, 5}});
  for (std::size_t i = 0; i < 25; ++i) features.floats()[i] = static_cast<float>(i);
  const Tensor sums = model.predict(features);
  EXPECT_EQ(sums.shape(), Shape({1, 25}));
  EXPECT_EQ(sums.floats()[0], 0 + 1 + 5 + 6);
  EXPECT_EQ(sums.floats()[4], 4 + 9);  // right of it is padding
  EXPECT_EQ(sums.floats()[24], 24);    // right and below

  Sequential strided({1, 7, 6});
  strided.add(Conv2D(3, {3, 3}, {.strides = {2, 2}, .padding = "same"}));
  EXPECT_NE(strided.summary().find("(3,4,3)"), std::string::npos) << strided.summary();
}

TEST(Initializers, BoundsAndMoments) {
  const Shape shape{40, 30, 3, 3};
  const std::pair<Initializer, double> cases[] = {
      {initializers::glorot_uniform(), std::sqrt(6.0 / (30 * 9 + 40 * 9))},
      {initializers::kaiming_uniform(), std::sqrt(1.0 / (30 * 9))},
  };
  for (const auto& [initializer, bound] : cases) {
    Random random(5);
    const Tensor tensor = initializer(shape, random);
    double largest = 0;
    double sum = 0;
    double squares = 0;
    for (float x : tensor.floats()) {
      largest = std::max(largest, std::abs(static_cast<double>(x)));
      sum += static_cast<double>(x);
      squares += static_cast<double>(x) * static_cast<double>(x);
    }
    const auto count = static_cast<double>(shape.elements());
    EXPECT_LE(largest, bound);
    EXPECT_GT(largest, 0.999 * bound);
    const double deviation = bound / std::sqrt(3);
    EXPECT_NEAR(sum / count, 0, 4 * deviation / std::sqrt(count));
    EXPECT_NEAR(std::sqrt(squares / count), deviation, 0.01 * deviation);
  }
  Random random(5);
  const Tensor zeros = initializers::zeros()({7}, random);
  for (float x : zeros.floats()) EXPECT_EQ(x, 0);
}

// A layer from outside: y = x scale, with one scale for each feature.
class Scale final : public UnaryLayer {
 public:
  Scale() : UnaryLayer("Scale", "scale", "") {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override {
    builder.expect_rank(input, 2, "(N,features)");
    const std::int64_t units = builder.shape(input)[1];
    const ValueId weight = builder.parameter("weight", {1, units}, [](const Shape& shape, Random&) {
      Tensor tensor(ValueType{shape});
      for (float& x : tensor.floats()) x = 3;
      return tensor;
    });
    return builder.node({"dense", {}}, {input, weight});
  }
};

TEST(Model, LayersOfOnesOwn) {
  Sequential model({4});
  model.add(Scale()).add(Dense(2));
  EXPECT_EQ(model.parameter_count(), 4 + 2 + 2);
  model.compile({.devices = "cpu:1", .micro_batches = 1});
  EXPECT_EQ(model.weights().at("scale1.weight").floats()[3], 3);
  Sequential image({1, 4, 4});
  EXPECT_EQ(message_of([&] { image.add(Scale()); }), "[Scale scale1] expected 2-D input (N,features), got (1,1,4,4)");
}

TEST(Model, NumbersOfNamesStepOverTakenOnes) {
  Sequential model({1, 8, 8});
  model.add(Conv2D(2, {2, 2}, {.name = "conv2"})).add(Conv2D(3, {2, 2})).add(Conv2D(4, {2, 2}, {.name = "a"}));
  model.add(Flatten("a.b")).add(Dense(2, {.name = "a.c"}));
  model.compile({.devices = "cpu:1"});
  EXPECT_EQ(model.weights().count("conv3.weight"), 1U);
  EXPECT_NE(model.summary().find(std::to_string(4 * 3 * 4 + 4) + "\na.b"), std::string::npos) << model.summary();
}

}  // namespace
}  // namespace skua::test
