// Small graphs that several tests build on.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "reference/reference.h"
#include "skua/graph/autodiff.h"
#include "skua/graph/graph.h"

namespace skua::test {

using Integers = std::vector<std::int64_t>;
using Values = std::map<ValueId, reference::Array>;

inline Op conv2d(Integers strides = {1, 1}, Integers padding = {0, 0, 0, 0}, Integers dilations = {1, 1},
                 std::int64_t groups = 1) {
  return {"conv2d",
          {{"strides", std::move(strides)},
           {"padding", std::move(padding)},
           {"dilations", std::move(dilations)},
           {"groups", groups}}};
}

inline Op max_pool2d(Integers window, Integers strides, Integers padding = {0, 0, 0, 0}) {
  return {"max_pool2d",
          {{"window", std::move(window)}, {"strides", std::move(strides)}, {"padding", std::move(padding)}}};
}

inline Op reshape(const Shape& shape) {
  return {"reshape", {{"shape", shape.extents()}}};
}
inline Op cross_entropy(double scale) {
  return {"softmax_cross_entropy", {{"scale", scale}}};
}
inline Op sgd(double momentum) {
  return {"sgd_update",
          {{"momentum", momentum}, {"nesterov", std::int64_t{0}}, {"weight_decay", 0.0}, {"rate_factor", 1.0}}};
}
inline Op adam() {
  return {"adam_update",
          {{"beta1", 0.9},
           {"beta2", 0.999},
           {"epsilon", 1e-8},
           {"weight_decay", 0.0},
           {"decoupled", std::int64_t{0}},
           {"rate_factor", 1.0}}};
}

// conv-relu-pool-conv-conv-relu-flatten-dense-loss on two 7x7 images and 4 classes; the second and the third
// convolution share their parameters.
struct LittleCnn {
  Graph graph;
  ValueId labels;
  ValueId loss;

  LittleCnn() {
    const ValueId x = graph.add_input("x", {{2, 1, 7, 7}});
    labels = graph.add_input("labels", {{2}, DType::kInt32});
    const ValueId weight1 = graph.add_parameter("conv1.weight", {3, 1, 3, 3});
    const ValueId bias1 = graph.add_parameter("conv1.bias", {3});
    const ValueId weight2 = graph.add_parameter("conv2.weight", {3, 3, 2, 2});
    const ValueId bias2 = graph.add_parameter("conv2.bias", {3});
    const ValueId weight3 = graph.add_parameter("fc.weight", {4, 27});
    const ValueId bias3 = graph.add_parameter("fc.bias", {4});
    ValueId y = graph.add_node(conv2d({1, 1}, {1, 1, 1, 1}), {x, weight1, bias1}, "conv1").at(0);
    y = graph.add_node({"relu", {}}, {y}, "relu1").at(0);
    y = graph.add_node(max_pool2d({2, 2}, {2, 2}), {y}, "pool1").at(0);
    y = graph.add_node(conv2d({1, 1}, {0, 0, 1, 1}), {y, weight2, bias2}, "conv2").at(0);
    y = graph.add_node(conv2d({1, 1}, {1, 1, 0, 0}), {y, weight2, bias2}, "conv2_again").at(0);
    y = graph.add_node({"relu", {}}, {y}, "relu2").at(0);
    y = graph.add_node(reshape({2, 27}), {y}, "flatten").at(0);
    y = graph.add_node({"dense", {}}, {y, weight3, bias3}, "fc").at(0);
    loss = graph.add_node(cross_entropy(0.5), {y, labels}, "loss").at(0);
    graph.mark_output(loss);
  }
};

// The same with its backward pass and updates.
inline Graph training_graph(const Op& optimizer) {
  LittleCnn cnn;
  append_updates(cnn.graph, append_gradients(cnn.graph, cnn.loss), optimizer);
  return cnn.graph;
}

// What evaluating `action` throws; empty where it throws nothing.
template <class Action>
std::string message_of(Action action) {
  try {
    action();
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "";
}

}  // namespace skua::test
