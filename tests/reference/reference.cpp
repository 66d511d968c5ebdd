#include "reference/reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "reference/operators.h"
#include "skua/graph/element_steps.h"
#include "skua/graph/random.h"

namespace skua::reference {

namespace {

Kernel kernel_of(const std::string& type) {
  for (const auto* kernels : {&image_kernels(), &matrix_kernels(), &elementwise_kernels(), &update_kernels(),
                              &loss_kernels(), &array_kernels(), &normalization_kernels(), &recurrent_kernels()}) {
    const auto found = kernels->find(type);
    if (found != kernels->end()) return found->second;
  }
  throw std::invalid_argument(fmt::format("expected an operator with a reference, got '{}'", type));
}

// Of operators that may carry an activation: applies it to what the operator has given.
void activate(const Call& call) {
  for (const char* type : {"conv2d", "dense", "bias_add", "max_pool2d"}) {
    if (call.op.type != type || !call.op.attributes.has("activation")) continue;
    Op activation{call.op.attributes.text("activation"), {}};
    if (call.op.attributes.has("alpha")) activation.attributes.set("alpha", call.op.attributes.real("alpha"));
    Array x = call.out(0);
    std::vector<Array*> input{&x};
    kernel_of(activation.type)(
        {activation, call.step, input, call.outputs.first(1), {call.output_types[0]}, {call.output_types[0]}});
  }
}

// Its steps, one after another.
void element_wise(const Call& call) {
  std::vector<Array> values;
  for (Array* const input : call.inputs) values.push_back(*input);
  const ValueType& type = call.output_types[0];
  for (const ElementStep& step : element_steps(call.op)) {
    std::vector<Array*> operands;
    for (const std::int64_t from : step.from) operands.push_back(&values.at(static_cast<std::size_t>(from)));
    std::vector<Array*> result{&call.out(0)};
    const std::vector<ValueType> types(operands.size(), type);
    kernel_of(step.op.type)({step.op, call.step, operands, result, types, {type}});
    values.push_back(call.out(0));
  }
}

Array& held(const Graph& graph, std::map<ValueId, Array>& values, ValueId id) {
  const auto found = values.find(id);
  const Value& value = graph.value(id);
  if (found == values.end() || found->second.size() != static_cast<std::size_t>(value.type.shape.elements())) {
    throw std::invalid_argument(
        fmt::format("[value {}] expected an array of {}, got none", value.name, value.type.to_string()));
  }
  return found->second;
}

}  // namespace

void run_node(const Graph& graph, const Node& node, std::span<Array* const> inputs, std::span<Array* const> outputs,
              const Step& step) {
  const Call call{node.op, step, inputs, outputs, graph.input_types(node), graph.output_types(node)};
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    outputs[i]->assign(static_cast<std::size_t>(call.out_shape(i).elements()), 0.0);
  }
  try {
    node.op.type == "element_wise" ? element_wise(call) : kernel_of(node.op.type)(call);
    activate(call);
  } catch (const std::invalid_argument& error) {
    throw std::invalid_argument(fmt::format("[{} {}] {}", node.op.type, node.name, error.what()));
  }
}

void run(const Graph& graph, std::map<ValueId, Array>& values, const Step& step, bool updates) {
  for (const Node& node : graph.nodes()) {
    if (node.phase == Phase::kUpdate && !updates) continue;
    std::vector<Array*> inputs;
    std::vector<Array*> outputs;
    for (const ValueId input : node.inputs) inputs.push_back(&held(graph, values, input));
    for (const ValueId output : node.outputs) outputs.push_back(&values[output]);
    run_node(graph, node, inputs, outputs, step);
  }
}

Array random_array(const Shape& shape, std::uint64_t seed, double low, double high) {
  Random random(seed);
  Array array(static_cast<std::size_t>(shape.elements()));
  std::generate(array.begin(), array.end(), [&] { return random.uniform(low, high); });
  return array;
}

Tensor to_tensor(const Array& array, const ValueType& type) {
  if (array.size() != static_cast<std::size_t>(type.shape.elements())) {
    throw std::invalid_argument(
        fmt::format("expected an array of {}, got {} elements", type.to_string(), array.size()));
  }
  Tensor tensor(type);
  const auto convert = [&](auto elements) {
    using Element = typename decltype(elements)::value_type;
    std::transform(array.begin(), array.end(), elements.begin(), [](double x) { return static_cast<Element>(x); });
  };
  type.dtype == DType::kFloat32 ? convert(tensor.floats()) : convert(tensor.ints());
  return tensor;
}

Array to_array(const Tensor& tensor) {
  if (tensor.type().dtype == DType::kFloat32) return {tensor.floats().begin(), tensor.floats().end()};
  return {tensor.ints().begin(), tensor.ints().end()};
}

}  // namespace skua::reference
