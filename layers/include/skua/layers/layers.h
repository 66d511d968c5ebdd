// The layers that there are. Images are N,C,H,W. Names, sizes and initialisers are Keras's; parameter names PyTorch's.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include "skua/layers/layer.h"

namespace skua {

using Size2 = std::array<std::int64_t, 2>;  // height, width

// Convolution with a bias. Input (N,C,H,W), output (N,filters,H',W').
class Conv2D final : public Layer {
 public:
  struct Options {
    std::string activation = "";  // "relu", "sigmoid", "tanh"
    Size2 strides = {1, 1};
    std::string padding = "valid";  // or "same": H' = ceil(H / stride), the odd pixel at the bottom right
    Initializer kernel_initializer = initializers::glorot_uniform();
    std::string name = "";
  };
  Conv2D(std::int64_t filters, Size2 kernel, Options options);
  Conv2D(std::int64_t filters, Size2 kernel) : Conv2D(filters, kernel, Options()) {}
  [[nodiscard]] std::string type_name() const override { return "Conv2D"; }
  [[nodiscard]] std::string name_prefix() const override { return "conv"; }
  ValueId build(LayerBuilder& builder, ValueId input) const override;

 private:
  std::int64_t filters_;
  Size2 kernel_;
  Options options_;
};

// Largest value of each window; windows that would not fit are left out. Input (N,C,H,W).
class MaxPool2D final : public Layer {
 public:
  explicit MaxPool2D(Size2 window, std::string name = "") : MaxPool2D(window, window, std::move(name)) {}
  MaxPool2D(Size2 window, Size2 strides, std::string name = "");
  [[nodiscard]] std::string type_name() const override { return "MaxPool2D"; }
  [[nodiscard]] std::string name_prefix() const override { return "pool"; }
  ValueId build(LayerBuilder& builder, ValueId input) const override;

 private:
  Size2 window_;
  Size2 strides_;
};

// (N, ...) to (N, features).
class Flatten final : public Layer {
 public:
  explicit Flatten(std::string name = "") : Layer(std::move(name)) {}
  [[nodiscard]] std::string type_name() const override { return "Flatten"; }
  [[nodiscard]] std::string name_prefix() const override { return "flatten"; }
  ValueId build(LayerBuilder& builder, ValueId input) const override;
};

// x weight^T + bias. Input (N,features), output (N,units).
class Dense final : public Layer {
 public:
  struct Options {
    std::string activation = "";
    Initializer kernel_initializer = initializers::glorot_uniform();
    std::string name = "";
  };
  Dense(std::int64_t units, Options options);
  explicit Dense(std::int64_t units) : Dense(units, Options()) {}
  [[nodiscard]] std::string type_name() const override { return "Dense"; }
  [[nodiscard]] std::string name_prefix() const override { return "dense"; }
  ValueId build(LayerBuilder& builder, ValueId input) const override;

 private:
  std::int64_t units_;
  Options options_;
};

// "relu", "sigmoid" or "tanh" of each element.
class Activation final : public Layer {
 public:
  explicit Activation(std::string function, std::string name = "")
      : Layer(std::move(name)), function_(std::move(function)) {}
  [[nodiscard]] std::string type_name() const override { return "Activation"; }
  [[nodiscard]] std::string name_prefix() const override { return "activation"; }
  ValueId build(LayerBuilder& builder, ValueId input) const override;

 private:
  std::string function_;
};

}  // namespace skua
