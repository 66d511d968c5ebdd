// Of an increasing function f and a maximum, max(f(x)) = f(max(x)): the pool comes first, and applies f to what it
// gives.
//
// Values keep their bits, as f never falls as computed (OpTraits::increasing). So do gradients where windows do not
// overlap, unless f rounds different elements of a window to one number: the first of these took the gradient, and now
// the largest does, which is as right. With relu such elements are those not above 0, whose gradient is 0 either way.
// Where windows overlap, a position's gradients were summed before f' was applied and are now summed after it: of relu,
// whose slope is 0 or 1, that gives the same bits; of others it would not.
#include "passes/passes.h"
#include "skua/graph/op_registry.h"

namespace skua::passes {

namespace {

bool overlapping(const Op& pool) {
  const auto& window = pool.attributes.integers("window");
  const auto& strides = pool.attributes.integers("strides");
  return window[0] > strides[0] || window[1] > strides[1];
}

// The pool that may come before this activation; invalid where there is none.
NodeId pool_after(const Graph& graph, const Uses& uses, const Node& activation) {
  const OpTraits& traits = op_definition(activation.op.type).traits;
  if (!traits.activation || !traits.increasing) return {};
  const NodeId reader = uses.only_reader(activation.outputs[0]);
  if (!reader.valid()) return {};
  const Node& pool = graph.node(reader);
  if (pool.op.type != "max_pool2d" || activation_of(pool.op)) return {};
  const ValueId indices = pool.outputs[1];  // of the pool before; nothing may read them
  if (uses.stays(indices) || !uses.readers(indices).empty()) return {};
  return activation.op.type == "relu" || !overlapping(pool.op) ? reader : NodeId();
}

}  // namespace

Rewritten pool_first(const Graph& graph, std::span<const ValueId> kept) {
  const Uses uses(graph, kept);
  Rewriting rewriting(graph);
  std::vector<NodeId> activations(graph.node_count());  // by pool
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.nodes()[i];
    const NodeId pool = pool_after(graph, uses, node);
    if (pool.valid()) {
      activations[pool.index()] = NodeId(static_cast<std::int64_t>(i));
    } else if (activations[i].valid()) {
      const Node& activation = graph.node(activations[i]);
      rewriting.add(node, carrying(node.op, activation.op), activation.inputs, node.outputs);
    } else {
      rewriting.copy(node);
    }
  }
  return rewriting.finish();
}

}  // namespace skua::passes
