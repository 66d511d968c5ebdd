// Recurrent layers over sequences (N,T,features). Gate order and parameter names are PyTorch's: weight_ih_l0 (gates·H,
// features), weight_hh_l0 (gates·H,H), bias_ih_l0, bias_hh_l0, with "_reverse" for the backward direction.
#pragma once

#include <cstdint>
#include <string>

#include "skua/layers/layer.h"

namespace skua {

struct RecurrentOptions {
  bool return_sequences = false;  // (N,T,H), else the last state (N,H)
  int layers = 1;
  bool bidirectional = false;  // both directions side by side: 2H
  double dropout = 0;          // between layers, in training
  // Runs of time steps that are tasks of their own, so that a layer may work on one while the layer below works on the
  // next. The result does not depend on it but for the order in which weight gradients are added.
  int time_chunks = 1;
  std::string activation = "tanh";  // of SimpleRNN: tanh or relu
  Initializer kernel_initializer = initializers::glorot_uniform();
  Initializer recurrent_initializer = initializers::orthogonal();
  Initializer bias_initializer = initializers::zeros();
  bool unit_forget_bias = true;  // of LSTM: bias_ih of the forget gate begins at 1
  std::string name = "";
};

// A second input (N, directions·layers·H) is the state to begin with, layer by layer, forward before backward; LSTM
// takes a third one, the cells. Steps whose mask is 0 (Embedding::Options::mask_zero) leave the state as it is.
class Recurrent : public Layer {
 public:
  ValueId build(LayerBuilder& builder, std::span<const ValueId> inputs) const override;

 protected:
  struct Cell {
    std::string op;          // "lstm"
    std::int64_t gates = 1;  // 4
    std::size_t states = 1;  // 2: h and c
    bool has_activation = false;
    std::int64_t forget_gate = -1;
  };
  Recurrent(std::string type_name, std::string prefix, std::int64_t units, Cell cell, RecurrentOptions options);

 private:
  struct Sequence;
  class Building;

  std::int64_t units_;
  Cell cell_;
  RecurrentOptions options_;
};

// h = activation(W x + b + U h + b').
class SimpleRNN final : public Recurrent {
 public:
  explicit SimpleRNN(std::int64_t units, RecurrentOptions options = {})
      : Recurrent("SimpleRNN", "rnn", units, {"simple_rnn", 1, 1, true, -1}, std::move(options)) {}
};

// Hochreiter and Schmidhuber, "Long short-term memory", 1997, with forget gates (Gers et al. 2000).
class LSTM final : public Recurrent {
 public:
  explicit LSTM(std::int64_t units, RecurrentOptions options = {})
      : Recurrent("LSTM", "lstm", units, {"lstm", 4, 2, false, 1}, std::move(options)) {}
};

// Cho et al., EMNLP 2014, in the form of cuDNN and PyTorch: the reset gate acts on U h + b'.
class GRU final : public Recurrent {
 public:
  explicit GRU(std::int64_t units, RecurrentOptions options = {})
      : Recurrent("GRU", "gru", units, {"gru", 3, 1, false, -1}, std::move(options)) {}
};

}  // namespace skua
