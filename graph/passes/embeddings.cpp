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
  std::vector<const Node*> embeddings(graph.node_count());  // by dense layer
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.nodes()[i];
    const NodeId dense = dense_after(graph, uses, node);
    if (dense.valid()) {
      embeddings[dense.index()] = &node;
    } else if (embeddings[i] != nullptr) {
      std::vector<ValueId> inputs = embeddings[i]->inputs;
      inputs.insert(inputs.end(), node.inputs.begin() + 1, node.inputs.end());
      rewriting.add(node, {"embedding_dense", {}}, inputs, node.outputs);
    } else {
      rewriting.copy(node);
    }
  }
  return rewriting.finish();
}

}  // namespace skua::passes
