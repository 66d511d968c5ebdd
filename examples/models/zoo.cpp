#include <fmt/format.h>

#include <stdexcept>

#include "models.h"

namespace skua::models {
namespace {

Initializer he() {
  return initializers::he_normal();
}

// Convolution, batch norm and, unless `activation` is empty, an activation.
Symbol conv_block(Functional& model, Symbol x, std::int64_t filters, Size2 kernel, Size2 strides = {1, 1},
                  const std::string& activation = "relu", const std::string& padding = "same") {
  x = model.add(
      Conv2D(filters, kernel, {.strides = strides, .padding = padding, .use_bias = false, .kernel_initializer = he()}),
      x);
  x = model.add(BatchNorm(), x);
  return activation.empty() ? x : model.add(Activation(activation), x);
}

// The stride is in the 3x3 convolution ("v1.5").
Symbol residual_block(Functional& model, Symbol x, std::int64_t filters, std::int64_t stride, bool bottleneck) {
  const std::int64_t wide = bottleneck ? 4 * filters : filters;
  const Size2 strides{stride, stride};
  Symbol y = x;
  if (bottleneck) {
    y = conv_block(model, y, filters, {1, 1});
    y = conv_block(model, y, filters, {3, 3}, strides);
    y = conv_block(model, y, wide, {1, 1}, {1, 1}, "");
  } else {
    y = conv_block(model, y, filters, {3, 3}, strides);
    y = conv_block(model, y, filters, {3, 3}, {1, 1}, "");
  }
  const bool same = stride == 1 && model.shape(x)[0] == wide;
  const Symbol shortcut = same ? x : conv_block(model, x, wide, {1, 1}, strides, "");
  return model.add(Activation("relu"), model.add(Add(), {y, shortcut}));
}

// Branches of 1x1, 5x5 in two 3x3, 3x3 and pooling.
Symbol inception_module(Functional& model, Symbol x, std::int64_t filters) {
  const Symbol one = conv_block(model, x, filters, {1, 1});
  Symbol three = conv_block(model, x, filters * 3 / 4, {1, 1});
  three = conv_block(model, three, filters, {3, 3});
  Symbol five = conv_block(model, x, filters * 3 / 4, {1, 1});
  five = conv_block(model, five, filters, {3, 3});
  five = conv_block(model, five, filters, {3, 3});
  Symbol pooled = model.add(AveragePool2D({3, 3}, {.strides = Size2{1, 1}, .padding = "same"}), x);
  pooled = conv_block(model, pooled, filters / 2, {1, 1});
  return model.add(Concatenate(), {one, three, five, pooled});
}

Symbol grid_reduction(Functional& model, Symbol x, std::int64_t filters) {
  const Symbol conv = conv_block(model, x, filters, {3, 3}, {2, 2});
  const Symbol pool = model.add(MaxPool2D({3, 3}, {.strides = Size2{2, 2}, .padding = "same"}), x);
  return model.add(Concatenate(), {conv, pool});
}

}  // namespace

Functional resnet(int depth, std::int64_t size, std::int64_t classes) {
  if (depth != 18 && depth != 50)
    throw std::invalid_argument(fmt::format("[resnet] expected depth 18 or 50, got {}", depth));
  const std::vector<int> blocks = depth == 18 ? std::vector<int>{2, 2, 2, 2} : std::vector<int>{3, 4, 6, 3};
  Functional model({3, size, size});
  Symbol x = model.input();
  if (size < 64) {
    x = conv_block(model, x, 64, {3, 3});
  } else {
    x = conv_block(model, x, 64, {7, 7}, {2, 2});
    x = model.add(MaxPool2D({3, 3}, {.strides = Size2{2, 2}, .padding = "same"}), x);
  }
  std::int64_t filters = 64;
  for (std::size_t stage = 0; stage < blocks.size(); ++stage, filters *= 2) {
    for (int block = 0; block < blocks[stage]; ++block) {
      x = residual_block(model, x, filters, stage > 0 && block == 0 ? 2 : 1, depth == 50);
    }
  }
  model.add(Dense(classes), model.add(GlobalAveragePool2D(), x));
  return model;
}

Sequential vgg16(std::int64_t size, std::int64_t classes) {
  Sequential model({3, size, size});
  const std::vector<std::vector<std::int64_t>> stages{
      {64, 64}, {128, 128}, {256, 256, 256}, {512, 512, 512}, {512, 512, 512}};
  for (const auto& stage : stages) {
    for (const std::int64_t filters : stage) {
      model.add(Conv2D(filters, {3, 3}, {.activation = "relu", .padding = "same", .kernel_initializer = he()}));
    }
    model.add(MaxPool2D({2, 2}));
  }
  const std::int64_t units = size < 64 ? 512 : 4096;
  model.add(Flatten())
      .add(Dense(units, {.activation = "relu"}))
      .add(Dropout(0.5))
      .add(Dense(units, {.activation = "relu"}))
      .add(Dropout(0.5))
      .add(Dense(classes));
  return model;
}

Functional inception(std::int64_t size, std::int64_t classes) {
  Functional model({3, size, size});
  Symbol x = conv_block(model, model.input(), 32, {3, 3}, {2, 2});
  x = conv_block(model, x, 64, {3, 3});
  x = inception_module(model, x, 64);
  x = grid_reduction(model, x, 96);
  x = inception_module(model, x, 96);
  x = grid_reduction(model, x, 128);
  x = inception_module(model, x, 128);
  x = model.add(Dropout(0.2), model.add(GlobalAveragePool2D(), x));
  model.add(Dense(classes), x);
  return model;
}

Sequential lstm_language_model(int layers, std::int64_t units, std::int64_t vocabulary, std::int64_t length,
                               int time_chunks) {
  Sequential model({length}, DType::kInt32);
  model.add(Embedding(vocabulary, units))
      .add(LSTM(units, {.return_sequences = true, .layers = layers, .dropout = 0.2, .time_chunks = time_chunks}))
      .add(Dropout(0.2))
      .add(TimeDistributed(Dense(vocabulary)));
  return model;
}

Gan dcgan(std::int64_t filters) {
  const Initializer small = initializers::normal(0.02);
  Sequential generator({100});
  generator.add(Dense(4 * 4 * 8 * filters, {.use_bias = false, .kernel_initializer = small}))
      .add(BatchNorm())
      .add(Activation("relu"))
      .add(Reshape({8 * filters, 4, 4}));
  for (const std::int64_t width : {4 * filters, 2 * filters, filters}) {
    generator
        .add(Conv2DTranspose(width, {5, 5},
                             {.strides = {2, 2}, .padding = "same", .use_bias = false, .kernel_initializer = small}))
        .add(BatchNorm())
        .add(Activation("relu"));
  }
  generator.add(Conv2DTranspose(
      3, {5, 5}, {.activation = "tanh", .strides = {2, 2}, .padding = "same", .kernel_initializer = small}));
  Sequential discriminator({3, 64, 64});
  for (const std::int64_t width : {filters, 2 * filters, 4 * filters, 8 * filters}) {
    discriminator.add(Conv2D(width, {5, 5}, {.strides = {2, 2}, .padding = "same", .kernel_initializer = small}));
    if (width != filters) discriminator.add(BatchNorm());
    discriminator.add(LeakyReLU(0.2));
  }
  discriminator.add(Flatten()).add(Dense(1, {.activation = "sigmoid"}));
  return {generator, discriminator, {.discriminator_optimizer = skua::Adam(2e-4, {.beta1 = 0.5})}};
}

Sequential mlp(std::int64_t units, std::int64_t classes) {
  Sequential model({1, 28, 28});
  model.add(Flatten())
      .add(Dense(units, {.activation = "relu"}))
      .add(Dense(units, {.activation = "relu"}))
      .add(Dense(classes));
  return model;
}

Functional transformer(int layers, std::int64_t width, std::int64_t heads, std::int64_t vocabulary,
                       std::int64_t length) {
  Functional model({length}, DType::kInt32);
  Symbol x = model.add(Embedding(vocabulary, width), model.input());
  x = model.add(PositionEmbedding(), x);
  for (int l = 0; l < layers; ++l) {
    const Symbol attended = model.add(SelfAttention(heads), model.add(LayerNorm(), x));
    x = model.add(Add(), {x, model.add(Dropout(0.1), attended)});
    const Symbol hidden = model.add(Dense(4 * width, {.activation = "gelu"}), model.add(LayerNorm(), x));
    x = model.add(Add(), {x, model.add(Dropout(0.1), model.add(Dense(width), hidden))});
  }
  model.add(Dense(vocabulary), model.add(LayerNorm(), x));
  return model;
}

}  // namespace skua::models
