// What devices know of their kernels against the roofline of the share that they say they do.
#include "skua/engine/estimates.h"

#include <gtest/gtest.h>

#include "graph/small_graphs.h"
#include "skua/engine/cpu/cpu_device.h"
#include "skua/engine/forwarding_device.h"

namespace skua::test {
namespace {

// Does a quarter of what convolutions count.
class QuarterDevice final : public ForwardingDevice {
 public:
  using ForwardingDevice::ForwardingDevice;
  [[nodiscard]] double flops_share(const Graph& /*graph*/, const Node& node) const override {
    return node.op.type == "conv2d" ? 0.25 : 1;
  }
};

// Bound by its FLOPs, and a relu.
Graph convolution_graph() {
  Graph graph;
  const ValueId x = graph.add_input("x", {{8, 64, 14, 14}});
  const ValueId weight = graph.add_parameter("weight", {64, 64, 3, 3});
  const ValueId bias = graph.add_parameter("bias", {64});
  graph.add_node({"relu", {}}, {graph.add_node(conv2d(), {x, weight, bias}, "conv").at(0)}, "relu");
  return graph;
}

TEST(Estimates, AreTheRooflineOfWhatTheDeviceDoesUntilItIsMeasured) {
  const TaskGraph tasks(convolution_graph(), 2);
  DeviceSet devices = make_cpu_devices(2);
  const DeviceSpec spec = devices.devices[0]->spec();
  CostModel costs;
  add_estimates(tasks, devices, costs);
  for (const CostKey& key : tasks.cost_keys()) {
    EXPECT_EQ(costs.seconds(key, spec), CostModel::roofline_seconds(key, spec)) << key.signature;
  }
  for (auto& device : devices.devices) device = std::make_unique<QuarterDevice>(std::move(device));
  add_estimates(tasks, devices, costs);
  int convolutions = 0;
  for (const CostKey& key : tasks.cost_keys()) {
    const bool quarter = key.signature.starts_with("conv2d{");
    convolutions += quarter ? 1 : 0;
    const CostKey done{key.signature, quarter ? key.flops / 4 : key.flops, key.bytes};
    EXPECT_EQ(costs.seconds(key, spec), CostModel::roofline_seconds(done, spec)) << key.signature;
    for (std::size_t i = 0; i < CostModel::kMinSamples; ++i) costs.observe(key.signature, spec.kind, 0.5);
    EXPECT_EQ(costs.seconds(key, spec), 0.5);
  }
  EXPECT_EQ(convolutions, 1);
}

}  // namespace
}  // namespace skua::test
