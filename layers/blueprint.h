// A model as graphs: what training steps, evaluations and predictions run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "skua/layers/model.h"

namespace skua {

// One row of a model's summary.
struct LayerInfo {
  std::string name;
  std::string type;
  ValueId output;
  std::size_t parameter_end = 0;  // count of the graph's parameters up to this layer's last
};

struct BuiltMetric {
  Metric metric;
  ValueId sums;  // an output; invalid where the loss is enough
};

struct ModelGraph {
  Graph graph;
  ValueId features;  // input (micro-batch, sample)
  ValueId labels;    // input; invalid where the model needs none
  ValueId prediction;
  ValueId loss;  // output: the sum over the micro-batch times a scale
  std::vector<BuiltMetric> metrics;
  double labels_per_sample = 1;
  std::vector<ParameterInit> parameters;
  std::vector<LayerInfo> layers;
};

// Of a step: the sum of the micro-batches' losses, and those of each metric's values.
struct StepResult {
  double loss = 0;
  std::vector<std::vector<double>> metrics;
};
// Of the session's last run. REQUIRES: the session runs this model.
[[nodiscard]] StepResult result_of(const ModelGraph& model, const Session& session);

// What is summed over several steps.
class Totals {
 public:
  explicit Totals(const ModelGraph& model) : model_(model) { sums_.resize(model.metrics.size()); }
  // `loss` is the mean over the samples.
  void add(const StepResult& result, double mean_loss, std::int64_t samples);
  [[nodiscard]] std::int64_t samples() const { return samples_; }
  [[nodiscard]] double loss() const { return loss_ / static_cast<double>(samples_); }
  [[nodiscard]] MetricValues metrics() const;

 private:
  const ModelGraph& model_;
  std::vector<std::vector<double>> sums_;
  double loss_ = 0;
  std::int64_t samples_ = 0;
};

// What kind of model it is. All throw std::invalid_argument where layers, loss or sizes do not fit.
class Blueprint {
 public:
  virtual ~Blueprint() = default;
  [[nodiscard]] virtual ValueType sample_type() const = 0;  // of a data set's features
  // All layers and parameters, for one sample.
  [[nodiscard]] virtual ModelGraph description() const = 0;
  // Features to predictions, as evaluation and users want them.
  [[nodiscard]] virtual ModelGraph prediction_graph(std::int64_t samples) const = 0;
  // With loss and metrics, which are outputs; the loss is a sum over the samples.
  [[nodiscard]] virtual ModelGraph evaluation_graph(std::int64_t samples, const CompileOptions& options) const = 0;
  // With backward pass and updates; the loss is a mean over the batch.
  [[nodiscard]] virtual ModelGraph training_graph(std::int64_t batch_size, int micro_batches,
                                                  const CompileOptions& options) const = 0;
};

// Layers that read the input and each other.
class Network final : public Blueprint {
 public:
  explicit Network(const ValueType& sample) : sample_(sample), shapes_{sample.shape} {}

  // Appends under a new name; `inputs`: 0 is the network's input, i + 1 what layer i gives.
  void add(std::shared_ptr<const Layer> layer, std::vector<std::size_t> inputs);
  [[nodiscard]] std::size_t layer_count() const { return layers_.size(); }
  [[nodiscard]] const Shape& shape(std::size_t symbol) const { return shapes_.at(symbol); }

  [[nodiscard]] ValueType sample_type() const override { return sample_; }
  [[nodiscard]] ModelGraph description() const override { return prediction_graph(1); }
  [[nodiscard]] ModelGraph prediction_graph(std::int64_t samples) const override;
  [[nodiscard]] ModelGraph evaluation_graph(std::int64_t samples, const CompileOptions& options) const override;
  [[nodiscard]] ModelGraph training_graph(std::int64_t batch_size, int micro_batches,
                                          const CompileOptions& options) const override;

  // Appends all layers to a graph, named "<prefix><layer>", their nodes "<prefix><layer><use>", so that a network can
  // be used several times with one set of parameters. Returns what each symbol is. Fills `infos` where it is given.
  std::vector<ValueId> build(GraphUnderConstruction& into, ValueId input, const std::string& prefix = "",
                             const std::string& use = "", std::vector<LayerInfo>* infos = nullptr) const;

 private:
  struct Entry {
    std::shared_ptr<const Layer> layer;
    std::string name;
    std::vector<std::size_t> inputs;
  };
  [[nodiscard]] ModelGraph with_loss(std::int64_t samples, bool training, double scale, const CompileOptions& options,
                                     std::vector<RunningAverage>* averages) const;

  ValueType sample_;
  std::vector<Entry> layers_;
  std::vector<Shape> shapes_;  // by symbol, of one sample
};

// The type of so many samples of one type.
[[nodiscard]] ValueType batch_of(std::int64_t samples, const ValueType& sample);
[[nodiscard]] ValueType sample_of(const ValueType& batch);

// Runs the options' passes on a forward graph. What the model and `averages` name, and `others`, follows to where it
// then is; of layers' outputs, those that are gone become invalid. A layer that constraints name keeps a node.
void run_passes(ModelGraph& model, const CompileOptions& options, std::vector<RunningAverage>* averages = nullptr,
                const std::vector<ValueId*>& others = {});
// Runs those of the whole graph, to which nothing is appended afterwards. All nodes of layers that constraints name
// stay.
void finish_passes(ModelGraph& model, const CompileOptions& options);

// Throws std::invalid_argument unless the batch is cut evenly.
void check_batch(std::int64_t batch_size, int micro_batches);
// Appends clipping and updates for gradients that have been appended.
void append_optimizer(Graph& graph, const std::map<ValueId, ValueId>& gradients, const Optimizer& optimizer);
// Appends what lets parameters follow running averages.
void append_averages(Graph& graph, const std::vector<RunningAverage>& averages, int micro_batches);

}  // namespace skua
