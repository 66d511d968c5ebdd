// A naive second implementation of every operator, in double precision, written apart from the kernels: loops straight
// from the definitions in docs/operators.md. What the tests compare gradients and devices against.
#pragma once

#include <map>
#include <span>
#include <vector>

#include "skua/graph/graph.h"
#include "skua/graph/tensor.h"

namespace skua::reference {

using Array = std::vector<double>;  // row-major; int32 values as doubles

// One run of one node. Updates get and return nothing through outputs: they change `inputs` in place.
struct Step {
  std::int64_t step = 0;
  double learning_rate = 0;
  std::uint64_t seed = 0;
  int micro_batch = 0;
};
void run_node(const Graph& graph, const Node& node, std::span<Array* const> inputs, std::span<Array* const> outputs,
              const Step& step = {});

// Runs all forward and backward nodes (and, with `updates`, the update nodes) once, in node order. `values` must hold
// every input, parameter and state and gets every intermediate.
void run(const Graph& graph, std::map<ValueId, Array>& values, const Step& step = {}, bool updates = false);

// Uniform in [low, high), from the counter-based generator.
[[nodiscard]] Array random_array(const Shape& shape, std::uint64_t seed, double low = -1, double high = 1);
[[nodiscard]] Tensor to_tensor(const Array& array, const ValueType& type);
[[nodiscard]] Array to_array(const Tensor& tensor);

}  // namespace skua::reference
