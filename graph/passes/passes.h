// The passes, one function a file, and what they share.
#pragma once

#include "skua/graph/passes.h"

namespace skua::passes {

Rewritten fuse_embeddings(const Graph& graph, std::span<const ValueId> kept);
Rewritten pool_first(const Graph& graph, std::span<const ValueId> kept);
Rewritten fuse_activations(const Graph& graph, std::span<const ValueId> kept);
Rewritten dead_regions(const Graph& graph, std::span<const ValueId> kept);
Rewritten fuse_element_wise(const Graph& graph, std::span<const ValueId> kept);

// The operator with the activation that it carries from now on.
[[nodiscard]] Op carrying(Op op, const Op& activation);

// Who reads each value, and what must stay.
class Uses {
 public:
  Uses(const Graph& graph, std::span<const ValueId> kept);

  [[nodiscard]] const std::vector<NodeId>& readers(ValueId value) const { return readers_[value.index()]; }
  [[nodiscard]] bool stays(ValueId value) const { return stays_[value.index()]; }
  // The one node that reads `value`, which may otherwise vanish; invalid where there is no such one.
  [[nodiscard]] NodeId only_reader(ValueId value) const;

 private:
  std::vector<std::vector<NodeId>> readers_;  // by value; a node that reads it twice counts twice
  std::vector<bool> stays_;
};

// A graph in the making from another, node by node in that one's order.
class Rewriting {
 public:
  explicit Rewriting(const Graph& from) : from_(from) { result_.values.resize(from.value_count()); }

  // Appends a node under the old one's name; its outputs take the names, and the places, of the old values `outputs`.
  // REQUIRES: all that the old node reads has a place.
  void add(const Node& old, Op op, const std::vector<ValueId>& inputs, const std::vector<ValueId>& outputs);
  void copy(const Node& node) { add(node, node.op, node.inputs, node.outputs); }
  // What a node that was added by other means stands for.
  void place(ValueId old, ValueId value) { result_.values[old.index()] = value; }
  [[nodiscard]] ValueId at(ValueId old) { return result_.values[old.index()]; }
  [[nodiscard]] Graph& graph() { return result_.graph; }
  // Adds inputs, parameters and states up to `end` of the old values.
  void add_leaves(std::size_t end);
  [[nodiscard]] Rewritten finish();

 private:
  const Graph& from_;
  Rewritten result_;
  std::size_t next_leaf_ = 0;
};

}  // namespace skua::passes
