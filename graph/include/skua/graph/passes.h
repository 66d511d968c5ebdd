// Passes that rewrite a model's forward graph into an equal one that costs less, before its gradients are appended:
// autodiff then differentiates what is left. Pure functions of plain values; safe from any thread.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "skua/graph/graph.h"

namespace skua {

struct Rewritten {
  Graph graph;
  std::vector<ValueId> values;  // by id in the graph before: the same value's id, invalid where it is gone
};

// Inputs, parameters, states, outputs and the values in `kept` stay, the first four with their names and order, all
// with their types and meanings; nodes and values that stay keep their names.
struct Pass {
  std::string name;
  std::string description;  // a line
  Rewritten (*run)(const Graph& graph, std::span<const ValueId> kept);
};

[[nodiscard]] const std::vector<Pass>& graph_passes();  // in the order in which they run
[[nodiscard]] std::vector<std::string> pass_names();
// The passes that `text` means, in order: "all", "none", or names with commas between. Throws std::invalid_argument
// where a name is no pass's.
[[nodiscard]] std::vector<std::string> passes_of(const std::string& text);

// Runs the passes of these names, in their own order. Throws std::invalid_argument where a name is no pass's, or a node
// is not of the forward phase.
[[nodiscard]] Rewritten rewrite(const Graph& graph, std::span<const ValueId> kept,
                                const std::vector<std::string>& names);

}  // namespace skua
