// Layers and initialisers: shapes, parameters, names, values for small numbers, errors.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

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

// Of a weight (40,30,3,3): fans 30·9 and 40·9. A uniform distribution in ±b has the deviation b / √3.
TEST(Initializers, BoundsAndMoments) {
  const Shape shape{40, 30, 3, 3};
  struct Case {
    const char* name;
    Initializer initializer;
    double deviation;
    bool bounded;
  };
  const Case cases[] = {
      {"glorot_uniform", initializers::glorot_uniform(), std::sqrt(2.0 / (30 * 9 + 40 * 9)), true},
      {"glorot_normal", initializers::glorot_normal(), std::sqrt(2.0 / (30 * 9 + 40 * 9)), false},
      {"he_uniform", initializers::he_uniform(), std::sqrt(2.0 / (30 * 9)), true},
      {"he_normal", initializers::he_normal(), std::sqrt(2.0 / (30 * 9)), false},
      {"kaiming_uniform", initializers::kaiming_uniform(), std::sqrt(1.0 / (3 * 30 * 9)), true},
      {"uniform", initializers::uniform(0.2), 0.2 / std::sqrt(3.0), true},
      {"normal", initializers::normal(0.2), 0.2, false},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Random random(5);
    const Tensor tensor = c.initializer(shape, random);
    double largest = 0;
    double sum = 0;
    double squares = 0;
    for (float x : tensor.floats()) {
      largest = std::max(largest, std::abs(static_cast<double>(x)));
      sum += static_cast<double>(x);
      squares += static_cast<double>(x) * static_cast<double>(x);
    }
    const auto count = static_cast<double>(shape.elements());
    const double bound = c.deviation * std::sqrt(3);
    if (c.bounded) {
      EXPECT_LE(largest, bound * 1.000001);
      EXPECT_GT(largest, 0.999 * bound);
    } else {
      EXPECT_GT(largest, 3 * c.deviation);
    }
    EXPECT_NEAR(sum / count, 0, 4 * c.deviation / std::sqrt(count));
    EXPECT_NEAR(std::sqrt(squares / count), c.deviation, 0.03 * c.deviation);
  }
}

TEST(Initializers, Constants) {
  for (const auto& [initializer, value] :
       {std::pair{initializers::zeros(), 0.0F}, {initializers::ones(), 1.0F}, {initializers::constant(2.5), 2.5F}}) {
    Random random(5);
    const Tensor tensor = initializer({7}, random);
    for (float x : tensor.floats()) EXPECT_EQ(x, value);
  }
}

// W Wᵀ = I where W is wide, Wᵀ W = I where it is tall.
TEST(Initializers, OrthogonalRowsOrColumns) {
  for (const Shape& shape : {Shape{4, 9}, Shape{9, 4}, Shape{5, 5}, Shape{6, 2, 3, 1}, Shape{8, 2, 1, 3}}) {
    SCOPED_TRACE(shape.to_string());
    Random random(3);
    const Tensor tensor = initializers::orthogonal()(shape, random);
    const auto out = static_cast<std::size_t>(shape[0]);
    const std::size_t in = tensor.floats().size() / out;
    const std::size_t vectors = std::min(out, in);
    const auto at = [&](std::size_t vector, std::size_t i) {
      return static_cast<double>(out <= in ? tensor.floats()[vector * in + i] : tensor.floats()[i * in + vector]);
    };
    for (std::size_t a = 0; a < vectors; ++a) {
      for (std::size_t b = 0; b < vectors; ++b) {
        double dot = 0;
        for (std::size_t i = 0; i < std::max(out, in); ++i) dot += at(a, i) * at(b, i);
        EXPECT_NEAR(dot, a == b ? 1 : 0, 1e-6) << a << ", " << b;
      }
    }
  }
}

// The output of one layer for an image of numbers 1, 2, 3, ..., with all weights 1 and all biases 0.
template <class L>
Tensor applied(const Shape& image, const L& layer) {
  Sequential model(image);
  model.add(layer);
  model.compile({.loss = MeanSquaredError(), .devices = "cpu:1", .micro_batches = 1});
  std::map<std::string, Tensor> weights = model.weights();
  for (auto& [name, tensor] : weights) {
    std::fill(tensor.floats().begin(), tensor.floats().end(), name.ends_with("bias") ? 0.0F : 1.0F);
  }
  model.set_weights(std::move(weights));
  std::vector<std::int64_t> extents = image.extents();
  extents.insert(extents.begin(), 1);
  Tensor features{ValueType{Shape(extents)}};
  std::iota(features.floats().begin(), features.floats().end(), 1.0F);
  return model.predict(features);
}

std::vector<float> numbers_of(const Tensor& tensor) {
  return {tensor.floats().begin(), tensor.floats().end()};
}

using Numbers = std::vector<float>;

TEST(Layers, ConvolutionsByHand) {
  // 1 2 3 / 4 5 6 / 7 8 9, corners of each 3x3 window
  EXPECT_EQ(numbers_of(applied({1, 3, 3}, Conv2D(1, {2, 2}, {.dilation = {2, 2}}))), Numbers({1 + 3 + 7 + 9}));
  // a row of zeros on top, two columns of zeros on the right
  const Tensor padded = applied({1, 2, 2}, Conv2D(1, {2, 2}, {.pads = std::array<std::int64_t, 4>{1, 0, 0, 2}}));
  EXPECT_EQ(padded.shape(), Shape({1, 1, 2, 3}));
  EXPECT_EQ(numbers_of(padded), Numbers({1 + 2, 2, 0, 1 + 2 + 3 + 4, 2 + 4, 0}));
  // two groups of two channels of one pixel
  EXPECT_EQ(numbers_of(applied({4, 1, 1}, Conv2D(4, {1, 1}, {.groups = 2}))), Numbers({3, 3, 7, 7}));
  EXPECT_EQ(numbers_of(applied({1, 1, 5}, Conv2D(1, {1, 2}, {.strides = {1, 3}}))), Numbers({1 + 2, 4 + 5}));
}

TEST(Layers, TransposedConvolutionsByHand) {
  // each pixel times a window of ones, two apart: they overlap in the middle column
  const Tensor wide = applied({1, 1, 2}, Conv2DTranspose(1, {1, 3}, {.strides = {1, 2}}));
  EXPECT_EQ(wide.shape(), Shape({1, 1, 1, 5}));
  EXPECT_EQ(numbers_of(wide), Numbers({1, 1, 1 + 2, 2, 2}));
  const Tensor same = applied({1, 1, 2}, Conv2DTranspose(1, {1, 3}, {.strides = {1, 2}, .padding = "same"}));
  EXPECT_EQ(same.shape(), Shape({1, 1, 1, 4}));
  EXPECT_EQ(numbers_of(same),
            Numbers({1, 1, 1 + 2, 2}));  // as the gradient of "same": the odd pixel is cut at the right
  const Tensor cut = applied(
      {1, 1, 2}, Conv2DTranspose(1, {1, 3}, {.strides = {1, 2}, .pads = std::array<std::int64_t, 4>{0, 1, 0, 2}}));
  EXPECT_EQ(numbers_of(cut), Numbers({1, 1 + 2}));
  const Tensor apart = applied({1, 1, 2}, Conv2DTranspose(1, {1, 2}, {.dilation = {1, 3}}));
  EXPECT_EQ(numbers_of(apart), Numbers({1, 2, 0, 1, 2}));
  EXPECT_EQ(numbers_of(applied({4, 1, 1}, Conv2DTranspose(4, {1, 1}, {.groups = 2}))), Numbers({3, 3, 7, 7}));
}

TEST(Layers, PoolingByHand) {
  EXPECT_EQ(numbers_of(applied({1, 1, 5}, MaxPool2D({1, 2}))), Numbers({2, 4}));
  EXPECT_EQ(numbers_of(applied({1, 1, 5}, MaxPool2D({1, 2}, {.padding = "same"}))), Numbers({2, 4, 5}));
  EXPECT_EQ(numbers_of(applied({1, 1, 5}, AveragePool2D({1, 2}, {.padding = "same"}))), Numbers({1.5F, 3.5F, 5}));
  EXPECT_EQ(numbers_of(applied({1, 1, 5}, AveragePool2D({1, 3}, {.strides = Size2{1, 1}}))), Numbers({2, 3, 4}));
  EXPECT_EQ(numbers_of(applied({2, 2, 2}, GlobalAveragePool2D())), Numbers({2.5F, 6.5F}));
}

// Predictions are the features, labels as given.
Metrics evaluated(const std::vector<std::vector<float>>& rows, const Tensor& labels, int classes, const Loss& loss,
                  const std::vector<Metric>& metrics) {
  const std::int64_t width = std::ssize(rows[0]);
  Sequential model({width});
  model.add(Dense(width, {.use_bias = false}));
  model.compile({.loss = loss, .metrics = metrics});
  Tensor identity(ValueType{{width, width}});
  for (std::int64_t i = 0; i < width; ++i) identity.floats()[static_cast<std::size_t>(i * width + i)] = 1;
  model.set_weights({{"dense1.weight", identity}});
  Tensor features(ValueType{{std::ssize(rows), width}});
  float* to = features.floats().data();
  for (const auto& row : rows) to = std::copy(row.begin(), row.end(), to);
  return model.evaluate(*datasets::arrays(features, labels, classes, "rows"), 2);
}

TEST(MetricsOfClasses, ByHand) {
  Tensor labels(ValueType{{3}, DType::kInt32});
  const std::vector<std::int32_t> classes{1, 2, 0};
  std::copy(classes.begin(), classes.end(), labels.ints().begin());
  const Metrics result =
      evaluated({{1, 3, 2, 0}, {5, 6, 4, 0}, {1, 2, 3, 4}}, labels, 4, SparseCategoricalCrossentropy(),
                {metrics::accuracy(), metrics::top_k(3), metrics::perplexity()});
  EXPECT_NEAR(result.metric("accuracy"), 1.0 / 3, 1e-12);
  EXPECT_NEAR(result.metric("top_3_accuracy"), 2.0 / 3, 1e-12);
  EXPECT_NEAR(result.metric("perplexity"), std::exp(result.loss), 1e-12);
  EXPECT_EQ(message_of([&] { (void)result.metric("recall"); }),
            "[metric] expected one of accuracy, perplexity, top_3_accuracy, got 'recall'");
}

// 2 true positives, 1 false one, 3 false negatives, 1 true one.
TEST(MetricsOfTwoClasses, ByHand) {
  Tensor labels(ValueType{{7, 1}});
  const std::vector<float> truth{1, 1, 0, 1, 1, 1, 0};
  std::copy(truth.begin(), truth.end(), labels.floats().begin());
  const std::vector<Metric> all{metrics::binary_accuracy(0), metrics::precision(0), metrics::recall(0)};
  const Metrics result = evaluated({{1}, {2}, {3}, {-1}, {-2}, {-0.5}, {-3}}, labels, 0, BinaryCrossentropy(true), all);
  EXPECT_NEAR(result.metric("accuracy"), 3.0 / 7, 1e-12);
  EXPECT_NEAR(result.metric("precision"), 2.0 / 3, 1e-12);
  EXPECT_NEAR(result.metric("recall"), 2.0 / 5, 1e-12);
  const Metrics none =
      evaluated({{-1}, {-2}, {-3}, {-1}, {-2}, {-0.5}, {-3}}, labels, 0, BinaryCrossentropy(true), all);
  EXPECT_EQ(none.metric("precision"), 0);
  EXPECT_EQ(none.metric("recall"), 0);
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
