// Recurrences over the gates that a layer's input adds.
#include <fmt/format.h>

#include <stdexcept>

#include "ops/check.h"
#include "ops/ops.h"

namespace skua::ops {

namespace {

// What tells the three recurrences apart.
struct Cell {
  std::int64_t gates;  // widths of H in `gates`
  std::size_t states;  // h, and c
  std::int64_t kept;   // widths of H in `activations`; 0: not kept
  bool keeps_cells;
};

Cell cell_of(const Op& op) {
  if (op.type.starts_with("lstm")) return {4, 2, 4, true};
  if (op.type.starts_with("gru")) return {3, 1, 4, false};
  return {1, 1, 0, false};
}

void check_attributes(const Op& op) {
  if (!op.type.starts_with("simple_rnn")) {
    expect_attributes(op, {"reverse"});
  } else {
    expect_attributes(op, {"activation", "reverse"});
    const std::string& activation = op.attributes.text("activation");
    if (activation != "tanh" && activation != "relu") {
      throw std::invalid_argument(fmt::format("expected an 'activation' of tanh or relu, got '{}'", activation));
    }
  }
  (void)flag(op, "reverse");
}

struct Sizes {
  std::int64_t batch, steps, units, gates;
  [[nodiscard]] Shape sequence(std::int64_t widths) const { return {batch, steps, widths * units}; }
  [[nodiscard]] Shape state() const { return {batch, units}; }
  [[nodiscard]] Shape weight() const { return {gates * units, units}; }
  [[nodiscard]] Shape bias() const { return {gates * units}; }
};

void expect_mask(TypeSpan inputs, std::size_t i, const Sizes& sizes) {
  if (inputs.size() > i) expect_shape("mask", Shape{sizes.batch, sizes.steps}, float_shape("mask", inputs[i]));
}

std::vector<ValueType> infer(const Op& op, TypeSpan inputs) {
  check_attributes(op);
  const Cell cell = cell_of(op);
  expect_inputs(inputs, 3 + cell.states, 4 + cell.states);
  const Shape& gates = float_shape("gates", inputs[0], "(N,T,gates*H)");
  const Shape& weight = float_shape("weight_hh", inputs[1], "(gates*H,H)");
  const Sizes sizes{gates[0], gates[1], weight[1], cell.gates};
  expect_shape("weight_hh", sizes.weight(), weight);
  expect_shape("gates", sizes.sequence(cell.gates), gates);
  expect_shape("bias_hh", sizes.bias(), float_shape("bias_hh", inputs[2]));
  for (std::size_t i = 0; i < cell.states; ++i) {
    expect_shape(i == 0 ? "h0" : "c0", sizes.state(), float_shape("state", inputs[3 + i]));
  }
  expect_mask(inputs, 3 + cell.states, sizes);
  std::vector<ValueType> outputs{{sizes.sequence(1)}};
  for (std::size_t i = 0; i < cell.states; ++i) outputs.push_back({sizes.state()});
  if (cell.kept > 0) outputs.push_back({sizes.sequence(cell.kept)});
  if (cell.keeps_cells) outputs.push_back({sizes.sequence(1)});
  return outputs;
}

// weight_hh, states, y, [activations], [cells], dy, d states at the end, [mask].
std::vector<ValueType> infer_backward(const Op& op, TypeSpan inputs) {
  check_attributes(op);
  const Cell cell = cell_of(op);
  const std::size_t kept = (cell.kept > 0 ? 1 : 0) + (cell.keeps_cells ? 1 : 0);
  const std::size_t count = 3 + 2 * cell.states + kept;
  expect_inputs(inputs, count, count + 1);
  const Shape& weight = float_shape("weight_hh", inputs[0], "(gates*H,H)");
  std::size_t next = 1 + cell.states;
  const Shape& y = float_shape("y", inputs[next++], "(N,T,H)");
  const Sizes sizes{y[0], y[1], y[2], cell.gates};
  expect_shape("weight_hh", sizes.weight(), weight);
  for (std::size_t i = 0; i < cell.states; ++i)
    expect_shape("state", sizes.state(), float_shape("state", inputs[1 + i]));
  if (cell.kept > 0) {
    expect_shape("activations", sizes.sequence(cell.kept), float_shape("activations", inputs[next++]));
  }
  if (cell.keeps_cells) expect_shape("cells", sizes.sequence(1), float_shape("cells", inputs[next++]));
  expect_shape("dy", y, float_shape("dy", inputs[next++]));
  for (std::size_t i = 0; i < cell.states; ++i) {
    expect_shape("gradient of a state", sizes.state(), float_shape("gradient of a state", inputs[next++]));
  }
  expect_mask(inputs, next, sizes);
  std::vector<ValueType> outputs{{sizes.sequence(cell.gates)}, {sizes.weight()}, {sizes.bias()}};
  for (std::size_t i = 0; i < cell.states; ++i) outputs.push_back({sizes.state()});
  return outputs;
}

std::vector<ValueId> gradient(GradientContext& context) {
  const Cell cell = cell_of(context.op());
  const std::size_t kept = (cell.kept > 0 ? 1 : 0) + (cell.keeps_cells ? 1 : 0);
  const bool mask = context.input_count() == 4 + cell.states;
  std::vector<ValueId> inputs{context.input(1)};
  for (std::size_t i = 0; i < cell.states; ++i) inputs.push_back(context.input(3 + i));
  inputs.push_back(context.output(0));
  for (std::size_t i = 0; i < kept; ++i) {
    const std::size_t output = 1 + cell.states + i;
    if (context.output_gradient(output).valid()) {
      throw std::invalid_argument("expected a loss that depends on y and the last states alone, got another");
    }
    inputs.push_back(context.output(output));
  }
  for (std::size_t i = 0; i < 1 + cell.states; ++i) {
    ValueId given = context.output_gradient(i);
    if (!given.valid()) {
      const Op zeros{"fill", {{"shape", context.type(context.output(i)).shape.extents()}, {"value", 0.0}}};
      given = context.add(zeros, {}, fmt::format("zeros{}", i)).at(0);
    }
    inputs.push_back(given);
  }
  if (mask) inputs.push_back(context.input(3 + cell.states));
  std::vector<ValueId> gradients =
      context.add({context.op().type + "_backward", context.op().attributes}, inputs, "backward");
  gradients.resize(context.input_count());
  return gradients;
}

// The product by weight_hh at every step, and about ten operations per gate.
double flops_forward(const Op&, TypeSpan inputs, TypeSpan) {
  return elements(inputs[0]) * (2 * static_cast<double>(inputs[1].shape[1]) + 10);
}
double flops_backward(const Op&, TypeSpan inputs, TypeSpan outputs) {
  return elements(outputs[0]) * (4 * static_cast<double>(inputs[0].shape[1]) + 12);
}

}  // namespace

std::vector<OpDefinition> recurrent_ops() {
  std::vector<OpDefinition> ops;
  for (const std::string type : {"simple_rnn", "lstm", "gru"}) {
    ops.push_back({type, infer, gradient, flops_forward, {}});
    ops.push_back({type + "_backward", infer_backward, {}, flops_backward, {}});
  }
  return ops;
}

}  // namespace skua::ops
