// What each operator type means: shape rule, gradient rule, floating-point work. Built-in operators are there from the
// start; register_op adds one from outside. Registration is for start-up, before other threads look operators up.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "skua/graph/graph.h"

namespace skua {

// What a gradient rule sees of its node, and how it appends backward nodes. References end with the next add().
class GradientContext {
 public:
  GradientContext(Graph& graph, NodeId node, std::vector<ValueId> output_gradients)
      : graph_(graph), node_(node), op_(graph.node(node).op), output_gradients_(std::move(output_gradients)) {}
  // The same node as if it were `op`, with other gradients by its outputs.
  [[nodiscard]] GradientContext as(Op op, std::vector<ValueId> output_gradients) const;

  [[nodiscard]] const Op& op() const { return op_; }
  [[nodiscard]] std::size_t output_count() const { return output_gradients_.size(); }
  [[nodiscard]] std::size_t input_count() const { return graph_.node(node_).inputs.size(); }
  [[nodiscard]] ValueId input(std::size_t i) const { return graph_.node(node_).inputs.at(i); }
  [[nodiscard]] ValueId output(std::size_t i) const { return graph_.node(node_).outputs.at(i); }
  [[nodiscard]] const ValueType& type(ValueId value) const { return graph_.value(value).type; }
  // Gradient of the loss by output i; invalid where the loss does not depend on that output.
  [[nodiscard]] ValueId output_gradient(std::size_t i) const { return output_gradients_.at(i); }
  // True where the gradient by input i is wanted (it leads to a parameter).
  [[nodiscard]] bool wants(std::size_t i) const { return wanted_.empty() || wanted_.at(i); }
  void set_wanted(std::vector<bool> wanted) { wanted_ = std::move(wanted); }
  // Appends a backward node named "<node>.<suffix>" (and "#2", ... where an earlier loss has taken the name).
  std::vector<ValueId> add(Op op, std::vector<ValueId> inputs, const std::string& suffix);

 private:
  Graph& graph_;
  NodeId node_;
  Op op_;
  std::vector<ValueId> output_gradients_;
  std::vector<bool> wanted_;
};

using TypeSpan = std::span<const ValueType>;

// What the graph passes (passes.h) may do with an operator.
struct OpTraits {
  // An element of each output depends on nothing but those at its place in the inputs of that shape, and on what inputs
  // (C) hold for its channel.
  bool pointwise = false;
  // A function of each element whose backward operator "<type>_backward" takes its result: (y, dy).
  bool activation = false;
  // That function never falls where x rises, as computed in float32.
  bool increasing = false;
  // May carry an activation, by the attributes `activation` and `alpha`: its first output is then that function's
  // result.
  bool takes_activation = false;
  // May be a step of the operator element_wise (element_steps.h): one result, of the shape of each operand.
  bool element_step = false;
};

struct OpDefinition {
  std::string type;
  // Output types from input types. Throws std::invalid_argument saying what was expected and what came; the graph puts
  // "[type name] " before the message.
  std::function<std::vector<ValueType>(const Op&, TypeSpan inputs)> infer;
  // Appends the backward nodes and returns one gradient per input (invalid ids where there is none). Empty: the
  // operator cannot be differentiated.
  std::function<std::vector<ValueId>(GradientContext&)> gradient;
  // Floating-point operations of one run; a multiply-add counts as two, exp, log, tanh and sqrt as one. Empty: none.
  std::function<double(const Op&, TypeSpan inputs, TypeSpan outputs)> flops;
  // Updates only. Inputs are (parameter, gradient, states...); all but the gradient are changed in place, there are no
  // outputs. Names of the states, in order.
  std::function<std::vector<std::string>(const Op&)> states;
  OpTraits traits = {};
};

void register_op(OpDefinition definition);  // throws std::invalid_argument on a known type
[[nodiscard]] const OpDefinition& op_definition(const std::string& type);  // throws std::invalid_argument if unknown
[[nodiscard]] std::vector<std::string> op_types();                         // sorted

// The activation that the operator carries, with its attributes; none where it carries none.
[[nodiscard]] std::optional<Op> activation_of(const Op& op);

struct OpCost {
  double flops = 0;  // floating-point operations
  double bytes = 0;  // bytes read and written, every input and output once
};
[[nodiscard]] OpCost cost_of(const Graph& graph, const Node& node);

}  // namespace skua
