// Model::evaluate and predict.
#include <fmt/format.h>

#include <array>
#include <cstring>
#include <numeric>
#include <stdexcept>

#include "checks.h"
#include "model_impl.h"

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

Metrics Model::Impl::evaluate(const Dataset& data, std::int64_t batch_size) {
  require_compiled();
  const auto graph = [&](std::int64_t samples) { return blueprint_->evaluation_graph(samples, options_); };
  const ModelGraph model = graph(1);
  check_data(data, model);
  check_batch(batch_size);
  const auto make = [&](std::int64_t count) {
    return Evaluator(graph, devices_, count, state().weights, options_.seed);
  };
  Totals totals(model);
  for_each_batch(data.size(), batch_size, make, [&](Evaluator& evaluator, Rows rows) {
    Tensor features(batch_of(rows.count, data.feature_type()));
    Tensor labels(batch_of(rows.count, data.label_type()));
    std::vector<std::int64_t> indices(static_cast<std::size_t>(rows.count));
    std::iota(indices.begin(), indices.end(), rows.first);
    data.read(indices, features, labels);
    evaluator.run(features, &labels, rows.first);
    const StepResult result = evaluator.result();
    totals.add(result, result.loss / static_cast<double>(rows.count), rows.count);
  });
  return {totals.loss(), totals.metrics(), data.size()};
}

Tensor Model::Impl::predict(const Tensor& features, std::int64_t batch_size) {
  require_compiled();
  check_batch(batch_size);
  const auto graph = [&](std::int64_t samples) {
    ModelGraph model = blueprint_->prediction_graph(samples);
    run_passes(model, options_);
    finish_passes(model, options_);
    return model;
  };
  const ModelGraph one = graph(1);
  const ValueType sample = sample_of(one.graph.value(one.features).type);
  const Shape& given = features.shape();
  if (given.rank() == 0 || features.type() != batch_of(given[0], sample)) {
    throw std::invalid_argument(fmt::format("[predict] expected features (N,...) of samples {}, got {}",
                                            sample.to_string(), features.type().to_string()));
  }
  const std::int64_t samples = given[0];
  const std::size_t sample_bytes = features.bytes() / static_cast<std::size_t>(samples);
  const auto make = [&](std::int64_t count) {
    return Evaluator(graph, devices_, count, state().weights, options_.seed);
  };
  Tensor predictions(batch_of(samples, sample_of(one.graph.value(one.prediction).type)));
  const std::size_t prediction_bytes = predictions.bytes() / static_cast<std::size_t>(samples);
  for_each_batch(samples, batch_size, make, [&](Evaluator& evaluator, Rows rows) {
    const auto first = static_cast<std::size_t>(rows.first);
    Tensor part(batch_of(rows.count, sample));
    std::memcpy(part.data(), features.data() + first * sample_bytes, part.bytes());
    evaluator.run(part, nullptr, rows.first);
    const Tensor prediction = evaluator.prediction();
    std::memcpy(predictions.data() + first * prediction_bytes, prediction.data(), prediction.bytes());
  });
  return predictions;
}

}  // namespace skua
