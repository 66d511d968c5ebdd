#include "blueprint.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "skua/graph/autodiff.h"

namespace skua {
namespace {

// Of a tensor that holds micro-batches one after another, the sum of each element over them.
std::vector<double> sums_of(const Tensor& tensor, std::int64_t width) {
  std::vector<double> sums(static_cast<std::size_t>(width), 0);
  const std::span<const float> values = tensor.floats();
  for (std::size_t i = 0; i < values.size(); ++i) sums[i % sums.size()] += static_cast<double>(values[i]);
  return sums;
}

std::int64_t elements(const Graph& graph, ValueId value) {
  return graph.value(value).type.shape.elements();
}

}  // namespace

StepResult result_of(const ModelGraph& model, const Session& session) {
  StepResult result{sums_of(session.output(model.loss), 1)[0], {}};
  for (const BuiltMetric& built : model.metrics) {
    result.metrics.push_back(built.sums.valid() ? sums_of(session.output(built.sums), elements(model.graph, built.sums))
                                                : std::vector<double>());
  }
  return result;
}

void Totals::add(const StepResult& result, double mean_loss, std::int64_t samples) {
  loss_ += mean_loss * static_cast<double>(samples);
  samples_ += samples;
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    sums_[i].resize(result.metrics[i].size());
    for (std::size_t j = 0; j < sums_[i].size(); ++j) sums_[i][j] += result.metrics[i][j];
  }
}

MetricValues Totals::metrics() const {
  MetricValues values;
  for (std::size_t i = 0; i < sums_.size(); ++i) {
    const Metric& metric = model_.metrics[i].metric;
    values[metric.name] = metric.value({sums_[i], static_cast<double>(samples_) * model_.labels_per_sample, loss()});
  }
  return values;
}

ValueType batch_of(std::int64_t samples, const ValueType& sample) {
  std::vector<std::int64_t> extents = sample.shape.extents();
  extents.insert(extents.begin(), samples);
  return {Shape(std::move(extents)), sample.dtype};
}

ValueType sample_of(const ValueType& batch) {
  std::vector<std::int64_t> extents = batch.shape.extents();
  extents.erase(extents.begin());
  return {Shape(std::move(extents)), batch.dtype};
}

void check_batch(std::int64_t batch_size, int micro_batches) {
  if (batch_size < 1)
    throw std::invalid_argument(fmt::format("[batch] expected at least 1 sample, got {}", batch_size));
  if (micro_batches < 1 || batch_size % micro_batches != 0) {
    throw std::invalid_argument(
        fmt::format("[micro-batches] expected a divisor of the batch size {}, got {}", batch_size, micro_batches));
  }
}

void Network::add(std::shared_ptr<const Layer> layer, std::vector<std::size_t> inputs) {
  const auto taken = [&](const std::string& name) {
    return std::any_of(layers_.begin(), layers_.end(), [&](const Entry& entry) { return entry.name == name; });
  };
  std::string name = layer->name();
  if (name.empty()) {
    auto number = std::count_if(layers_.begin(), layers_.end(),
                                [&](const Entry& entry) { return entry.layer->name_prefix() == layer->name_prefix(); });
    do name = fmt::format("{}{}", layer->name_prefix(), ++number);
    while (taken(name));
  }
  const std::string label = fmt::format("[{} {}]", layer->type_name(), name);
  if (taken(name)) {
    throw std::invalid_argument(label + " expected a new name, got that of another layer");
  }
  for (const std::size_t input : inputs) {
    if (input > layers_.size()) throw std::invalid_argument(label + " expected inputs of this model, got another's");
  }
  layers_.push_back({std::move(layer), std::move(name), std::move(inputs)});
  try {
    GraphUnderConstruction probe;
    const ValueId input = probe.graph.add_input("features", batch_of(1, sample_));
    shapes_.clear();
    for (const ValueId value : build(probe, input)) {
      shapes_.push_back(sample_of(probe.graph.value(value).type).shape);
    }
  } catch (...) {
    layers_.pop_back();
    throw;
  }
}

std::vector<ValueId> Network::build(GraphUnderConstruction& into, ValueId input, const std::string& prefix,
                                    const std::string& use, std::vector<LayerInfo>* infos) const {
  std::vector<ValueId> symbols{input};
  for (const Entry& entry : layers_) {
    LayerBuilder builder(into, entry.layer->type_name(), prefix + entry.name, prefix + entry.name + use);
    std::vector<ValueId> inputs;
    for (const std::size_t index : entry.inputs) inputs.push_back(symbols.at(index));
    symbols.push_back(entry.layer->build(builder, inputs));
    if (infos != nullptr) {
      infos->push_back({prefix + entry.name, entry.layer->type_name(), symbols.back(), into.parameters.size()});
    }
  }
  return symbols;
}

ModelGraph Network::prediction_graph(std::int64_t samples) const {
  GraphUnderConstruction under;
  ModelGraph model;
  model.features = under.graph.add_input("features", batch_of(samples, sample_));
  model.prediction = build(under, model.features, "", "", &model.layers).back();
  model.graph = std::move(under.graph);
  model.parameters = std::move(under.parameters);
  return model;
}

ModelGraph Network::with_loss(std::int64_t samples, bool training, double scale, const CompileOptions& options,
                              std::vector<RunningAverage>* averages) const {
  if (layers_.empty()) throw std::invalid_argument("[Sequential] expected a layer at least, got none");
  GraphUnderConstruction under{.training = training};
  ModelGraph model;
  model.features = under.graph.add_input("features", batch_of(samples, sample_));
  model.prediction = build(under, model.features, "", "", &model.layers).back();
  Graph& graph = under.graph;
  const ValueType labels = options.loss.label_type(graph.value(model.prediction).type);
  model.labels_per_sample = static_cast<double>(labels.shape.elements()) / static_cast<double>(samples);
  model.labels = graph.add_input("labels", labels);
  model.loss = options.loss.build(graph, model.prediction, model.labels, scale / model.labels_per_sample);
  graph.mark_output(model.loss);
  for (const Metric& metric : options.metrics.empty() ? options.loss.metrics : options.metrics) {
    const ValueId sums = metric.build ? metric.build(graph, model.prediction, model.labels) : ValueId();
    if (sums.valid()) graph.mark_output(sums);
    model.metrics.push_back({metric, sums});
  }
  model.graph = std::move(under.graph);
  model.parameters = std::move(under.parameters);
  run_passes(model, options, &under.averages);
  if (averages != nullptr) *averages = std::move(under.averages);
  return model;
}

ModelGraph Network::evaluation_graph(std::int64_t samples, const CompileOptions& options) const {
  ModelGraph model = with_loss(samples, false, 1, options, nullptr);
  finish_passes(model, options);
  return model;
}

ModelGraph Network::training_graph(std::int64_t batch_size, int micro_batches, const CompileOptions& options) const {
  check_batch(batch_size, micro_batches);
  std::vector<RunningAverage> averages;
  ModelGraph model =
      with_loss(batch_size / micro_batches, true, 1 / static_cast<double>(batch_size), options, &averages);
  append_optimizer(model.graph, append_gradients(model.graph, model.loss), options.optimizer);
  append_averages(model.graph, averages, micro_batches);
  finish_passes(model, options);
  return model;
}

namespace {

// The gradients of all parameters, through one kind of clipping after another.
class Clipper {
 public:
  Clipper(Graph& graph, std::map<ValueId, ValueId> gradients) : graph_(graph), gradients_(std::move(gradients)) {}

  std::map<ValueId, ValueId> clip(const Clipping& clipping) {
    if (clipping.value > 0) {
      for (auto& [parameter, gradient] : gradients_) {
        replace(parameter, {"clip_by_value", {{"limit", clipping.value}}}, {gradient}, "clip_value");
      }
    }
    if (clipping.norm > 0) {
      for (auto& [parameter, gradient] : gradients_) {
        replace(parameter, limited(clipping.norm), {gradient, square(parameter, "square")}, "clip_norm");
      }
    }
    if (clipping.global_norm > 0 && !gradients_.empty()) {
      ValueId total;
      for (const auto& [parameter, gradient] : gradients_) {
        const ValueId own = square(parameter, "global_square");
        total = total.valid() ? node({"add", {}}, {total, own}, parameter, "squares_so_far") : own;
      }
      for (auto& [parameter, gradient] : gradients_) {
        replace(parameter, limited(clipping.global_norm), {gradient, total}, "clip_global_norm");
      }
    }
    return std::move(gradients_);
  }

 private:
  static Op limited(double limit) { return {"clip_by_norm", {{"limit", limit}}}; }

  ValueId node(const Op& op, std::vector<ValueId> inputs, ValueId parameter, const std::string& suffix) {
    const std::string name = graph_.value(parameter).name + "." + suffix;
    return graph_.add_node(op, std::move(inputs), name, Phase::kUpdate).at(0);
  }
  ValueId square(ValueId parameter, const std::string& suffix) {
    return node({"sum_of_squares", {}}, {gradients_.at(parameter)}, parameter, suffix);
  }
  void replace(ValueId parameter, const Op& op, std::vector<ValueId> inputs, const std::string& suffix) {
    const ValueId clipped = node(op, std::move(inputs), parameter, suffix);
    graph_.set_mirrors(clipped, parameter);
    gradients_.at(parameter) = clipped;
  }

  Graph& graph_;
  std::map<ValueId, ValueId> gradients_;
};

}  // namespace

void append_optimizer(Graph& graph, const std::map<ValueId, ValueId>& gradients, const Optimizer& optimizer) {
  const auto clipped = Clipper(graph, gradients).clip(optimizer.clipping);
  append_updates(graph, clipped, optimizer.update);
}

void append_averages(Graph& graph, const std::vector<RunningAverage>& averages, int micro_batches) {
  for (const RunningAverage& average : averages) {
    const Op op{"moving_average_update",
                {{"momentum", average.momentum}, {"count", static_cast<std::int64_t>(micro_batches)}}};
    const std::string name = graph.value(average.parameter).name + ".update";
    graph.add_node(op, {average.parameter, average.value}, name, Phase::kUpdate);
  }
}

}  // namespace skua
