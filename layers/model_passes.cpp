// Graph passes on a model.
#include <algorithm>
#include <set>

#include "blueprint.h"
#include "skua/graph/passes.h"

namespace skua {
namespace {

bool is_of(const Node& node, const std::string& layer) {
  return node.name == layer || node.name.starts_with(layer + ".");
}

bool has_layer(const Graph& graph, const std::string& layer) {
  return std::any_of(graph.nodes().begin(), graph.nodes().end(), [&](const Node& node) { return is_of(node, layer); });
}

std::set<std::string> constrained_layers(const Constraints& constraints) {
  std::set<std::string> names;
  for (const auto& pin : constraints.pins) names.insert(pin.layer);
  for (const auto& group : constraints.colocations) names.insert(group.layers.begin(), group.layers.end());
  for (const auto& priority : constraints.priorities) names.insert(priority.layer);
  for (const auto& deadline : constraints.deadlines) names.insert(deadline.layer);
  return names;
}

// What the passes would leave no node of keeps its values.
Rewritten rewrite_under(const Graph& graph, std::vector<ValueId> kept, const CompileOptions& options) {
  Rewritten result = rewrite(graph, kept, options.passes);
  const std::size_t first = kept.size();
  for (const std::string& layer : constrained_layers(options.constraints)) {
    if (!has_layer(graph, layer) || has_layer(result.graph, layer)) continue;
    for (const Node& node : graph.nodes()) {
      if (!is_of(node, layer)) continue;
      kept.insert(kept.end(), node.inputs.begin(), node.inputs.end());
      kept.insert(kept.end(), node.outputs.begin(), node.outputs.end());
    }
  }
  return kept.size() == first ? result : rewrite(graph, kept, options.passes);
}

std::vector<ValueId*> named_values(ModelGraph& model) {
  std::vector<ValueId*> named{&model.features, &model.labels, &model.prediction, &model.loss};
  for (BuiltMetric& metric : model.metrics) named.push_back(&metric.sums);
  return named;
}

std::vector<ValueId> valid_of(const std::vector<ValueId*>& values) {
  std::vector<ValueId> valid;
  for (const ValueId* value : values) {
    if (value->valid()) valid.push_back(*value);
  }
  return valid;
}

// Takes the rewritten graph; `followed`, and the model's parameters and layers, follow.
void take(Rewritten rewritten, ModelGraph& model, std::vector<ValueId*> followed) {
  for (ParameterInit& parameter : model.parameters) followed.push_back(&parameter.parameter);
  for (LayerInfo& layer : model.layers) followed.push_back(&layer.output);
  for (ValueId* value : followed) {
    if (value->valid()) *value = rewritten.values.at(value->index());
  }
  model.graph = std::move(rewritten.graph);
}

}  // namespace

void run_passes(ModelGraph& model, const CompileOptions& options, std::vector<RunningAverage>* averages,
                const std::vector<ValueId*>& others) {
  std::vector<ValueId*> followed = named_values(model);
  if (averages != nullptr) {
    for (RunningAverage& average : *averages) followed.push_back(&average.value);
  }
  followed.insert(followed.end(), others.begin(), others.end());
  Rewritten rewritten = rewrite_under(model.graph, valid_of(followed), options);
  if (averages != nullptr) {
    for (RunningAverage& average : *averages) followed.push_back(&average.parameter);
  }
  take(std::move(rewritten), model, std::move(followed));
}

void finish_passes(ModelGraph& model, const CompileOptions& options) {
  const std::vector<ValueId*> named = named_values(model);
  std::vector<ValueId> kept = valid_of(named);
  for (const std::string& layer : constrained_layers(options.constraints)) {
    for (const Node& node : model.graph.nodes()) {
      if (is_of(node, layer)) kept.insert(kept.end(), node.outputs.begin(), node.outputs.end());
    }
  }
  take(rewrite_whole(model.graph, kept, options.passes), model, named);
}

}  // namespace skua
