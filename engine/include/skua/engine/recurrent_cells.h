// The arithmetic of one unit in one time step of one sample, forward and backward, shared by every device's kernels.
// Gates in PyTorch's order.
#pragma once

#include <cstdint>

#include "skua/engine/elementwise.h"

namespace skua::recurrent {

// What a step of a sample reads and makes, `units` wide; what a cell does not use is null.
struct ForwardStep {
  std::int64_t units;
  const float* gates;   // what the input adds
  const float* hidden;  // what the state before adds, without its bias
  const float* bias;    // of that
  const float* h_before;
  const float* c_before;
  float* h;
  float* c;
  float* kept;  // for the backward pass
};
struct BackwardStep {
  std::int64_t units;
  const float* h;
  const float* c;
  const float* h_before;
  const float* c_before;
  const float* kept;
  const float* dh;
  float* dc;         // in: by c; out: by c_before
  float* dgates;     // by what the input adds
  float* dhidden;    // by what the state before adds
  float* dh_direct;  // by h_before, but for what goes through `hidden`; may be `dh`
};

template <class Function, class Derivative>
struct SimpleCell {
  static constexpr std::int64_t kGates = 1;
  static constexpr std::int64_t kKept = 0;
  static constexpr bool kHasCells = false;
  static constexpr bool kHiddenDiffers = false;  // dhidden from dgates

  SKUA_HOST_DEVICE static void forward(const ForwardStep& s, std::int64_t j) {
    s.h[j] = Function()(s.gates[j] + (s.hidden[j] + s.bias[j]));
  }
  SKUA_HOST_DEVICE static void backward(const BackwardStep& s, std::int64_t j) {
    s.dgates[j] = Derivative()(s.h[j], s.dh[j]);
    s.dh_direct[j] = 0;
  }
};
using TanhCell = SimpleCell<elementwise::Tanh, elementwise::TanhBackward>;
using ReluCell = SimpleCell<elementwise::Relu, elementwise::ReluBackward>;

// Gers, Schmidhuber, Cummins, "Learning to forget", Neural Comput. 12 (2000).
struct LstmCell {
  static constexpr std::int64_t kGates = 4;
  static constexpr std::int64_t kKept = 4;
  static constexpr bool kHasCells = true;
  static constexpr bool kHiddenDiffers = false;

  SKUA_HOST_DEVICE static void forward(const ForwardStep& s, std::int64_t j) {
    const std::int64_t n = s.units;
    const auto sum = [&s](std::int64_t k) { return s.gates[k] + (s.hidden[k] + s.bias[k]); };
    const float i = elementwise::Sigmoid()(sum(j));
    const float f = elementwise::Sigmoid()(sum(j + n));
    const float g = elementwise::Tanh()(sum(j + 2 * n));
    const float o = elementwise::Sigmoid()(sum(j + 3 * n));
    const float c = f * s.c_before[j] + i * g;
    s.kept[j] = i;
    s.kept[j + n] = f;
    s.kept[j + 2 * n] = g;
    s.kept[j + 3 * n] = o;
    s.c[j] = c;
    s.h[j] = o * elementwise::Tanh()(c);
  }
  SKUA_HOST_DEVICE static void backward(const BackwardStep& s, std::int64_t j) {
    const std::int64_t n = s.units;
    const float i = s.kept[j];
    const float f = s.kept[j + n];
    const float g = s.kept[j + 2 * n];
    const float o = s.kept[j + 3 * n];
    const float squashed = elementwise::Tanh()(s.c[j]);
    const float dc = s.dc[j] + elementwise::TanhBackward()(squashed, s.dh[j] * o);
    s.dgates[j] = elementwise::SigmoidBackward()(i, dc * g);
    s.dgates[j + n] = elementwise::SigmoidBackward()(f, dc * s.c_before[j]);
    s.dgates[j + 2 * n] = elementwise::TanhBackward()(g, dc * i);
    s.dgates[j + 3 * n] = elementwise::SigmoidBackward()(o, s.dh[j] * squashed);
    s.dc[j] = dc * f;
    s.dh_direct[j] = 0;
  }
};

// Cho et al., EMNLP 2014, with the reset gate behind the product: n = tanh(gates_n + r (W_hn h + b_hn)).
struct GruCell {
  static constexpr std::int64_t kGates = 3;
  static constexpr std::int64_t kKept = 4;
  static constexpr bool kHasCells = false;
  static constexpr bool kHiddenDiffers = true;

  SKUA_HOST_DEVICE static void forward(const ForwardStep& s, std::int64_t j) {
    const std::int64_t n = s.units;
    const auto hidden = [&s](std::int64_t k) { return s.hidden[k] + s.bias[k]; };
    const float r = elementwise::Sigmoid()(s.gates[j] + hidden(j));
    const float z = elementwise::Sigmoid()(s.gates[j + n] + hidden(j + n));
    const float q = hidden(j + 2 * n);
    const float candidate = elementwise::Tanh()(s.gates[j + 2 * n] + r * q);
    s.kept[j] = r;
    s.kept[j + n] = z;
    s.kept[j + 2 * n] = candidate;
    s.kept[j + 3 * n] = q;
    s.h[j] = (1.0F - z) * candidate + z * s.h_before[j];
  }
  SKUA_HOST_DEVICE static void backward(const BackwardStep& s, std::int64_t j) {
    const std::int64_t n = s.units;
    const float r = s.kept[j];
    const float z = s.kept[j + n];
    const float candidate = s.kept[j + 2 * n];
    const float q = s.kept[j + 3 * n];
    const float dcandidate = elementwise::TanhBackward()(candidate, s.dh[j] * (1.0F - z));
    const float dr = elementwise::SigmoidBackward()(r, dcandidate * q);
    const float dz = elementwise::SigmoidBackward()(z, s.dh[j] * (s.h_before[j] - candidate));
    s.dgates[j] = s.dhidden[j] = dr;
    s.dgates[j + n] = s.dhidden[j + n] = dz;
    s.dgates[j + 2 * n] = dcandidate;
    s.dhidden[j + 2 * n] = dcandidate * r;
    s.dh_direct[j] = s.dh[j] * z;
  }
};

}  // namespace skua::recurrent
