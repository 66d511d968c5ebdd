// What devices know of their kernels against the roofline of the share that they say they do.
#include "skua/engine/estimates.h"

#include <gtest/gtest.h>

#include "graph/small_graphs.h"
#include "skua/engine/cpu/cpu_device.h"
#include "skua/engine/forwarding_device.h"

namespace skua::test {
namespace {

// Says that it does a share of what convolutions count.
class SharingDevice final : public ForwardingDevice {
 public:
  SharingDevice(std::unique_ptr<Device> device, double share) : ForwardingDevice(std::move(device)), share_(share) {}
  [[nodiscard]] double flops_share(const Graph& /*graph*/, const Node& node) const override {
    return node.op.type == "conv2d" ? share_ : 1;
  }

 private:
  double share_;
};

DeviceSet sharing_devices(double share) {
  DeviceSet devices = make_cpu_devices(2);
  for (auto& device : devices.devices) device = std::make_unique<SharingDevice>(std::move(device), share);
  return devices;
}

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
  const DeviceSpec spec = sharing_devices(1).devices[0]->spec();
  CostModel costs;
  add_estimates(tasks, sharing_devices(1), costs);
  for (const CostKey& key : tasks.cost_keys()) {
    EXPECT_EQ(costs.seconds(key, spec), CostModel::roofline_seconds(key, spec)) << key.signature;
  }
  add_estimates(tasks, sharing_devices(0.25), costs);
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
