// Layers that are not bound to images or sequences. Names and sizes are Keras's, parameter names PyTorch's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "skua/layers/layer.h"

namespace skua {

// (N, ...) to (N, features).
class Flatten final : public UnaryLayer {
 public:
  explicit Flatten(std::string name = "") : UnaryLayer("Flatten", "flatten", std::move(name)) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;
};

// (N, ...) to (N, shape).
class Reshape final : public UnaryLayer {
 public:
  explicit Reshape(Shape shape, std::string name = "")
      : UnaryLayer("Reshape", "reshape", std::move(name)), shape_(std::move(shape)) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  Shape shape_;  // of one sample
};

struct DenseOptions {
  std::string activation = "";
  bool use_bias = true;
  Initializer kernel_initializer = initializers::glorot_uniform();
  Initializer bias_initializer = initializers::zeros();
  std::string name = "";
};

// x weight^T + bias along the last axis. Input (N,features) or (N,T,features), output (N,units) or (N,T,units).
class Dense final : public UnaryLayer {
 public:
  using Options = DenseOptions;
  explicit Dense(std::int64_t units, Options options = {});
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  std::int64_t units_;
  Options options_;
};

// A function of each element; softmax of the last axis.
class Activation final : public UnaryLayer {
 public:
  explicit Activation(std::string function, std::string name = "")
      : UnaryLayer("Activation", "activation", std::move(name)), function_(std::move(function)) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  std::string function_;
};

// x where x > 0, else slope x.
class LeakyReLU final : public UnaryLayer {
 public:
  explicit LeakyReLU(double slope = 0.3, std::string name = "")
      : UnaryLayer("LeakyReLU", "leaky_relu", std::move(name)), slope_(slope) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  double slope_;
};

// In training, each element is 0 with probability `rate` and divided by 1 - rate otherwise. Srivastava et al.,
// "Dropout: a simple way to prevent neural networks from overfitting", JMLR 15 (2014), inverted.
class Dropout final : public UnaryLayer {
 public:
  explicit Dropout(double rate, std::string name = "")
      : UnaryLayer("Dropout", "dropout", std::move(name)), rate_(rate) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  double rate_;
};

// The sum of two or more inputs of one shape.
class Add final : public Layer {
 public:
  explicit Add(std::string name = "") : Layer("Add", "add", std::move(name)) {}
  ValueId build(LayerBuilder& builder, std::span<const ValueId> inputs) const override;
};

// Inputs side by side along `axis` of the micro-batch's shape: 1 is the channels of images and the features of rows.
class Concatenate final : public Layer {
 public:
  explicit Concatenate(std::int64_t axis = 1, std::string name = "")
      : Layer("Concatenate", "concatenate", std::move(name)), axis_(axis) {}
  ValueId build(LayerBuilder& builder, std::span<const ValueId> inputs) const override;

 private:
  std::int64_t axis_;
};

// A layer applied to each time step: (N,T,...) to (N,T,...).
class TimeDistributed final : public UnaryLayer {
 public:
  template <class L>
  explicit TimeDistributed(L layer, std::string name = "")
      : UnaryLayer("TimeDistributed", "time_distributed", std::move(name)),
        layer_(std::make_shared<L>(std::move(layer))) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  std::shared_ptr<const UnaryLayer> layer_;
};

struct EmbeddingOptions {
  bool mask_zero = false;  // id 0 is padding: recurrent layers pass over it
  Initializer initializer = initializers::uniform(0.05);
  std::string name = "";
};

// Rows of weight (vocabulary, units): ids int32 (N,T) to (N,T,units).
class Embedding final : public UnaryLayer {
 public:
  using Options = EmbeddingOptions;
  Embedding(std::int64_t vocabulary, std::int64_t units, Options options = {});
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  std::int64_t vocabulary_;
  std::int64_t units_;
  Options options_;
};

}  // namespace skua
