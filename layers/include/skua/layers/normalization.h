// Normalising layers. Conventions and parameter names are PyTorch's.
#pragma once

#include <cstdint>
#include <string>

#include "skua/layers/layer.h"

namespace skua {

struct BatchNormOptions {
  double epsilon = 1e-5;
  double momentum = 0.1;  // weight of the new value in the running averages; Keras: epsilon 1e-3, momentum 0.01
  std::string name = "";
};

// Over (N,C) or (N,C,H,W): in training by the mean and the biased variance of the micro-batch, otherwise by
// "running_mean" and "running_var", which follow the mean over a step's micro-batches of mean and unbiased variance.
// Ioffe and Szegedy, "Batch normalization", ICML 2015.
class BatchNorm final : public UnaryLayer {
 public:
  using Options = BatchNormOptions;
  explicit BatchNorm(Options options = {})
      : UnaryLayer("BatchNorm", "batch_norm", options.name), options_(std::move(options)) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  Options options_;
};

struct LayerNormOptions {
  double epsilon = 1e-5;
  std::string name = "";
};

// Along the last axis. Ba, Kiros, Hinton, "Layer normalization", 2016.
class LayerNorm final : public UnaryLayer {
 public:
  using Options = LayerNormOptions;
  explicit LayerNorm(Options options = {})
      : UnaryLayer("LayerNorm", "layer_norm", options.name), options_(std::move(options)) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  Options options_;
};

}  // namespace skua
