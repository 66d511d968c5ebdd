// A small graph with random numbers, run by the tested device and by the reference in double.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "engine/operators/operator_device.h"
#include "engine/operators/runner.h"
#include "graph/small_graphs.h"
#include "skua/graph/random.h"

namespace skua::test {

using reference::Array;

inline constexpr double kUnitRoundoff = 0x1p-24;  // of float32

inline std::int64_t between(Random& random, std::int64_t low, std::int64_t high) {
  return low + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(high - low + 1)));
}

inline std::int64_t one_of(Random& random, const Integers& choices) {
  return choices[random.below(choices.size())];
}

inline Shape random_shape(Random& random, std::size_t rank) {
  Integers extents;
  for (std::size_t i = 0; i < rank; ++i) extents.push_back(one_of(random, {1, 2, 3, 5, 10, 17}));
  if (rank > 0) extents[random.below(rank)] = one_of(random, {1, 16, 18, 70});
  return Shape(extents);
}

// One shape in four is large enough for two threads.
inline Shape random_shape(Random& random) {
  return random.below(4) == 0 ? Shape{3, 17, 31, 29} : random_shape(random, random.below(5));
}

// What a value is expected to be, and how far each element may be off.
struct Expected {
  Array values;
  Array tolerance;
};

class Problem {
 public:
  explicit Problem(int seed) : random(static_cast<std::uint64_t>(seed), 99), threads(seed % 5 == 4 ? 2 : 1) {}

  Graph graph;
  Values values;
  Random random;
  int threads;
  StepContext context;

  // Random floats in [low, high).
  Array numbers(const Shape& shape, double low, double high) {
    Array array(static_cast<std::size_t>(shape.elements()));
    for (double& x : array) x = static_cast<double>(static_cast<float>(random.uniform(low, high)));
    return array;
  }
  ValueId input(const std::string& name, Shape shape, double low = -1, double high = 1) {
    const ValueId id = graph.add_input(name, {shape});
    values[id] = numbers(shape, low, high);
    return id;
  }
  ValueId parameter(const std::string& name, Shape shape, double low = -1, double high = 1) {
    const ValueId id = graph.add_parameter(name, shape);
    values[id] = numbers(shape, low, high);
    return id;
  }
  // One for each row of logits (...,C).
  ValueId labels(const Shape& logits) {
    std::vector<std::int64_t> extents = logits.extents();
    extents.pop_back();
    const std::int64_t classes = logits.last();
    const ValueId id = graph.add_input("labels", {Shape(std::move(extents)), DType::kInt32});
    for (std::int64_t n = 0; n < logits.rows(); ++n)
      values[id].push_back(static_cast<double>(between(random, 0, classes - 1)));
    return id;
  }
  ValueId node(Op op, std::vector<ValueId> inputs, const std::string& name) {
    return graph.add_node(std::move(op), std::move(inputs), name).at(0);
  }

  // x (N,C,H,W), unchanged, in the layout that convolutions prefer: a 1x1 convolution by the identity is exact.
  ValueId blocked(ValueId x) {
    const std::int64_t channels = graph.value(x).type.shape[1];
    const std::string name = graph.value(x).name + ".identity";
    const ValueId identity = graph.add_parameter(name, {channels, channels, 1, 1});
    values[identity].assign(static_cast<std::size_t>(channels * channels), 0.0);
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
      values[identity][c * static_cast<std::size_t>(channels + 1)] = 1;
    }
    constants_.insert(identity);
    return node(conv2d(), {x, identity}, name + ".conv");
  }
  // As it is, or blocked if it is an image.
  ValueId any_layout(ValueId x) {
    return graph.value(x).type.shape.rank() == 4 && random.below(2) == 1 ? blocked(x) : x;
  }

  // Of every value, by the reference with the same inputs changed by `change`.
  [[nodiscard]] Values reference_with(const std::function<double(double)>& change) const {
    Values changed = values;
    for (auto& [id, array] : changed) {
      const bool keep = constants_.count(id) != 0 || graph.value(id).type.dtype == DType::kInt32;
      if (!keep) std::transform(array.begin(), array.end(), array.begin(), change);
    }
    reference::run(graph, changed, {context.step, static_cast<double>(context.learning_rate), context.seed}, true);
    return changed;
  }
  [[nodiscard]] Values reference_values() const {
    return reference_with([](double x) { return x; });
  }

  // For results that are sums of products of the inputs: the classical bound on rounding errors, with the number of
  // terms of each sum counted by running on ones. Higham, "Accuracy and stability of numerical algorithms", 2nd
  // ed., 3.1.
  [[nodiscard]] Expected sum_of_products(ValueId value) const {
    Expected expected{reference_values().at(value), {}};
    const Array terms = reference_with([](double) { return 1; }).at(value);
    const Array magnitude = reference_with([](double x) { return std::abs(x); }).at(value);
    for (std::size_t i = 0; i < terms.size(); ++i) {
      expected.tolerance.push_back((terms[i] + 3) * kUnitRoundoff * magnitude[i]);
    }
    return expected;
  }
  // Each element within `roundings` roundings of its own size or of `scale`, whichever is larger.
  [[nodiscard]] Expected rounded(ValueId value, double roundings, double scale = 0) const {
    Expected expected{reference_values().at(value), {}};
    for (const double x : expected.values) {
      expected.tolerance.push_back(roundings * kUnitRoundoff * std::max(std::abs(x), scale));
    }
    return expected;
  }

  // Runs the graph on a device and compares; also checks that the padding of all float values is zero.
  void expect(const std::vector<std::pair<ValueId, Expected>>& results) const {
    const auto device = make_test_device(threads);
    Runner runner(*device, graph);
    for (const auto& [id, array] : values) runner.set(id, reference::to_tensor(array, graph.value(id).type));
    runner.run(context);
    for (const auto& [id, expected] : results) expect_near(reference::to_array(runner.get(id)), expected, id);
    for (std::size_t i = 0; i < graph.value_count(); ++i) {
      const ValueId id(static_cast<std::int64_t>(i));
      if (graph.value(id).type.dtype == DType::kInt32) continue;
      const std::string before = runner.stored(id);
      const Tensor value = runner.get(id);
      runner.poison(id);
      runner.set(id, value);
      EXPECT_TRUE(runner.stored(id) == before) << "padding of " << graph.value(id).name;
    }
  }

 private:
  void expect_near(const Array& got, const Expected& expected, ValueId id) const {
    ASSERT_EQ(got.size(), expected.values.size());
    for (std::size_t i = 0; i < got.size(); ++i) {
      ASSERT_LE(std::abs(got[i] - expected.values[i]), expected.tolerance[i])
          << graph.value(id).name << " element " << i << ": expected " << expected.values[i] << ", got " << got[i];
    }
  }

  std::set<ValueId> constants_;
};

// build(problem) for many seeds.
template <class Build>
void for_each_problem(Build build) {
  constexpr int kProblems = 100;
  for (int seed = 0; seed < kProblems; ++seed) {
    SCOPED_TRACE(fmt::format("seed {}", seed));
    Problem problem(seed);
    build(problem);
    if (testing::Test::HasFatalFailure()) return;
  }
}

}  // namespace skua::test
