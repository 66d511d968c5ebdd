#include <limits>

#include "ops/check.h"
#include "ops/ops.h"

namespace skua::ops {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::vector<std::string> sgd_states(const Op& op) {
  expect_attributes(op, {"momentum"});
  return real_in(op, "momentum", 0, kInfinity) > 0 ? std::vector<std::string>{"velocity"} : std::vector<std::string>{};
}

std::vector<std::string> adam_states(const Op& op) {
  expect_attributes(op, {"beta1", "beta2", "epsilon"});
  (void)real_in(op, "beta1", 0, 1);
  (void)real_in(op, "beta2", 0, 1);
  (void)real_in(op, "epsilon", 0, kInfinity);
  return {"m", "v"};
}

// Parameter, gradient and states, all of one shape; no outputs.
void check_update(TypeSpan inputs, std::size_t states) {
  expect_inputs(inputs, 2 + states, 2 + states);
  const Shape& parameter = float_shape("parameter", inputs[0]);
  expect_shape("gradient", parameter, float_shape("gradient", inputs[1]));
  for (const ValueType& state : inputs.subspan(2)) expect_shape("state", parameter, float_shape("state", state));
}

std::vector<ValueType> infer_sgd(const Op& op, TypeSpan inputs) {
  check_update(inputs, sgd_states(op).size());
  return {};
}

std::vector<ValueType> infer_adam(const Op& op, TypeSpan inputs) {
  check_update(inputs, adam_states(op).size());
  return {};
}

double flops_sgd(const Op& op, TypeSpan inputs, TypeSpan) {
  return (op.attributes.real("momentum") > 0 ? 4 : 2) * elements(inputs[0]);
}

// m: 3, v: 4, p: square root, quotient, sum, quotient, product and difference.
double flops_adam(const Op&, TypeSpan inputs, TypeSpan) {
  return 13 * elements(inputs[0]);
}

}  // namespace

std::vector<OpDefinition> update_ops() {
  return {{"sgd_update", infer_sgd, {}, flops_sgd, sgd_states},
          {"adam_update", infer_adam, {}, flops_adam, adam_states}};
}

}  // namespace skua::ops
