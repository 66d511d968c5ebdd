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

}  // namespace

void run_passes(ModelGraph& model, const CompileOptions& options, std::vector<RunningAverage>* averages,
                const std::vector<ValueId*>& others) {
  std::vector<ValueId*> followed{&model.features, &model.labels, &model.prediction, &model.loss};
  for (BuiltMetric& metric : model.metrics) followed.push_back(&metric.sums);
  if (averages != nullptr) {
    for (RunningAverage& average : *averages) followed.push_back(&average.value);
  }
  followed.insert(followed.end(), others.begin(), others.end());
  std::vector<ValueId> kept;
  for (const ValueId* value : followed) {
    if (value->valid()) kept.push_back(*value);
  }
  if (averages != nullptr) {
    for (RunningAverage& average : *averages) followed.push_back(&average.parameter);
  }
  for (ParameterInit& parameter : model.parameters) followed.push_back(&parameter.parameter);
  for (LayerInfo& layer : model.layers) followed.push_back(&layer.output);
  Rewritten rewritten = rewrite_under(model.graph, std::move(kept), options);
  for (ValueId* value : followed) {
    if (value->valid()) *value = rewritten.values.at(value->index());
  }
  model.graph = std::move(rewritten.graph);
}

}  // namespace skua
