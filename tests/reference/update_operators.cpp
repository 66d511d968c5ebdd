#include <algorithm>
#include <cmath>

#include "reference/operators.h"

namespace skua::reference {

namespace {

double rate(const Call& call) {
  return call.step.learning_rate * call.op.attributes.real("rate_factor");
}

// The gradient with weight decay added.
Array decayed(const Call& call) {
  Array g = call.in(1);
  for (std::size_t i = 0; i < g.size(); ++i) g[i] += call.op.attributes.real("weight_decay") * call.in(0)[i];
  return g;
}

void sgd_update(const Call& call) {
  const double momentum = call.op.attributes.real("momentum");
  const bool nesterov = call.op.attributes.integer("nesterov") == 1;
  const Array g = decayed(call);
  for (std::size_t i = 0; i < g.size(); ++i) {
    double step = g[i];
    if (momentum > 0) {
      double& velocity = call.in(2)[i];
      velocity = momentum * velocity + g[i];
      step = nesterov ? g[i] + momentum * velocity : velocity;
    }
    call.in(0)[i] -= rate(call) * step;
  }
}

void adam_update(const Call& call) {
  const double beta1 = call.op.attributes.real("beta1");
  const double beta2 = call.op.attributes.real("beta2");
  const bool decoupled = call.op.attributes.integer("decoupled") == 1;
  const auto t = static_cast<double>(call.step.step + 1);
  const Array gradients = decoupled ? call.in(1) : decayed(call);
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const double g = gradients[i];
    double& p = call.in(0)[i];
    double& m = call.in(2)[i];
    double& v = call.in(3)[i];
    if (decoupled) p -= rate(call) * call.op.attributes.real("weight_decay") * p;
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    const double denominator = std::sqrt(v) / std::sqrt(1 - std::pow(beta2, t)) + call.op.attributes.real("epsilon");
    p -= rate(call) / (1 - std::pow(beta1, t)) * m / denominator;
  }
}

void rmsprop_update(const Call& call) {
  const double alpha = call.op.attributes.real("alpha");
  const double momentum = call.op.attributes.real("momentum");
  const Array g = decayed(call);
  for (std::size_t i = 0; i < g.size(); ++i) {
    double& v = call.in(2)[i];
    v = alpha * v + (1 - alpha) * g[i] * g[i];
    double step = g[i] / (std::sqrt(v) + call.op.attributes.real("epsilon"));
    if (momentum > 0) step = call.in(3)[i] = momentum * call.in(3)[i] + step;
    call.in(0)[i] -= rate(call) * step;
  }
}

void adagrad_update(const Call& call) {
  const Array g = decayed(call);
  for (std::size_t i = 0; i < g.size(); ++i) {
    call.in(2)[i] += g[i] * g[i];
    call.in(0)[i] -= rate(call) * g[i] / (std::sqrt(call.in(2)[i]) + call.op.attributes.real("epsilon"));
  }
}

void moving_average_update(const Call& call) {
  const double momentum = call.op.attributes.real("momentum");
  const auto count = static_cast<double>(call.op.attributes.integer("count"));
  for (std::size_t i = 0; i < call.in(0).size(); ++i) {
    call.in(0)[i] += momentum * (call.in(1)[i] / count - call.in(0)[i]);
  }
}

void clip_by_value(const Call& call) {
  const double limit = call.op.attributes.real("limit");
  for (std::size_t i = 0; i < call.in(0).size(); ++i) call.out(0)[i] = std::clamp(call.in(0)[i], -limit, limit);
}

void sum_of_squares(const Call& call) {
  for (const double x : call.in(0)) call.out(0)[0] += x * x;
}

void clip_by_norm(const Call& call) {
  const double factor = std::min(1.0, call.op.attributes.real("limit") / (std::sqrt(call.in(1)[0]) + 1e-6));
  for (std::size_t i = 0; i < call.in(0).size(); ++i) call.out(0)[i] = factor * call.in(0)[i];
}

}  // namespace

const std::map<std::string, Kernel>& update_kernels() {
  static const std::map<std::string, Kernel> kernels{{"sgd_update", sgd_update},
                                                     {"adam_update", adam_update},
                                                     {"rmsprop_update", rmsprop_update},
                                                     {"adagrad_update", adagrad_update},
                                                     {"moving_average_update", moving_average_update},
                                                     {"clip_by_value", clip_by_value},
                                                     {"sum_of_squares", sum_of_squares},
                                                     {"clip_by_norm", clip_by_norm}};
  return kernels;
}

}  // namespace skua::reference
