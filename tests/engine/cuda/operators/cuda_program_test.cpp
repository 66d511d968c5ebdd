// The CUDA device's programs on a fake GPU: which operators they have, errors, and what a step is told.
#include "engine/operators/problem.h"
#include "skua/engine/cpu/cpu_device.h"
#include "skua/graph/op_registry.h"

namespace skua::test {
namespace {

TEST(CudaProgram, SupportsEveryOperatorOfTheCpu) {
  const auto device = make_test_device();
  const auto cpu = make_cpu_device({});
  for (const std::string& type : op_types()) {
    EXPECT_EQ(device->supports({type, {}}), cpu->supports({type, {}})) << type;
  }
  EXPECT_TRUE(cpu->supports({"relu", {}}));
}

TEST(CudaProgram, ErrorsNameTheNodeOrTheValue) {
  register_op(
      {"test_cuda_unknown", [](const Op&, TypeSpan) { return std::vector<ValueType>{{Shape{1}}}; }, {}, {}, {}});
  Graph graph;
  const ValueId x = graph.add_input("x", {{2, 3}});
  const auto device = make_test_device();
  Runner runner(*device, graph);
  EXPECT_EQ(message_of([&] {
              runner.set(x, Tensor({{3, 2}}));
            }),
            "[value x] expected a tensor of float32(2,3), got float32(3,2)");
  graph.add_node({"test_cuda_unknown", {}}, {x}, "odd");
  EXPECT_EQ(message_of([&] { (void)device->compile(graph); }),
            "[test_cuda_unknown odd] expected an operator with a CUDA kernel, got one without");
}

TEST(CudaProgram, MoreAxesThanAKernelTakesAreAnError) {
  Graph graph;
  Integers permutation;
  for (std::int64_t axis = 8; axis >= 0; --axis) permutation.push_back(axis);
  const ValueId x = graph.add_input("x", {Shape(Integers(9, 2))});
  graph.add_node({"transpose", {{"permutation", permutation}}}, {x}, "turned");
  const auto device = make_test_device();
  EXPECT_EQ(message_of([&] { (void)device->compile(graph); }),
            "[transpose turned] expected at most 8 axes that do not lie side by side, got more");
}

// A step's fault is not told in the next.
TEST(CudaProgram, FaultsAreForgottenWithTheStep) {
  Graph graph;
  const ValueId ids = graph.add_input("ids", {{3}, DType::kInt32});
  const ValueId weight = graph.add_parameter("weight", {2, 1});
  const ValueId y = graph.add_node({"embedding", {}}, {weight, ids}, "y").at(0);
  const auto device = make_test_device();
  Runner runner(*device, graph);
  runner.set(weight, reference::to_tensor({5, 7}, graph.value(weight).type));
  const auto error = [&](const Array& values) {
    runner.set(ids, reference::to_tensor(values, graph.value(ids).type));
    return message_of([&] { runner.run(); });
  };
  EXPECT_EQ(error({1, 2, -1}), "[embedding y] expected ids in [0,2), got 2 at position 1");
  EXPECT_EQ(reference::to_array(runner.get(y)), (Array{7, 0, 0}));
  EXPECT_EQ(error({1, 0, -5}), "[embedding y] expected ids in [0,2), got -5 at position 2");
  EXPECT_EQ(error({1, 0, 1}), "");
  EXPECT_EQ(reference::to_array(runner.get(y)), (Array{7, 5, 7}));
}

}  // namespace
}  // namespace skua::test
