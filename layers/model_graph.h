// A model as a graph: what training steps and evaluations run.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "skua/layers/sequential.h"

namespace skua {

struct Architecture {
  Shape input_shape;  // of one sample
  std::vector<std::shared_ptr<const Layer>> layers;
  std::vector<std::string> names;  // by layer

  // Appends under a new name. Throws std::invalid_argument where the name is taken or the layer does not fit.
  void add(std::shared_ptr<const Layer> layer);
};

struct ModelGraph {
  Graph graph;
  ValueId features;  // input (micro-batch, input shape)
  ValueId labels;    // input (micro-batch)
  ValueId prediction;
  ValueId loss;               // output: sum over the micro-batch times the scale
  ValueId correct;            // output: right answers of the micro-batch
  std::vector<ValueId> ends;  // by layer: its output
  std::vector<ParameterInit> parameters;
  std::vector<std::size_t> parameter_ends;  // by layer: the count of parameters up to its last
};

struct BatchResult {
  double loss = 0;     // sum of the micro-batches' losses
  double correct = 0;  // right answers
};
// Of the session's last run. REQUIRES: the session runs this model.
[[nodiscard]] BatchResult result_of(const ModelGraph& model, const Session& session);

// Features to predictions alone.
[[nodiscard]] ModelGraph forward_graph(const Architecture& architecture, std::int64_t samples);
// With labels, loss and count of right answers, which are marked as outputs.
[[nodiscard]] ModelGraph evaluation_graph(const Architecture& architecture, std::int64_t samples, const Loss& loss,
                                          double scale);
// With backward pass and updates. REQUIRES: batch_size % micro_batches == 0 (std::invalid_argument otherwise).
[[nodiscard]] ModelGraph training_graph(const Architecture& architecture, std::int64_t batch_size, int micro_batches,
                                        const Loss& loss, const Optimizer& optimizer);

}  // namespace skua
