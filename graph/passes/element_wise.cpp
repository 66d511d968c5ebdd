// Element-wise operators whose results only each other read become one, which reads its operands once and writes its
// result once: in the forward pass, and in the backward pass that autodiff has appended.
#include <algorithm>
#include <map>

#include "passes/passes.h"
#include "skua/graph/element_steps.h"
#include "skua/graph/op_registry.h"

namespace skua::passes {

namespace {

// By node, the one whose result its own leads to alone. Gradients are summed over micro-batches before kUpdate, where
// everything stays as it is.
class Groups {
 public:
  Groups(const Graph& graph, std::span<const ValueId> kept)
      : graph_(graph), uses_(graph, kept), last_(graph.node_count()), members_(graph.node_count()) {
    for (std::size_t i = graph.node_count(); i-- > 0;) {
      last_[i] = last_of(NodeId(static_cast<std::int64_t>(i)));
      members_[last_[i].index()].push_back(NodeId(static_cast<std::int64_t>(i)));
    }
  }

  [[nodiscard]] bool ends_at(std::size_t node) const { return last_[node].index() == node; }
  // Of the group that ends at `node`, in their order.
  [[nodiscard]] std::vector<NodeId> members(std::size_t node) const {
    return {members_[node].rbegin(), members_[node].rend()};
  }

 private:
  [[nodiscard]] bool is_step(const Node& node) const {
    return node.phase != Phase::kUpdate && op_definition(node.op.type).traits.element_step;
  }

  // REQUIRES: the groups of all later nodes stand.
  [[nodiscard]] NodeId last_of(NodeId id) const {
    const Node& node = graph_.node(id);
    if (!is_step(node)) return id;
    const ValueId y = node.outputs[0];
    const auto& readers = uses_.readers(y);
    // What mirrors a parameter lies as that does.
    if (readers.empty() || uses_.stays(y) || graph_.value(y).mirrors.valid()) return id;
    const NodeId last = last_[readers[0].index()];
    const bool one = std::all_of(readers.begin(), readers.end(), [&](NodeId r) { return last_[r.index()] == last; });
    const bool joins = one && is_step(graph_.node(last)) && graph_.node(last).phase == node.phase &&
                       members_[last.index()].size() < kMostElementSteps;
    return joins ? last : id;
  }

  const Graph& graph_;
  Uses uses_;
  std::vector<NodeId> last_;
  std::vector<std::vector<NodeId>> members_;  // by last node, backwards
};

struct Fused {
  Op op;
  std::vector<ValueId> inputs;
};

Fused fused(const Graph& graph, const std::vector<NodeId>& members) {
  std::map<ValueId, std::int64_t> places;  // of operands, then of results
  for (const NodeId member : members) places[graph.node(member).outputs[0]] = -1;
  Fused result;
  for (const NodeId member : members) {
    for (const ValueId input : graph.node(member).inputs) {
      if (places.emplace(input, static_cast<std::int64_t>(result.inputs.size())).second) result.inputs.push_back(input);
    }
  }
  std::vector<ElementStep> steps;
  for (const NodeId member : members) {
    const Node& node = graph.node(member);
    ElementStep step{node.op, {}};
    for (const ValueId input : node.inputs) step.from.push_back(places.at(input));
    places[node.outputs[0]] = static_cast<std::int64_t>(result.inputs.size() + steps.size());
    steps.push_back(std::move(step));
  }
  result.op = element_wise(steps);
  return result;
}

}  // namespace

Rewritten fuse_element_wise(const Graph& graph, std::span<const ValueId> kept) {
  const Groups groups(graph, kept);
  Rewriting rewriting(graph);
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    if (!groups.ends_at(i)) continue;
    const Node& node = graph.nodes()[i];
    const std::vector<NodeId> members = groups.members(i);
    if (members.size() == 1) {
      rewriting.copy(node);
      continue;
    }
    Fused one = fused(graph, members);
    rewriting.add(node, std::move(one.op), one.inputs, node.outputs);
  }
  return rewriting.finish();
}

}  // namespace skua::passes
