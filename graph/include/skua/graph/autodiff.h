// Reverse-mode automatic differentiation on the graph: appends the backward nodes and the optimizer's update nodes.
#pragma once

#include <map>

#include "skua/graph/graph.h"

namespace skua {

// Appends the gradient of the scalar `loss` by every parameter that it depends on, or by those among `parameters` alone
// (what is frozen then costs no backward nodes of its own). Returned values mirror their parameters. Contributions of several uses are added in reverse order of the uses.
// Throws std::invalid_argument where `loss` is no float32 scalar or a node on the way has no gradient rule.
// Source: Griewank and Walther, "Evaluating Derivatives", 2nd ed., ch. 3 (reverse accumulation).
std::map<ValueId, ValueId> append_gradients(Graph& graph, ValueId loss);
std::map<ValueId, ValueId> append_gradients(Graph& graph, ValueId loss, const std::vector<ValueId>& parameters);

// Appends one update node per parameter: `optimizer` is an update operator ("sgd_update", "adam_update"), whose state
// values are added as "<parameter>.<state>". A gradient may be one of the update phase (clipped).
void append_updates(Graph& graph, const std::map<ValueId, ValueId>& gradients, const Op& optimizer);

}  // namespace skua
