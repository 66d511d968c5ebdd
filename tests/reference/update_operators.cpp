#include <cmath>

#include "reference/operators.h"

namespace skua::reference {

namespace {

void sgd_update(const Call& call) {
  const double momentum = call.op.attributes.real("momentum");
  for (std::size_t i = 0; i < call.in(0).size(); ++i) {
    double velocity = call.in(1)[i];
    if (momentum > 0) {
      velocity += momentum * call.in(2)[i];
      call.in(2)[i] = velocity;
    }
    call.in(0)[i] -= call.step.learning_rate * velocity;
  }
}

void adam_update(const Call& call) {
  const double beta1 = call.op.attributes.real("beta1");
  const double beta2 = call.op.attributes.real("beta2");
  const auto t = static_cast<double>(call.step.step + 1);
  for (std::size_t i = 0; i < call.in(0).size(); ++i) {
    const double g = call.in(1)[i];
    double& m = call.in(2)[i];
    double& v = call.in(3)[i];
    m = beta1 * m + (1 - beta1) * g;
    v = beta2 * v + (1 - beta2) * g * g;
    const double denominator = std::sqrt(v) / std::sqrt(1 - std::pow(beta2, t)) + call.op.attributes.real("epsilon");
    call.in(0)[i] -= call.step.learning_rate / (1 - std::pow(beta1, t)) * m / denominator;
  }
}

}  // namespace

const std::map<std::string, Kernel>& update_kernels() {
  static const std::map<std::string, Kernel> kernels{{"sgd_update", sgd_update}, {"adam_update", adam_update}};
  return kernels;
}

}  // namespace skua::reference
