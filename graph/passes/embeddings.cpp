// Rows of a table that a dense layer alone reads are looked up and multiplied by one operator.
#include "passes/passes.h"

namespace skua::passes {

namespace {

// The dense layer of what `node` looks up; invalid where there is none.
NodeId dense_after(const Graph& graph, const Uses& uses, const Node& node) {
  if (node.op.type != "embedding") return {};
  const NodeId reader = uses.only_reader(node.outputs[0]);
  if (!reader.valid()) return {};
  const Node& dense = graph.node(reader);
  const bool is_plain = dense.op.type == "dense" && dense.op.attributes.values().empty();
  return is_plain && dense.inputs[0] == node.outputs[0] ? reader : NodeId();
}

}  // namespace

Rewritten fuse_embeddings(const Graph& graph, std::span<const ValueId> kept) {
  const Uses uses(graph, kept);
  Rewriting rewriting(graph);
  std::vector<const Node*> embedding_before(graph.node_count());
  for (const Node& node : graph.nodes()) {
    const NodeId dense = dense_after(graph, uses, node);
    if (dense.valid()) embedding_before[dense.index()] = &node;
  }
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.nodes()[i];
    if (dense_after(graph, uses, node).valid()) continue;
    const Node* const embedding = embedding_before[i];
    if (embedding == nullptr) {
      rewriting.copy(node);
      continue;
    }
    std::vector<ValueId> inputs = embedding->inputs;
    inputs.insert(inputs.end(), node.inputs.begin() + 1, node.inputs.end());
    rewriting.add(node, {"embedding_dense", {}}, inputs, node.outputs);
  }
  return rewriting.finish();
}

}  // namespace skua::passes
