// What training makes smaller, and what is reported beside it. Plain values.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "skua/graph/graph.h"

namespace skua {

// Sums over all micro-batches and batches so far.
struct MetricSums {
  std::span<const double> values;  // of what Metric::build made
  double labels = 0;               // labels seen
  double loss = 0;                 // mean loss per label
};

struct Metric {
  std::string name;
  // Appends what is summed over micro-batches, a scalar or a vector; empty where the loss is enough.
  std::function<ValueId(Graph& graph, ValueId prediction, ValueId labels)> build;
  std::function<double(const MetricSums&)> value;
};

namespace metrics {

[[nodiscard]] Metric accuracy();             // share of labels whose logit is the largest
[[nodiscard]] Metric top_k(std::int64_t k);  // share of labels among the k largest logits
// Of two classes, the positive one predicted where the prediction is above `threshold`: 0.5 of probabilities, 0 of
// logits. Precision and recall are 0 where nothing was predicted, or is, positive.
[[nodiscard]] Metric binary_accuracy(double threshold = 0.5);
[[nodiscard]] Metric precision(double threshold = 0.5);
[[nodiscard]] Metric recall(double threshold = 0.5);
[[nodiscard]] Metric perplexity();  // e to the mean loss, for cross-entropies

}  // namespace metrics

struct Loss {
  // Of the labels that go with predictions; both with the micro-batch.
  std::function<ValueType(const ValueType& prediction)> label_type;
  // Appends the loss of one micro-batch: a scalar, the sum over all elements of the labels times `scale`. Where several
  // elements are one label, as in a distribution, their sum counts as often as they are.
  std::function<ValueId(Graph& graph, ValueId prediction, ValueId labels, double scale)> build;
  std::vector<Metric> metrics = {};  // reported unless others are asked for
};

// -log softmax(prediction)[label]; predictions are logits (N,classes) or (N,T,classes), labels int32 (N) or (N,T).
struct SparseCategoricalCrossentropy : Loss {
  SparseCategoricalCrossentropy();
};
// -Σ label log softmax(prediction); labels are float32 distributions (N,classes) beside logits.
struct CategoricalCrossentropy : Loss {
  CategoricalCrossentropy();
};
// Labels of 0 or 1 (or between), beside probabilities or, with from_logits, logits of the same shape.
struct BinaryCrossentropy : Loss {
  explicit BinaryCrossentropy(bool from_logits = false);
};
// Means over the elements of predictions and float32 labels of one shape. Huber: Ann. Math. Statist. 35 (1964).
struct MeanSquaredError : Loss {
  MeanSquaredError();
};
struct MeanAbsoluteError : Loss {
  MeanAbsoluteError();
};
struct Huber : Loss {
  explicit Huber(double delta = 1);
};

}  // namespace skua
