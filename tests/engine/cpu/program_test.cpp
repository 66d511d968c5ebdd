// Programs of CPU devices as a whole: equal bits, layouts, errors, allocations.
#include <thread>

#include "engine/allocations.h"
#include "engine/operators/problem.h"
#include "engine/operators/trained_cnn.h"
#include "skua/engine/cpu/cpu_device.h"
#include "skua/graph/op_registry.h"

namespace skua::test {
namespace {

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
