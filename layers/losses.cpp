#include "skua/layers/losses.h"

#include <fmt/format.h>

#include <cmath>
#include <stdexcept>

namespace skua {
namespace {

ValueType class_labels(const ValueType& prediction) {
  if (prediction.shape.rank() != 2 && prediction.shape.rank() != 3) {
    throw std::invalid_argument(
        fmt::format("[loss] expected logits (N,classes) or (N,T,classes), got {}", prediction.shape.to_string()));
  }
  std::vector<std::int64_t> extents = prediction.shape.extents();
  extents.pop_back();
  return {Shape(std::move(extents)), DType::kInt32};
}

ValueType same_type(const ValueType& prediction) {
  return prediction;
}

// A loss of the sum of the elements, by an operator of predictions and labels of one shape.
Loss elementwise_loss(Op op, std::vector<Metric> metrics) {
  const auto build = [op](Graph& graph, ValueId prediction, ValueId labels, double scale) {
    Op scaled = op;
    scaled.attributes.set("scale", scale);
    return graph.add_node(std::move(scaled), {prediction, labels}, "loss").at(0);
  };
  return {same_type, build, std::move(metrics)};
}

Metric class_metric(const std::string& name, const Op& op) {
  const auto build = [name, op](Graph& graph, ValueId prediction, ValueId labels) {
    return graph.add_node(op, {prediction, labels}, "metric." + name).at(0);
  };
  return {name, build, [](const MetricSums& sums) { return sums.values[0] / sums.labels; }};
}

// Of true positives, false positives, false negatives and true negatives.
Metric binary_metric(const std::string& name, double threshold, double (*value)(std::span<const double> counts)) {
  const auto build = [name, threshold](Graph& graph, ValueId prediction, ValueId labels) {
    const Op op{"binary_counts", {{"threshold", threshold}}};
    return graph.add_node(op, {prediction, labels}, "metric." + name).at(0);
  };
  return {name, build, [value](const MetricSums& sums) { return value(sums.values); }};
}

double share(double part, double whole) {
  return whole > 0 ? part / whole : 0;
}

}  // namespace

namespace metrics {

Metric accuracy() {
  return class_metric("accuracy", {"count_correct", {}});
}
Metric top_k(std::int64_t k) {
  return class_metric(fmt::format("top_{}_accuracy", k), {"count_top_k", {{"k", k}}});
}
Metric binary_accuracy(double threshold) {
  return binary_metric("accuracy", threshold,
                       [](std::span<const double> n) { return share(n[0] + n[3], n[0] + n[1] + n[2] + n[3]); });
}
Metric precision(double threshold) {
  return binary_metric("precision", threshold, [](std::span<const double> n) { return share(n[0], n[0] + n[1]); });
}
Metric recall(double threshold) {
  return binary_metric("recall", threshold, [](std::span<const double> n) { return share(n[0], n[0] + n[2]); });
}
Metric perplexity() {
  return {"perplexity", {}, [](const MetricSums& sums) { return std::exp(sums.loss); }};
}

}  // namespace metrics

SparseCategoricalCrossentropy::SparseCategoricalCrossentropy() {
  label_type = class_labels;
  build = [](Graph& graph, ValueId prediction, ValueId labels, double scale) {
    return graph.add_node({"softmax_cross_entropy", {{"scale", scale}}}, {prediction, labels}, "loss").at(0);
  };
  metrics = {metrics::accuracy()};
}

CategoricalCrossentropy::CategoricalCrossentropy() {
  label_type = same_type;
  build = [](Graph& graph, ValueId prediction, ValueId labels, double scale) {
    const Shape& shape = graph.value(prediction).type.shape;
    const Op op{"categorical_cross_entropy", {{"scale", scale * static_cast<double>(shape[shape.rank() - 1])}}};
    return graph.add_node(op, {prediction, labels}, "loss").at(0);
  };
}

BinaryCrossentropy::BinaryCrossentropy(bool from_logits)
    : Loss(elementwise_loss({from_logits ? "binary_cross_entropy_with_logits" : "binary_cross_entropy", {}},
                            {metrics::binary_accuracy(from_logits ? 0 : 0.5)})) {}

MeanSquaredError::MeanSquaredError() : Loss(elementwise_loss({"squared_error", {}}, {})) {}
MeanAbsoluteError::MeanAbsoluteError() : Loss(elementwise_loss({"absolute_error", {}}, {})) {}
Huber::Huber(double delta) : Loss(elementwise_loss({"huber", {{"delta", delta}}}, {})) {}

}  // namespace skua
