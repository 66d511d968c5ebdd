#include <fmt/format.h>

#include <limits>
#include <stdexcept>

#include "ops/check.h"
#include "ops/ops.h"

namespace skua::ops {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

void check_common(const Op& op) {
  (void)real_in(op, "weight_decay", 0, kInfinity);
  (void)real_in(op, "rate_factor", 0, kInfinity);
}

std::vector<std::string> sgd_states(const Op& op) {
  expect_attributes(op, {"momentum", "nesterov", "weight_decay", "rate_factor"});
  check_common(op);
  const bool momentum = real_in(op, "momentum", 0, kInfinity) > 0;
  if (flag(op, "nesterov") && !momentum)
    throw std::invalid_argument("expected 'momentum' above 0 with 'nesterov', got 0");
  return momentum ? std::vector<std::string>{"velocity"} : std::vector<std::string>{};
}

std::vector<std::string> adam_states(const Op& op) {
  expect_attributes(op, {"beta1", "beta2", "epsilon", "weight_decay", "decoupled", "rate_factor"});
  check_common(op);
  (void)real_in(op, "beta1", 0, 1);
  (void)real_in(op, "beta2", 0, 1);
  (void)real_in(op, "epsilon", 0, kInfinity);
  (void)flag(op, "decoupled");
  return {"m", "v"};
}

std::vector<std::string> rmsprop_states(const Op& op) {
  expect_attributes(op, {"alpha", "epsilon", "momentum", "weight_decay", "rate_factor"});
  check_common(op);
  (void)real_in(op, "alpha", 0, 1);
  (void)real_in(op, "epsilon", 0, kInfinity);
  std::vector<std::string> states{"v"};
  if (real_in(op, "momentum", 0, kInfinity) > 0) states.push_back("momentum");
  return states;
}

std::vector<std::string> adagrad_states(const Op& op) {
  expect_attributes(op, {"epsilon", "weight_decay", "rate_factor"});
  check_common(op);
  (void)real_in(op, "epsilon", 0, kInfinity);
  return {"sum"};
}

std::vector<std::string> moving_average_states(const Op& op) {
  expect_attributes(op, {"momentum", "count"});
  const double momentum = finite_real(op, "momentum");
  if (momentum < 0 || momentum > 1) {
    throw std::invalid_argument(fmt::format("expected 'momentum' in [0,1], got {}", momentum));
  }
  if (op.attributes.integer("count") < 1) {
    throw std::invalid_argument(fmt::format("expected 'count' of 1 or more, got {}", op.attributes.integer("count")));
  }
  return {};
}

// Parameter, gradient and states, all of one shape; no outputs.
auto infer_with(std::vector<std::string> (*states)(const Op&)) {
  return [states](const Op& op, TypeSpan inputs) {
    const std::size_t count = states(op).size();
    expect_inputs(inputs, 2 + count, 2 + count);
    const Shape& parameter = float_shape("parameter", inputs[0]);
    expect_shape("gradient", parameter, float_shape("gradient", inputs[1]));
    for (const ValueType& state : inputs.subspan(2)) expect_shape("state", parameter, float_shape("state", state));
    return std::vector<ValueType>();
  };
}

auto flops_with(double (*per_element)(const Op&)) {
  return [per_element](const Op& op, TypeSpan inputs, TypeSpan) { return per_element(op) * elements(inputs[0]); };
}

double decay_flops(const Op& op) {
  return op.attributes.real("weight_decay") > 0 ? 2 : 0;
}
double flops_sgd(const Op& op) {
  const double momentum = op.attributes.real("momentum") > 0 ? 2 : 0;
  return 2 + momentum + (flag(op, "nesterov") ? 2 : 0) + decay_flops(op);
}
// m: 3, v: 4, p: square root, quotient, sum, quotient, product and difference.
double flops_adam(const Op& op) {
  return 13 + decay_flops(op);
}
double flops_rmsprop(const Op& op) {
  return 9 + (op.attributes.real("momentum") > 0 ? 2 : 0) + decay_flops(op);
}
double flops_adagrad(const Op& op) {
  return 7 + decay_flops(op);
}
double flops_moving_average(const Op&) {
  return 3;
}

}  // namespace

std::vector<OpDefinition> update_ops() {
  return {{"sgd_update", infer_with(sgd_states), {}, flops_with(flops_sgd), sgd_states},
          {"adam_update", infer_with(adam_states), {}, flops_with(flops_adam), adam_states},
          {"rmsprop_update", infer_with(rmsprop_states), {}, flops_with(flops_rmsprop), rmsprop_states},
          {"adagrad_update", infer_with(adagrad_states), {}, flops_with(flops_adagrad), adagrad_states},
          {"moving_average_update",
           infer_with(moving_average_states),
           {},
           flops_with(flops_moving_average),
           moving_average_states}};
}

}  // namespace skua::ops
