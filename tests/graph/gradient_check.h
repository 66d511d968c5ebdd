// Gradients of a graph's parameters against central differences, both evaluated by the reference in double.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "graph/small_graphs.h"
#include "skua/graph/random.h"

namespace skua::test {

using reference::Array;

inline constexpr int kCases = 24;

inline std::int64_t between(Random& random, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(high - low + 1)));
}

inline Shape random_shape(Random& random, std::size_t rank) {
  Integers extents;
  for (std::size_t i = 0; i < rank; ++i) extents.push_back(between(random, 1, 5));
  return Shape(extents);
}

// Values in [-2, 2] that lie apart from each other and from 0, so that no kink is near.
inline Array spaced_array(const Shape& shape, Random& random) {
  Array array(static_cast<std::size_t>(shape.elements()));
  const auto count = static_cast<double>(array.size());
  for (std::size_t i = 0; i < array.size(); ++i) array[i] = 4 * (static_cast<double>(i) + 0.3) / count - 2;
  for (std::size_t i = array.size(); i > 1; --i) std::swap(array[i - 1], array[random.below(i)]);
  return array;
}

// A graph and the numbers to evaluate it with.
struct Problem {
  Graph graph;
  Values values;
  Random random;
  ValueId loss;

  explicit Problem(int seed) : random(static_cast<std::uint64_t>(seed), 77) {}

  ValueId parameter(const std::string& name, const Shape& shape) {
    const ValueId id = graph.add_parameter(name, shape);
    values[id] = spaced_array(shape, random);
    return id;
  }

  // loss = the sum of y's elements, each with a random weight of its own.
  void weigh(ValueId y) {
    const std::int64_t count = graph.value(y).type.shape.elements();
    const ValueId weights = graph.add_input("weights", {{1, count}});
    values[weights] = spaced_array({1, count}, random);
    ValueId sum = graph.add_node(reshape({1, count}), {y}, "row").at(0);
    sum = graph.add_node({"dense", {}}, {sum, weights}, "weighted").at(0);
    loss = graph.add_node(reshape(Shape{}), {sum}, "scalar").at(0);
  }
};

inline double loss_of(const Graph& graph, ValueId loss, Values values) {
  reference::run(graph, values);
  return values.at(loss).at(0);
}

inline Array central_differences(const Graph& graph, ValueId loss, Values values, ValueId by) {
  constexpr double kStep = 1e-5;
  Array result;
  for (std::size_t i = 0; i < values.at(by).size(); ++i) {
    const double at = values[by][i];
    values[by][i] = at + kStep;
    const double above = loss_of(graph, loss, values);
    values[by][i] = at - kStep;
    const double below = loss_of(graph, loss, values);
    values[by][i] = at;
    result.push_back((above - below) / (2 * kStep));
  }
  return result;
}

inline double largest(const Array& array) {
  double result = 0;
  for (const double x : array) result = std::max(result, std::abs(x));
  return result;
}

inline void expect_gradients(const Graph& forward, ValueId loss, const Values& values) {
  Graph graph = forward;
  const auto gradients = append_gradients(graph, loss);
  const auto parameters = forward.values_of(ValueKind::kParameter);
  ASSERT_EQ(gradients.size(), parameters.size());
  Values computed = values;
  reference::run(graph, computed);
  for (const ValueId parameter : parameters) {
    const Array expected = central_differences(forward, loss, values, parameter);
    const Array& got = computed.at(gradients.at(parameter));
    ASSERT_EQ(got.size(), expected.size());
    Array error;
    for (std::size_t i = 0; i < got.size(); ++i) error.push_back(got[i] - expected[i]);
    EXPECT_LE(largest(error), 1e-6 * std::max(largest(expected), 1e-2)) << graph.value(parameter).name;
  }
}

// Builds problem after problem and checks its gradients.
template <class Build>
void check(Build build) {
  for (int seed = 0; seed < kCases; ++seed) {
    SCOPED_TRACE(fmt::format("case {}", seed));
    Problem problem(seed);
    build(problem);
    expect_gradients(problem.graph, problem.loss, problem.values);
  }
}

}  // namespace skua::test
