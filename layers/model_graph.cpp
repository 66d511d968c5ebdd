#include "model_graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "skua/graph/autodiff.h"

namespace skua {
namespace {

double sum_of(const Tensor& tensor) {
  double sum = 0;
  for (float x : tensor.floats()) sum += static_cast<double>(x);
  return sum;
}

}  // namespace

void Architecture::add(std::shared_ptr<const Layer> layer) {
  const auto taken = [&](const std::string& n) { return std::find(names.begin(), names.end(), n) != names.end(); };
  std::string name = layer->name();
  if (name.empty()) {
    auto number = std::count_if(layers.begin(), layers.end(),
                                [&](const auto& other) { return other->name_prefix() == layer->name_prefix(); });
    do name = fmt::format("{}{}", layer->name_prefix(), ++number);
    while (taken(name));
  }
  if (taken(name)) {
    throw std::invalid_argument(
        fmt::format("[{} {}] expected a new name, got that of another layer", layer->type_name(), name));
  }
  layers.push_back(std::move(layer));
  names.push_back(std::move(name));
  try {
    (void)forward_graph(*this, 1);
  } catch (...) {
    layers.pop_back();
    names.pop_back();
    throw;
  }
}

BatchResult result_of(const ModelGraph& model, const Session& session) {
  return {sum_of(session.output(model.loss)), sum_of(session.output(model.correct))};
}

ModelGraph forward_graph(const Architecture& architecture, std::int64_t samples) {
  ModelGraph model;
  std::vector<std::int64_t> extents = architecture.input_shape.extents();
  extents.insert(extents.begin(), samples);
  model.features = model.graph.add_input("features", {Shape(std::move(extents))});
  model.prediction = model.features;
  for (std::size_t i = 0; i < architecture.layers.size(); ++i) {
    const Layer& layer = *architecture.layers[i];
    LayerBuilder builder(model.graph, model.parameters, layer.type_name(), architecture.names[i]);
    model.prediction = layer.build(builder, model.prediction);
    model.ends.push_back(model.prediction);
    model.parameter_ends.push_back(model.parameters.size());
  }
  return model;
}

ModelGraph evaluation_graph(const Architecture& architecture, std::int64_t samples, const Loss& loss, double scale) {
  ModelGraph model = forward_graph(architecture, samples);
  if (architecture.layers.empty()) throw std::invalid_argument("[Sequential] expected a layer at least, got none");
  model.labels = model.graph.add_input("labels", {{samples}, DType::kInt32});
  model.loss = loss.build(model.graph, model.prediction, model.labels, scale);
  model.correct = model.graph.add_node({"count_correct", {}}, {model.prediction, model.labels}, "correct").at(0);
  model.graph.mark_output(model.loss);
  model.graph.mark_output(model.correct);
  return model;
}

ModelGraph training_graph(const Architecture& architecture, std::int64_t batch_size, int micro_batches,
                          const Loss& loss, const Optimizer& optimizer) {
  if (batch_size < 1)
    throw std::invalid_argument(fmt::format("[batch] expected at least 1 sample, got {}", batch_size));
  if (micro_batches < 1 || batch_size % micro_batches != 0) {
    throw std::invalid_argument(
        fmt::format("[micro-batches] expected a divisor of the batch size {}, got {}", batch_size, micro_batches));
  }
  ModelGraph model =
      evaluation_graph(architecture, batch_size / micro_batches, loss, 1 / static_cast<double>(batch_size));
  append_updates(model.graph, append_gradients(model.graph, model.loss), optimizer.update);
  return model;
}

}  // namespace skua
