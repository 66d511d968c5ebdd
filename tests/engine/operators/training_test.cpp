// Training graphs on the tested device against the reference; imports, exports and accumulation.
#include <cstring>

#include "engine/operators/trained_cnn.h"

namespace skua::test {
namespace {

void expect_close(const Array& got, const Array& expected, const std::string& name) {
  double largest = 0;
  for (const double x : expected) largest = std::max(largest, std::abs(x));
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    // The longest path is some ten layers of sums of up to 576 terms; errors grow with the square root of the terms.
    ASSERT_NEAR(got[i], expected[i], 10 * 24 * kUnitRoundoff * largest) << name << " element " << i;
  }
}

TEST(Training, TrainsAsTheReference) {
  for (const int threads : {1, 2}) {
    TrainedCnn cnn;
    const auto device = make_test_device(threads);
    Runner runner(*device, cnn.graph);
    cnn.import_into(runner);
    for (std::int64_t step = 0; step < 3; ++step) {
      runner.run({step, 0.01F, 0});
      reference::run(cnn.graph, cnn.values, {step, static_cast<double>(0.01F)}, true);
      for (const auto& [id, expected] : cnn.values) {
        const Value& value = cnn.graph.value(id);
        if (value.type.dtype == DType::kInt32) continue;
        expect_close(reference::to_array(runner.get(id)), expected, value.name);
      }
    }
  }
}

TEST(Training, TrainsSharedParametersAsTheReference) {
  Problem p(0);
  p.graph = training_graph(sgd(0.9));
  for (const ValueKind kind : {ValueKind::kInput, ValueKind::kParameter, ValueKind::kState}) {
    for (const ValueId id : p.graph.values_of(kind)) p.values[id] = p.numbers(p.graph.value(id).type.shape, -1, 1);
  }
  p.values[p.graph.find_value("labels")] = {3, 1};
  p.context.learning_rate = 0.1F;
  std::vector<std::pair<ValueId, Expected>> expected;
  for (const ValueId id : p.graph.values_of(ValueKind::kParameter)) expected.emplace_back(id, p.rounded(id, 100, 1));
  p.expect(expected);
}

TEST(Training, OneWeightInConvolutionsOfDifferentGroups) {
  Problem p(0);
  const ValueId weight = p.parameter("weight", {32, 16, 3, 3});
  const ValueId whole = p.node(conv2d(), {p.input("a", {2, 16, 6, 6}), weight}, "whole");
  const ValueId grouped =
      p.node(conv2d({1, 1}, {0, 0, 0, 0}, {1, 1}, 2), {p.input("b", {2, 32, 6, 6}), weight}, "grouped");
  p.expect({{whole, p.sum_of_products(whole)}, {grouped, p.sum_of_products(grouped)}});
}

TEST(Training, SecondRunsGiveTheSameBits) {
  const TrainedCnn cnn;
  const auto device = make_test_device();
  const std::vector<std::string> bits = cnn.trained(*device);
  EXPECT_TRUE(cnn.trained(*device) == bits);
  EXPECT_TRUE(cnn.trained(*make_test_device()) == bits);
}

TEST(Training, ImportAndExportAreExact) {
  const TrainedCnn cnn;
  const auto device = make_test_device();
  Runner runner(*device, cnn.graph);
  for (std::size_t i = 0; i < cnn.graph.value_count(); ++i) {
    const ValueId id(static_cast<std::int64_t>(i));
    const Value& value = cnn.graph.value(id);
    Tensor tensor(value.type);
    Random random(i);
    for (std::size_t byte = 0; byte < tensor.bytes(); ++byte)
      tensor.data()[byte] = static_cast<std::byte>(random.bits());
    runner.set(id, tensor);
    const Tensor back = runner.get(id);
    EXPECT_EQ(std::memcmp(back.data(), tensor.data(), tensor.bytes()), 0) << value.name;
  }
}

TEST(Training, AccumulateAddsInPlace) {
  const TrainedCnn cnn;
  for (const int threads : {1, 2}) {
    const auto device = make_test_device(threads);
    Runner runner(*device, cnn.graph);
    cnn.import_into(runner);
    for (const auto& [id, array] : cnn.values) {
      const std::string other = runner.stored(id);
      const auto copy = Runner::block(*device, other.size());
      Runner::copy_bytes(*device, copy.get(), other.data(), other.size());
      runner.accumulate(id, copy.get());
      const Array sum = reference::to_array(runner.get(id));
      for (std::size_t i = 0; i < array.size(); ++i) ASSERT_EQ(sum[i], 2 * array[i]) << cnn.graph.value(id).name;
    }
  }
}

}  // namespace
}  // namespace skua::test
