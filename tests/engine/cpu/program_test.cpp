// Programs as a whole: training against the reference, equal bits, layouts, accumulation, errors, allocations.
#include <thread>

#include "engine/allocations.h"
#include "engine/operators/problem.h"
#include "skua/graph/op_registry.h"

namespace skua::test {
namespace {

// Smooth where gradients are tiny, so that rounding errors stay small.
Op smooth_adam() {
  Op op = adam();
  op.attributes.set("epsilon", 1e-2);
  return op;
}

// Four 12x12 images in 3 channels; channels that fill no block, a grouped convolution, every kind of layer.
struct TrainedCnn {
  Graph graph;
  Values values;

  TrainedCnn() {
    const ValueId x = graph.add_input("x", {{4, 3, 12, 12}});
    const ValueId labels = graph.add_input("labels", {{4}, DType::kInt32});
    ValueId y = layer(conv2d({1, 1}, {1, 1, 1, 1}), x, {10, 3, 3, 3}, "conv1");
    y = graph.add_node({"relu", {}}, {y}, "relu1").at(0);
    y = graph.add_node(max_pool2d({2, 2}, {2, 2}), {y}, "pool1").at(0);
    const ValueId shortcut = y;
    y = layer(conv2d({1, 1}, {1, 1, 1, 1}, {1, 1}, 2), y, {10, 5, 3, 3}, "conv2");
    y = graph.add_node({"tanh", {}}, {y}, "tanh").at(0);
    y = graph.add_node({"add", {}}, {y, shortcut}, "residual").at(0);
    y = layer(conv2d({2, 2}, {0, 0, 1, 1}, {1, 1}), y, {20, 10, 2, 2}, "conv3");
    y = graph.add_node({"sigmoid", {}}, {y}, "sigmoid").at(0);
    y = graph.add_node(reshape({4, 180}), {y}, "flatten").at(0);
    y = layer({"dense", {}}, y, {10, 180}, "fc");
    const ValueId loss = graph.add_node(cross_entropy(0.25), {y, labels}, "loss").at(0);
    append_updates(graph, append_gradients(graph, loss), smooth_adam());
    for (const ValueKind kind : {ValueKind::kInput, ValueKind::kParameter}) {
      for (const ValueId id : graph.values_of(kind)) {
        const Array numbers = reference::random_array(graph.value(id).type.shape, static_cast<std::uint64_t>(id.value));
        values[id] = reference::to_array(reference::to_tensor(numbers, {graph.value(id).type.shape}));
      }
    }
    for (const ValueId id : graph.values_of(ValueKind::kState)) {
      values[id].assign(static_cast<std::size_t>(graph.value(id).type.shape.elements()), 0.0);
    }
    values[labels] = {3, 1, 9, 0};
  }

  void import_into(Runner& runner) const {
    for (const auto& [id, array] : values) runner.set(id, reference::to_tensor(array, graph.value(id).type));
  }

  // All parameters and states after some steps, as they are stored.
  [[nodiscard]] std::vector<std::string> trained(Device& device) const {
    Runner runner(device, graph);
    import_into(runner);
    for (std::int64_t step = 0; step < 3; ++step) runner.run({step, 0.01F, 0});
    std::vector<std::string> bits;
    for (const ValueKind kind : {ValueKind::kParameter, ValueKind::kState}) {
      for (const ValueId id : graph.values_of(kind)) bits.push_back(runner.stored(id));
    }
    return bits;
  }

 private:
  ValueId layer(const Op& op, ValueId x, const Shape& weight, const std::string& name) {
    const ValueId w = graph.add_parameter(name + ".weight", weight);
    const ValueId b = graph.add_parameter(name + ".bias", {weight[0]});
    return graph.add_node(op, {x, w, b}, name).at(0);
  }
};

void expect_close(const Array& got, const Array& expected, const std::string& name) {
  double largest = 0;
  for (const double x : expected) largest = std::max(largest, std::abs(x));
  ASSERT_EQ(got.size(), expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    // The longest path is some ten layers of sums of up to 576 terms; errors grow with the square root of the terms.
    ASSERT_NEAR(got[i], expected[i], 10 * 24 * kUnitRoundoff * largest) << name << " element " << i;
  }
}

TEST(CpuProgram, TrainsAsTheReference) {
  for (const int threads : {1, 2}) {
    TrainedCnn cnn;
    const auto device = make_cpu_device({0, threads});
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

TEST(CpuProgram, TrainsSharedParametersAsTheReference) {
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

TEST(CpuProgram, OneWeightInConvolutionsOfDifferentGroups) {
  Problem p(0);
  const ValueId weight = p.parameter("weight", {32, 16, 3, 3});
  const ValueId whole = p.node(conv2d(), {p.input("a", {2, 16, 6, 6}), weight}, "whole");
  const ValueId grouped =
      p.node(conv2d({1, 1}, {0, 0, 0, 0}, {1, 1}, 2), {p.input("b", {2, 32, 6, 6}), weight}, "grouped");
  p.expect({{whole, p.sum_of_products(whole)}, {grouped, p.sum_of_products(grouped)}});
}

TEST(CpuProgram, BitsDoNotDependOnRunDeviceOrCallingThread) {
  const TrainedCnn cnn;
  for (const int threads : {1, 2}) {
    const auto device = make_cpu_device({0, threads});
    const std::vector<std::string> bits = cnn.trained(*device);
    EXPECT_TRUE(cnn.trained(*device) == bits);
    EXPECT_TRUE(cnn.trained(*device) == bits);
    EXPECT_TRUE(cnn.trained(*make_cpu_device({7, threads, MemoryId(1)})) == bits);
    std::vector<std::string> elsewhere;
    std::thread([&] { elsewhere = cnn.trained(*device); }).join();
    EXPECT_TRUE(elsewhere == bits);
  }
}

TEST(CpuProgram, BitsAreThoseOfDevicesThatRunAtOnce) {
  const TrainedCnn cnn;
  const DeviceSet set = make_cpu_devices(2);
  const std::vector<std::string> bits = cnn.trained(*set.devices[0]);
  std::vector<std::vector<std::string>> results(2);
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 2; ++i) threads.emplace_back([&, i] { results[i] = cnn.trained(*set.devices[i]); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(results[0] == bits);
  EXPECT_TRUE(results[1] == bits);
}

TEST(CpuProgram, ImportAndExportAreExact) {
  const TrainedCnn cnn;
  const auto device = make_cpu_device({});
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

TEST(CpuProgram, GradientsAndStatesShareTheLayoutOfTheirParameter) {
  const TrainedCnn cnn;
  const auto device = make_cpu_device({});
  Runner runner(*device, cnn.graph);
  std::size_t mirrors = 0;
  for (std::size_t i = 0; i < cnn.graph.value_count(); ++i) {
    const ValueId id(static_cast<std::int64_t>(i));
    const ValueId parameter = cnn.graph.value(id).mirrors;
    if (!parameter.valid()) continue;
    ++mirrors;
    runner.set(parameter, reference::to_tensor(cnn.values.at(parameter), cnn.graph.value(parameter).type));
    runner.set(id, runner.get(parameter));
    EXPECT_TRUE(runner.stored(id) == runner.stored(parameter)) << cnn.graph.value(id).name;
  }
  EXPECT_EQ(mirrors, 3 * cnn.graph.values_of(ValueKind::kParameter).size());
}

TEST(CpuProgram, AccumulateAddsInPlace) {
  const TrainedCnn cnn;
  for (const int threads : {1, 2}) {
    const auto device = make_cpu_device({0, threads});
    Runner runner(*device, cnn.graph);
    cnn.import_into(runner);
    for (const auto& [id, array] : cnn.values) {
      const std::string other = runner.stored(id);
      const auto copy = Runner::block(*device, other.size());
      std::memcpy(copy.get(), other.data(), other.size());
      runner.accumulate(id, copy.get());
      const Array sum = reference::to_array(runner.get(id));
      for (std::size_t i = 0; i < array.size(); ++i) ASSERT_EQ(sum[i], 2 * array[i]) << cnn.graph.value(id).name;
    }
  }
}

TEST(CpuProgram, ErrorsNameTheNodeOrTheValue) {
  register_op({"test_cpu_unknown", [](const Op&, TypeSpan) { return std::vector<ValueType>{{Shape{1}}}; }, {}, {}, {}});
  Graph graph;
  const ValueId x = graph.add_input("x", {{2, 3}});
  const auto device = make_cpu_device({});
  Runner runner(*device, graph);
  EXPECT_EQ(message_of([&] {
              runner.set(x, Tensor({{3, 2}}));
            }),
            "[value x] expected a tensor of float32(2,3), got float32(3,2)");
  graph.add_node({"test_cpu_unknown", {}}, {x}, "odd");
  EXPECT_EQ(message_of([&] { (void)device->compile(graph); }),
            "[test_cpu_unknown odd] expected an operator with a CPU kernel, got one without");
}

TEST(CpuProgram, SupportsEveryBuiltInOperator) {
  const auto device = make_cpu_device({});
  for (const std::string& type : op_types()) {
    EXPECT_EQ(device->supports({type, {}}), type.rfind("test_", 0) != 0) << type;
  }
}

// A training graph without matrix products, all in plain layouts: no node of it needs oneDNN, which allocates within an
// execution.
Graph own_kernels_graph() {
  Graph graph;
  const ValueId x = graph.add_input("x", {{2, 3, 8, 8}});
  const ValueId labels = graph.add_input("labels", {{2}, DType::kInt32});
  const ValueId shift = graph.add_parameter("shift", {2, 3, 8, 8});
  ValueId y = graph.add_node({"add", {}}, {x, shift}, "sum").at(0);
  for (const char* type : {"relu", "sigmoid", "tanh"}) y = graph.add_node({type, {}}, {y}, type).at(0);
  y = graph.add_node(max_pool2d({2, 2}, {2, 2}), {y}, "pool").at(0);
  y = graph.add_node({"reduce_mean", {{"axes", Integers{2}}}}, {y}, "mean").at(0);
  y = graph.add_node(reshape({2, 12}), {y}, "flatten").at(0);
  const ValueId loss = graph.add_node(cross_entropy(0.5), {y, labels}, "loss").at(0);
  graph.add_node({"count_correct", {}}, {y, labels}, "count");
  append_updates(graph, append_gradients(graph, loss), adam());
  return graph;
}

TEST(CpuProgram, OwnKernelsAllocateNothing) {
  const auto device = make_cpu_device({});
  Runner runner(*device, own_kernels_graph());
  const Graph& graph = runner.graph();
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const ValueId id(static_cast<std::int64_t>(i));
    runner.set(id, Tensor(graph.value(id).type));
  }
  runner.program().set_step({0, 0.01F, 0});
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.nodes()[i];
    std::vector<void*> inputs;
    std::vector<void*> outputs;
    for (const ValueId id : node.inputs) inputs.push_back(runner.data(id));
    for (const ValueId id : node.outputs) outputs.push_back(runner.data(id));
    const auto scratch = Runner::block(*device, runner.program().scratch_bytes());
    Finished finished;
    const std::size_t before = allocations();
    runner.program().launch({NodeId(static_cast<std::int64_t>(i)), inputs, outputs, scratch.get(), 0}, finished);
    EXPECT_EQ(allocations(), before) << node.name;
    finished.check();
  }
}

}  // namespace
}  // namespace skua::test
