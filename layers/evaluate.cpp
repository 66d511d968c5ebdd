// Sequential::evaluate and predict.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "checks.h"
#include "sequential_impl.h"

namespace skua {
namespace {

struct Rows {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

// Calls action(evaluator, rows) for batches of `batch_size` rows and one of what is left.
template <class MakeEvaluator, class Action>
void for_each_batch(std::int64_t size, std::int64_t batch_size, MakeEvaluator make_evaluator, Action action) {
  const std::int64_t full = size / batch_size * batch_size;
  const std::array<std::array<std::int64_t, 3>, 2> parts{{{0, full, batch_size}, {full, size, size - full}}};
  for (const auto& [begin, end, count] : parts) {
    if (begin == end) continue;
    Evaluator evaluator = make_evaluator(count);
    for (std::int64_t row = begin; row < end; row += count) action(evaluator, Rows{row, count});
  }
}

}  // namespace

Metrics Sequential::Impl::evaluate(const Dataset& data, std::int64_t batch_size) {
  require_compiled();
  check_data(data, architecture_);
  check_batch(batch_size);
  const auto make = [&](std::int64_t count) {
    return Evaluator(architecture_, options_.loss, devices_, count, state().weights);
  };
  Metrics metrics;
  for_each_batch(data.size(), batch_size, make, [&](Evaluator& evaluator, Rows rows) {
    Tensor features(ValueType{batch_shape(rows.count, architecture_.input_shape)});
    Tensor labels(ValueType{{rows.count}, DType::kInt32});
    std::vector<std::int64_t> indices(static_cast<std::size_t>(rows.count));
    std::iota(indices.begin(), indices.end(), rows.first);
    data.read(indices, features, labels);
    const BatchResult result = evaluator.run(features, labels);
    metrics.loss += result.loss;
    metrics.accuracy += result.correct;
  });
  metrics.samples = data.size();
  metrics.loss /= static_cast<double>(data.size());
  metrics.accuracy /= static_cast<double>(data.size());
  return metrics;
}

Tensor Sequential::Impl::predict(const Tensor& features, std::int64_t batch_size) {
  require_compiled();
  check_batch(batch_size);
  const Shape& given = features.shape();
  if (given.rank() == 0 || features.type() != ValueType{batch_shape(given[0], architecture_.input_shape)}) {
    throw std::invalid_argument(fmt::format("[predict] expected float32 features (N,...) of samples {}, got {}",
                                            architecture_.input_shape.to_string(), features.type().to_string()));
  }
  const std::int64_t samples = given[0];
  const std::size_t sample_bytes = features.bytes() / static_cast<std::size_t>(samples);
  const auto make = [&](std::int64_t count) {
    return Evaluator(architecture_, options_.loss, devices_, count, state().weights);
  };
  const ModelGraph model = forward_graph(architecture_, samples);
  Tensor predictions(model.graph.value(model.prediction).type);
  const std::size_t prediction_bytes = predictions.bytes() / static_cast<std::size_t>(samples);
  for_each_batch(samples, batch_size, make, [&](Evaluator& evaluator, Rows rows) {
    const auto first = static_cast<std::size_t>(rows.first);
    Tensor part(ValueType{batch_shape(rows.count, architecture_.input_shape)});
    std::memcpy(part.data(), features.data() + first * sample_bytes, part.bytes());
    (void)evaluator.run(part, Tensor(ValueType{{rows.count}, DType::kInt32}));
    const Tensor prediction = evaluator.prediction();
    std::memcpy(predictions.data() + first * prediction_bytes, prediction.data(), prediction.bytes());
  });
  return predictions;
}

}  // namespace skua
