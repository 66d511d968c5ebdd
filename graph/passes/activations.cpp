// An operator whose result is read by an activation alone carries it.
#include "passes/passes.h"
#include "skua/graph/op_registry.h"

namespace skua::passes {

namespace {

// The activation that `node` can take in; invalid where there is none.
NodeId activation_after(const Graph& graph, const Uses& uses, const Node& node) {
  if (!op_definition(node.op.type).traits.takes_activation || activation_of(node.op)) return {};
  const NodeId reader = uses.only_reader(node.outputs[0]);
  if (!reader.valid() || !op_definition(graph.node(reader).op.type).traits.activation) return {};
  return reader;
}

}  // namespace

Rewritten fuse_activations(const Graph& graph, std::span<const ValueId> kept) {
  const Uses uses(graph, kept);
  Rewriting rewriting(graph);
  std::vector<bool> taken(graph.node_count());
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.nodes()[i];
    if (taken[i]) continue;
    const NodeId after = activation_after(graph, uses, node);
    if (!after.valid()) {
      rewriting.copy(node);
      continue;
    }
    taken[after.index()] = true;
    const Node& activation = graph.node(after);
    Op op = node.op;
    for (const auto& [name, value] : activation.op.attributes.values()) op.attributes.set(name, value);
    op.attributes.set("activation", activation.op.type);
    std::vector<ValueId> outputs = node.outputs;
    outputs[0] = activation.outputs[0];
    rewriting.add(node, std::move(op), node.inputs, outputs);
  }
  return rewriting.finish();
}

}  // namespace skua::passes
