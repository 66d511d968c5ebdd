// Recurrences sample by sample and step by step. The backward pass is that of a scalar program: every intermediate of
// the forward pass is kept, and adjoints flow back through the formulas one at a time.
#include <cmath>

#include "reference/operators.h"

namespace skua::reference {

namespace {

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

struct Layer {
  const Call& call;
  std::size_t batch, steps, units, gates;
  bool reverse;

  [[nodiscard]] std::size_t time(std::size_t i) const { return reverse ? steps - 1 - i : i; }
  [[nodiscard]] std::size_t at(std::size_t n, std::size_t t, std::size_t j, std::size_t width) const {
    return (n * steps + t) * width + j;
  }
};

Layer layer_of(const Call& call, const Shape& y, std::size_t gates) {
  return {call,
          static_cast<std::size_t>(y[0]),
          static_cast<std::size_t>(y[1]),
          static_cast<std::size_t>(y[2]),
          gates,
          call.op.attributes.integer("reverse") == 1};
}

// W_hh h + b for all gates.
Array hidden_of(const Layer& l, const Array& weight, const Array& bias, const Array& h) {
  Array hidden(l.gates * l.units);
  for (std::size_t g = 0; g < hidden.size(); ++g) {
    hidden[g] = bias[g];
    for (std::size_t k = 0; k < l.units; ++k) hidden[g] += weight[g * l.units + k] * h[k];
  }
  return hidden;
}

Array row(const Array& array, std::size_t n, std::size_t width) {
  const auto first = array.begin() + static_cast<std::ptrdiff_t>(n * width);
  return {first, first + static_cast<std::ptrdiff_t>(width)};
}

void put_row(Array& array, std::size_t n, const Array& values) {
  std::copy(values.begin(), values.end(), array.begin() + static_cast<std::ptrdiff_t>(n * values.size()));
}

double activate(const Call& call, double x) {
  return call.op.attributes.text("activation") == "tanh" ? std::tanh(x) : std::max(x, 0.0);
}

void simple_rnn(const Call& call) {
  const Layer l = layer_of(call, call.out_shape(0), 1);
  const bool masked = call.inputs.size() == 5;
  for (std::size_t n = 0; n < l.batch; ++n) {
    Array h = row(call.in(3), n, l.units);
    for (std::size_t i = 0; i < l.steps; ++i) {
      const std::size_t t = l.time(i);
      const Array hidden = hidden_of(l, call.in(1), call.in(2), h);
      for (std::size_t j = 0; j < l.units; ++j) {
        if (!masked || call.in(4)[n * l.steps + t] != 0) {
          h[j] = activate(call, call.in(0)[l.at(n, t, j, l.units)] + hidden[j]);
        }
        call.out(0)[l.at(n, t, j, l.units)] = h[j];
      }
    }
    put_row(call.out(1), n, h);
  }
}

void lstm(const Call& call) {
  const Layer l = layer_of(call, call.out_shape(0), 4);
  const std::size_t u = l.units;
  for (std::size_t n = 0; n < l.batch; ++n) {
    Array h = row(call.in(3), n, u);
    Array c = row(call.in(4), n, u);
    for (std::size_t i = 0; i < l.steps; ++i) {
      const std::size_t t = l.time(i);
      const bool live = call.inputs.size() < 6 || call.in(5)[n * l.steps + t] != 0;
      const Array hidden = hidden_of(l, call.in(1), call.in(2), h);
      for (std::size_t j = 0; j < u; ++j) {
        const auto z = [&](std::size_t gate) {
          return call.in(0)[l.at(n, t, gate * u + j, 4 * u)] + hidden[gate * u + j];
        };
        const double gates[] = {sigmoid(z(0)), sigmoid(z(1)), std::tanh(z(2)), sigmoid(z(3))};
        if (live) {
          c[j] = gates[1] * c[j] + gates[0] * gates[2];
          h[j] = gates[3] * std::tanh(c[j]);
        }
        for (std::size_t g = 0; g < 4; ++g) call.out(3)[l.at(n, t, g * u + j, 4 * u)] = live ? gates[g] : 0;
        call.out(0)[l.at(n, t, j, u)] = h[j];
        call.out(4)[l.at(n, t, j, u)] = c[j];
      }
    }
    put_row(call.out(1), n, h);
    put_row(call.out(2), n, c);
  }
}

void gru(const Call& call) {
  const Layer l = layer_of(call, call.out_shape(0), 3);
  const std::size_t u = l.units;
  for (std::size_t n = 0; n < l.batch; ++n) {
    Array h = row(call.in(3), n, u);
    for (std::size_t i = 0; i < l.steps; ++i) {
      const std::size_t t = l.time(i);
      const bool live = call.inputs.size() < 5 || call.in(4)[n * l.steps + t] != 0;
      const Array hidden = hidden_of(l, call.in(1), call.in(2), h);
      for (std::size_t j = 0; j < u; ++j) {
        const auto gate = [&](std::size_t g) { return call.in(0)[l.at(n, t, g * u + j, 3 * u)]; };
        const double r = sigmoid(gate(0) + hidden[j]);
        const double z = sigmoid(gate(1) + hidden[u + j]);
        const double q = hidden[2 * u + j];
        const double candidate = std::tanh(gate(2) + r * q);
        if (live) h[j] = (1 - z) * candidate + z * h[j];
        const double kept[] = {r, z, candidate, q};
        for (std::size_t g = 0; g < 4; ++g) call.out(2)[l.at(n, t, g * u + j, 4 * u)] = live ? kept[g] : 0;
        call.out(0)[l.at(n, t, j, u)] = h[j];
      }
    }
    put_row(call.out(1), n, h);
  }
}

// What the three backward passes share: walks back over time; `cell(n, i, t, dh)` gives the gradient by the gates of
// the state before (with bias) and what flows straight to that state, and sets dgates itself.
struct Adjoint {
  Array dhidden;
  Array direct;
};

template <class Cell>
void walk_back(const Layer& l, const Array& weight, const Array& h0, const Array& y, const Array& dy, const Array& dh_n,
               const Array* mask, std::size_t dh0_output, Cell cell) {
  const std::size_t u = l.units;
  for (std::size_t n = 0; n < l.batch; ++n) {
    Array dh = row(dh_n, n, u);
    for (std::size_t i = l.steps; i-- > 0;) {
      const std::size_t t = l.time(i);
      for (std::size_t j = 0; j < u; ++j) dh[j] += dy[l.at(n, t, j, u)];
      if (mask != nullptr && (*mask)[n * l.steps + t] == 0) continue;
      const Array before = i == 0 ? row(h0, n, u) : row(y, n * l.steps + l.time(i - 1), u);
      const Adjoint adjoint = cell(n, i, t, before, dh);
      dh = adjoint.direct;
      for (std::size_t g = 0; g < adjoint.dhidden.size(); ++g) {
        l.call.out(2)[g] += adjoint.dhidden[g];
        for (std::size_t k = 0; k < u; ++k) {
          l.call.out(1)[g * u + k] += adjoint.dhidden[g] * before[k];
          dh[k] += adjoint.dhidden[g] * weight[g * u + k];
        }
      }
    }
    put_row(l.call.out(dh0_output), n, dh);
  }
}

void simple_rnn_backward(const Call& call) {
  const Layer l = layer_of(call, call.in_shape(2), 1);
  const bool tanh = call.op.attributes.text("activation") == "tanh";
  const auto cell = [&](std::size_t n, std::size_t, std::size_t t, const Array&, const Array& dh) {
    Adjoint adjoint{Array(l.units), Array(l.units, 0)};
    for (std::size_t j = 0; j < l.units; ++j) {
      const double y = call.in(2)[l.at(n, t, j, l.units)];
      const double slope = y > 0 ? 1 : 0;
      adjoint.dhidden[j] = dh[j] * (tanh ? 1 - y * y : slope);
      call.out(0)[l.at(n, t, j, l.units)] = adjoint.dhidden[j];
    }
    return adjoint;
  };
  walk_back(l, call.in(0), call.in(1), call.in(2), call.in(3), call.in(4),
            call.inputs.size() > 5 ? &call.in(5) : nullptr, 3, cell);
}

void lstm_backward(const Call& call) {
  const Layer l = layer_of(call, call.in_shape(3), 4);
  const std::size_t u = l.units;
  Array dc = call.in(8);
  const auto cell = [&](std::size_t n, std::size_t i, std::size_t t, const Array&, const Array& dh) {
    Adjoint adjoint{Array(4 * u), Array(u, 0)};
    for (std::size_t j = 0; j < u; ++j) {
      const auto kept = [&](std::size_t g) { return call.in(4)[l.at(n, t, g * u + j, 4 * u)]; };
      const double c_before = i == 0 ? call.in(2)[n * u + j] : call.in(5)[l.at(n, l.time(i - 1), j, u)];
      const double squashed = std::tanh(call.in(5)[l.at(n, t, j, u)]);
      double& dcell = dc[n * u + j];
      dcell += dh[j] * kept(3) * (1 - squashed * squashed);
      const double by_gate[] = {dcell * kept(2), dcell * c_before, dcell * kept(0), dh[j] * squashed};
      for (std::size_t g = 0; g < 4; ++g) {
        const double slope = g == 2 ? 1 - kept(g) * kept(g) : kept(g) * (1 - kept(g));
        adjoint.dhidden[g * u + j] = by_gate[g] * slope;
        call.out(0)[l.at(n, t, g * u + j, 4 * u)] = by_gate[g] * slope;
      }
      dcell *= kept(1);
    }
    return adjoint;
  };
  walk_back(l, call.in(0), call.in(1), call.in(3), call.in(6), call.in(7),
            call.inputs.size() > 9 ? &call.in(9) : nullptr, 3, cell);
  call.out(4) = dc;
}

void gru_backward(const Call& call) {
  const Layer l = layer_of(call, call.in_shape(2), 3);
  const std::size_t u = l.units;
  const auto cell = [&](std::size_t n, std::size_t, std::size_t t, const Array& before, const Array& dh) {
    Adjoint adjoint{Array(3 * u), Array(u)};
    for (std::size_t j = 0; j < u; ++j) {
      const auto kept = [&](std::size_t g) { return call.in(3)[l.at(n, t, g * u + j, 4 * u)]; };
      const double r = kept(0);
      const double z = kept(1);
      const double dn = dh[j] * (1 - z) * (1 - kept(2) * kept(2));
      const double dr = dn * kept(3) * r * (1 - r);
      const double dz = dh[j] * (before[j] - kept(2)) * z * (1 - z);
      const double gates[] = {dr, dz, dn};
      const double hidden[] = {dr, dz, dn * r};
      for (std::size_t g = 0; g < 3; ++g) {
        call.out(0)[l.at(n, t, g * u + j, 3 * u)] = gates[g];
        adjoint.dhidden[g * u + j] = hidden[g];
      }
      adjoint.direct[j] = dh[j] * z;
    }
    return adjoint;
  };
  walk_back(l, call.in(0), call.in(1), call.in(2), call.in(4), call.in(5),
            call.inputs.size() > 6 ? &call.in(6) : nullptr, 3, cell);
}

}  // namespace

const std::map<std::string, Kernel>& recurrent_kernels() {
  static const std::map<std::string, Kernel> kernels{{"simple_rnn", simple_rnn},
                                                     {"simple_rnn_backward", simple_rnn_backward},
                                                     {"lstm", lstm},
                                                     {"lstm_backward", lstm_backward},
                                                     {"gru", gru},
                                                     {"gru_backward", gru_backward}};
  return kernels;
}

}  // namespace skua::reference
