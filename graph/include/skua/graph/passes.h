// Passes that rewrite a model's graph into an equal one that costs less: its forward graph before gradients are
// appended, so that autodiff differentiates what is left, and then the whole. Pure functions of plain values; safe from
// any thread.
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

enum class Stage : std::uint8_t {
  kForward,  // of a forward graph
  kWhole,    // of a graph to which nothing is appended any more
};

// Inputs, parameters, states, outputs and the values in `kept` stay, the first four with their names and order, all
// with their types and meanings; nodes and values that stay keep their names.
struct Pass {
  std::string name;
  std::string description;  // a line
  Rewritten (*run)(const Graph& graph, std::span<const ValueId> kept);
  Stage stage = Stage::kForward;
};

[[nodiscard]] const std::vector<Pass>& graph_passes();  // in the order in which they run
[[nodiscard]] std::vector<std::string> pass_names();
// The passes that `text` means, in order: "all", "none", or names with commas between. Throws std::invalid_argument
// where a name is no pass's.
[[nodiscard]] std::vector<std::string> passes_of(const std::string& text);

// Runs the passes of the forward stage that have these names, in their own order. Throws std::invalid_argument where a
// name is no pass's, or a node is not of the forward phase.
[[nodiscard]] Rewritten rewrite(const Graph& graph, std::span<const ValueId> kept,
                                const std::vector<std::string>& names);
// Runs those of the whole graph. Throws std::invalid_argument where a name is no pass's.
[[nodiscard]] Rewritten rewrite_whole(const Graph& graph, std::span<const ValueId> kept,
                                      const std::vector<std::string>& names);

}  // namespace skua
