// Layers over images (N,C,H,W). Names and sizes are Keras's, parameter names PyTorch's.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "skua/layers/layer.h"

namespace skua {

using Size2 = std::array<std::int64_t, 2>;  // height, width

struct Conv2DOptions {
  std::string activation = "";
  Size2 strides = {1, 1};
  // "valid": none. "same": H' = ceil(H / stride), the odd pixel at the bottom right; of a transposed convolution
  // H' = H · stride.
  std::string padding = "valid";
  std::optional<std::array<std::int64_t, 4>> pads = std::nullopt;  // top, left, bottom, right; instead of `padding`
  Size2 dilation = {1, 1};
  std::int64_t groups = 1;
  bool use_bias = true;
  Initializer kernel_initializer = initializers::glorot_uniform();
  Initializer bias_initializer = initializers::zeros();
  std::string name = "";
};

// Input (N,C,H,W), output (N,filters,H',W'), weight (filters,C/groups,kernel).
class Conv2D final : public UnaryLayer {
 public:
  using Options = Conv2DOptions;
  Conv2D(std::int64_t filters, Size2 kernel, Options options = {});
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  std::int64_t filters_;
  Size2 kernel_;
  Options options_;
};

// The gradient of a convolution by its input, used forward. Input (N,C,H,W), output (N,filters,H',W'), weight
// (C,filters/groups,kernel); without "same" H' = (H − 1)·stride + dilation·(kernel − 1) + 1 − top − bottom.
class Conv2DTranspose final : public UnaryLayer {
 public:
  using Options = Conv2DOptions;
  Conv2DTranspose(std::int64_t filters, Size2 kernel, Options options = {});
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  std::int64_t filters_;
  Size2 kernel_;
  Options options_;
};

struct Pool2DOptions {
  std::optional<Size2> strides = std::nullopt;                     // the window's size
  std::string padding = "valid";                                   // or "same", as of Conv2D; padding never counts
  std::optional<std::array<std::int64_t, 4>> pads = std::nullopt;  // top, left, bottom, right; instead of `padding`
  std::string name = "";
};

// Largest value, or mean, of each window; windows that would not fit are left out.
class MaxPool2D final : public UnaryLayer {
 public:
  using Options = Pool2DOptions;
  explicit MaxPool2D(Size2 window, Options options = {})
      : UnaryLayer("MaxPool2D", "pool", options.name), window_(window), options_(std::move(options)) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  Size2 window_;
  Options options_;
};

class AveragePool2D final : public UnaryLayer {
 public:
  using Options = Pool2DOptions;
  explicit AveragePool2D(Size2 window, Options options = {})
      : UnaryLayer("AveragePool2D", "average_pool", options.name), window_(window), options_(std::move(options)) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  Size2 window_;
  Options options_;
};

// Mean of each channel: (N,C,H,W) to (N,C).
class GlobalAveragePool2D final : public UnaryLayer {
 public:
  explicit GlobalAveragePool2D(std::string name = "")
      : UnaryLayer("GlobalAveragePool2D", "global_pool", std::move(name)) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;
};

}  // namespace skua
