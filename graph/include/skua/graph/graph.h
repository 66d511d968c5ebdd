// The computation of one training step for one micro-batch: operators (nodes) and the values between them, with static
// shapes. Append-only, so node order is a topological order. A plain value: copy it, move it; concurrent reads are
// safe.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "skua/graph/ids.h"
#include "skua/graph/op.h"
#include "skua/graph/shape.h"

namespace skua {

enum class ValueKind : std::uint8_t {
  kInput,         // data of a micro-batch, bound anew each step
  kParameter,     // trained; one instance for all micro-batches
  kState,         // an optimizer's; one instance for all micro-batches
  kIntermediate,  // computed by a node, one instance per micro-batch
};

// Nodes of kForward and kBackward run once per micro-batch, nodes of kUpdate once per step, on gradients that have been
// summed over all micro-batches: the updates themselves, which work in place, and what is computed from gradients before
// (clipping).
enum class Phase : std::uint8_t { kForward, kBackward, kUpdate };

struct Value {
  std::string name;
  ValueType type;
  ValueKind kind = ValueKind::kIntermediate;
  NodeId producer;  // invalid unless kIntermediate
  // Where valid: the parameter whose shape and device layout this value shares (its gradient or optimizer state).
  ValueId mirrors;
};

struct Node {
  Op op;
  std::vector<ValueId> inputs;
  std::vector<ValueId> outputs;
  std::string name;  // unique in its graph: "conv1", "conv1.backward_weight"
  Phase phase = Phase::kForward;
};

class Graph {
 public:
  // Names must be new in the graph; all add_* throw std::invalid_argument naming the value or node otherwise.
  ValueId add_input(const std::string& name, ValueType type);
  ValueId add_parameter(const std::string& name, Shape shape);
  ValueId add_state(const std::string& name, ValueId parameter);  // float32, the parameter's shape

  // Appends a node; its output types come from the operator's shape rule. Output i is named `name` (i == 0) or
  // `name:i`, unless `output_names` says otherwise. Throws std::invalid_argument "[conv2d conv1] expected ..., got ..."
  // where the operator is unknown or its inputs do not fit. Update operators take phase kUpdate; their inputs are a
  // parameter, an intermediate (its gradient) and states of that parameter. Other nodes of that phase read intermediates
  // alone, and nodes of other phases read nothing that it makes.
  std::vector<ValueId> add_node(Op op, std::vector<ValueId> inputs, const std::string& name,
                                Phase phase = Phase::kForward, const std::vector<std::string>& output_names = {});
  void rename_value(ValueId value, const std::string& name);
  // Marks an intermediate of `parameter`'s type as sharing the parameter's device layout. Throws std::invalid_argument
  // where the types differ or the value already mirrors another parameter.
  void set_mirrors(ValueId value, ValueId parameter);
  // Keeps an intermediate for the caller after the step (a loss, a prediction). Marking twice is marking once.
  void mark_output(ValueId value);

  [[nodiscard]] std::size_t node_count() const { return nodes_.size(); }
  [[nodiscard]] std::size_t value_count() const { return values_.size(); }
  [[nodiscard]] const Node& node(NodeId id) const { return nodes_.at(id.index()); }
  [[nodiscard]] const Value& value(ValueId id) const { return values_.at(id.index()); }
  [[nodiscard]] const std::vector<Node>& nodes() const { return nodes_; }
  [[nodiscard]] const std::vector<Value>& values() const { return values_; }
  [[nodiscard]] const std::vector<ValueId>& outputs() const { return outputs_; }
  [[nodiscard]] std::vector<ValueId> values_of(ValueKind kind) const;  // in order of addition
  [[nodiscard]] std::vector<ValueType> input_types(const Node& node) const;
  [[nodiscard]] std::vector<ValueType> output_types(const Node& node) const;
  [[nodiscard]] ValueId find_value(const std::string& name) const;  // invalid where there is none
  [[nodiscard]] NodeId find_node(const std::string& name) const;    // invalid where there is none

 private:
  ValueId add_value(Value value);
  void check_value_name(const std::string& name) const;
  void check_kinds(const Node& node) const;

  std::vector<Node> nodes_;
  std::vector<Value> values_;
  std::vector<ValueId> outputs_;
  std::unordered_map<std::string, ValueId> value_names_;
  std::unordered_map<std::string, NodeId> node_names_;
};

// SHA-256 (hex) of the graph's structure: operators, attributes, shapes, names and wiring.
[[nodiscard]] std::string fingerprint(const Graph& graph);

// Graphviz text: one box per node, grouped by phase, edges labelled with their types.
[[nodiscard]] std::string to_dot(const Graph& graph);

}  // namespace skua
