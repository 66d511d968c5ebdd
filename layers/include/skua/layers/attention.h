// Attention over sequences (N,T,features), as operators that a plan can place one by one.
#pragma once

#include <cstdint>
#include <string>

#include "skua/layers/layer.h"

namespace skua {

struct SelfAttentionOptions {
  bool causal = true;  // a step sees itself and those before it
  std::string name = "";
};

// Multi-head scaled dot-product self-attention, (N,T,E) to (N,T,E); E is divisible by `heads`. Parameters as PyTorch's
// MultiheadAttention: in_proj_weight (3E,E), in_proj_bias, out_proj.weight (E,E), out_proj.bias. Vaswani et al.,
// "Attention is all you need", NeurIPS 2017.
class SelfAttention final : public UnaryLayer {
 public:
  using Options = SelfAttentionOptions;
  explicit SelfAttention(std::int64_t heads, Options options = {})
      : UnaryLayer("SelfAttention", "attention", options.name), heads_(heads), options_(std::move(options)) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;

 private:
  std::int64_t heads_;
  Options options_;
};

// Adds a learned row to each step: (N,T,E) to (N,T,E), weight (T,E).
class PositionEmbedding final : public UnaryLayer {
 public:
  explicit PositionEmbedding(std::string name = "") : UnaryLayer("PositionEmbedding", "position", std::move(name)) {}
  ValueId apply(LayerBuilder& builder, ValueId input) const override;
};

}  // namespace skua
