// A small convolutional net with its gradients and updates, and what it starts from.
#pragma once

#include <string>
#include <vector>

#include "engine/operators/problem.h"

namespace skua::test {

// Smooth where gradients are tiny, so that rounding errors stay small.
inline Op smooth_adam() {
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

}  // namespace skua::test
