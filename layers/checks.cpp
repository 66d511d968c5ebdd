#include "checks.h"

#include <fmt/format.h>

#include <limits>
#include <stdexcept>

#include "skua/scheduler/policy.h"
#include "skua/scheduler/steal_rule.h"

namespace skua {
namespace {

template <class Number>
void expect_at_least(const char* option, Number least, Number got) {
  if (got < least) throw std::invalid_argument(fmt::format("[{}] expected {} or more, got {}", option, least, got));
}

}  // namespace

void check_options(const CompileOptions& options, const Blueprint& blueprint) {
  (void)blueprint.training_graph(1, 1, options);  // a model without layers, a loss or an update that does not fit
  (void)make_policy(options.policy, {options.plan_file, options.plan_seconds});
  (void)make_steal_rule(options.stealing);
  check_collectives(options.collectives, options.stealing);
  if (options.micro_batches < 0) {
    throw std::invalid_argument(
        fmt::format("[micro-batches] expected 1 or more, or 0 for automatic, got {}", options.micro_batches));
  }
  if (options.record_steps && (options.stealing != "none" || options.recover)) {
    throw std::invalid_argument(fmt::format("[record steps] expected stealing none and no recovery, got stealing {}{}",
                                            options.stealing, options.recover ? " and recovery" : ""));
  }
  const double rate = options.optimizer.learning_rate;
  if (!(rate > 0 && rate <= std::numeric_limits<float>::max())) {
    throw std::invalid_argument(fmt::format("[learning rate] expected a finite float32 above 0, got {}", rate));
  }
}

void check_options(const FitOptions& options, const Dataset& data, const ModelGraph& model) {
  check_data(data, model);
  check_batch(options.batch_size);
  if (data.size() < options.batch_size) {
    throw std::invalid_argument(
        fmt::format("[batch] expected at most the {} samples of the data, got {}", data.size(), options.batch_size));
  }
  expect_at_least<std::int64_t>("steps", 0, options.steps);
  if (options.steps == 0) expect_at_least("epochs", 1, options.epochs);
  expect_at_least("trace steps", 0, options.trace_steps);
  for (const Callback* callback : options.callbacks) {
    if (callback == nullptr) throw std::invalid_argument("[callbacks] expected callbacks, got a null pointer");
  }
  if (options.validation != nullptr) check_data(*options.validation, model);
}

void check_data(const Dataset& data, const ModelGraph& model) {
  const auto sample = [&](ValueId id) { return sample_of(model.graph.value(id).type); };
  if (data.feature_type() != sample(model.features)) {
    throw std::invalid_argument(fmt::format("[data] expected samples {}, got {}", sample(model.features).to_string(),
                                            data.feature_type().to_string()));
  }
  if (model.labels.valid() && data.label_type() != sample(model.labels)) {
    throw std::invalid_argument(fmt::format("[data] expected labels {}, got {}", sample(model.labels).to_string(),
                                            data.label_type().to_string()));
  }
  const Shape& prediction = model.graph.value(model.prediction).type.shape;
  const std::int64_t classes = prediction[prediction.rank() - 1];
  if (model.labels.valid() && data.classes() > classes) {
    throw std::invalid_argument(fmt::format("[data] expected at most {} classes, got {}", classes, data.classes()));
  }
  if (data.size() < 1) throw std::invalid_argument("[data] expected samples, got none");
}

void check_batch(std::int64_t batch_size) {
  if (batch_size >= 1) return;
  throw std::invalid_argument(fmt::format("[batch] expected 1 or more samples, got {}", batch_size));
}

}  // namespace skua
