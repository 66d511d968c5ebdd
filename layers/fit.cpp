// Model::fit.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <numeric>
#include <stdexcept>

#include "checks.h"
#include "model_impl.h"

namespace skua {
namespace {

// Streams of random numbers: one per parameter from 0 on, one per epoch from here on.
constexpr std::uint64_t kEpochStreams = std::uint64_t{1} << 32;

std::vector<std::int64_t> sample_order(std::int64_t size, bool shuffle, std::uint64_t seed, std::int64_t epoch) {
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  if (!shuffle) return order;
  Random random(seed, kEpochStreams + static_cast<std::uint64_t>(epoch));
  for (std::size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  return order;
}

bool any_stops(const std::vector<Callback*>& callbacks) {
  return std::any_of(callbacks.begin(), callbacks.end(), [](const Callback* c) { return c->stop_training; });
}

// True while it lives.
class Raised {
 public:
  explicit Raised(bool& flag) : flag_(flag) { flag_ = true; }
  ~Raised() { flag_ = false; }
  Raised(const Raised&) = delete;
  Raised& operator=(const Raised&) = delete;

 private:
  bool& flag_;
};

using Seconds = std::chrono::duration<double>;

}  // namespace

History Model::Impl::fit(Model& self, const Dataset& data, const FitOptions& options) {
  require_compiled();
  require_no_training("fit");
  check_options(options, data, blueprint_->evaluation_graph(1, options_));
  check_resumed(options);
  begin_training(self, data, options);
  const Raised training(training_);
  ProgressBar bar;
  std::vector<Callback*> callbacks = options.callbacks;
  if (options.verbose) callbacks.insert(callbacks.begin(), &bar);
  for (Callback* callback : callbacks) callback->stop_training = false;
  for (Callback* callback : callbacks) callback->on_train_begin(self);
  const std::int64_t batches = data.size() / options.batch_size;
  std::int64_t left = options.steps > 0 ? options.steps : options.epochs * batches - state_.position;
  History history;
  while (left > 0 && !any_stops(callbacks)) {
    const std::int64_t now = std::min(left, batches - state_.position);
    history.push_back(train_epoch(self, data, options, now, callbacks));
    left -= now;
  }
  if (!options_.profile_file.empty()) costs_.save(options_.profile_file);
  return history;
}

void Model::Impl::check_resumed(const FitOptions& options) const {
  if (!resumed_) return;
  if (options.batch_size != state_.batch_size) {
    throw std::invalid_argument(
        fmt::format("[batch] expected the checkpoint's {} samples, got {}", state_.batch_size, options.batch_size));
  }
  if (options_.micro_batches != 0 && options_.micro_batches != state_.micro_batches) {
    throw std::invalid_argument(fmt::format("[micro-batches] expected the checkpoint's {}, got {}",
                                            state_.micro_batches, options_.micro_batches));
  }
}

// Never by what this model has measured: the count is part of the numerics.
int Model::Impl::micro_batches_for(const Model& self, std::int64_t batch_size) const {
  if (options_.micro_batches != 0) return options_.micro_batches;
  if (batch_size == state_.batch_size) return state_.micro_batches;
  return choose_micro_batches(self, options_, batch_size, devices_.cluster, first_costs_);
}

void Model::Impl::begin_training(const Model& self, const Dataset& data, const FitOptions& options) {
  const int micro_batches = micro_batches_for(self, options.batch_size);
  auto trainer = std::make_unique<Trainer>(blueprint_->training_graph(options.batch_size, micro_batches, options_),
                                           micro_batches, options_, devices_, costs_, options.trace_steps);
  trainer->import_state(state());
  trainer_ = std::move(trainer);
  report_ = TrainingReport();
  train_seconds_ = 0;
  const std::int64_t batches = data.size() / options.batch_size;
  if (state_.position > 0 && (options.batch_size != state_.batch_size || state_.position >= batches)) {
    ++state_.epoch;
    state_.position = 0;
  }
  state_.batch_size = options.batch_size;
  state_.micro_batches = micro_batches;
}

EpochLogs Model::Impl::train_epoch(Model& self, const Dataset& data, const FitOptions& options, std::int64_t steps,
                                   const std::vector<Callback*>& callbacks) {
  const std::int64_t batch_size = options.batch_size;
  const std::int64_t batches = data.size() / batch_size;
  const std::vector<std::int64_t> order = sample_order(data.size(), options.shuffle, state_.seed, state_.epoch);
  Tensor features(batch_of(batch_size, data.feature_type()));
  Tensor labels(batch_of(batch_size, data.label_type()));
  Totals totals(trainer_->model());
  EpochLogs logs;
  logs.epoch = static_cast<int>(state_.epoch) + 1;
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < steps && !any_stops(callbacks); ++i) {
    const auto first = static_cast<std::size_t>(state_.position * batch_size);
    data.read(std::span(order).subspan(first, static_cast<std::size_t>(batch_size)), features, labels, state_.epoch);
    logs.learning_rate = learning_rate();
    const StepResult result = trainer_->step(features, labels, state_.step, logs.learning_rate);
    ahead_ = true;
    ++state_.step;
    ++state_.position;
    totals.add(result, result.loss, batch_size);
    final_loss_ = result.loss;
    const StepLogs step_logs{logs.epoch,    state_.position,  batches,           result.loss,
                             totals.loss(), totals.metrics(), logs.learning_rate};
    for (Callback* callback : callbacks) callback->on_step_end(self, step_logs);
  }
  logs.seconds = Seconds(std::chrono::steady_clock::now() - start).count();
  logs.samples = totals.samples();
  logs.loss = totals.loss();
  logs.metrics = totals.metrics();
  if (state_.position == batches) {
    ++state_.epoch;
    state_.position = 0;
  }
  end_epoch(self, options, callbacks, logs);
  return logs;
}

void Model::Impl::end_epoch(Model& self, const FitOptions& options, const std::vector<Callback*>& callbacks,
                            EpochLogs& logs) {
  trainer_->end_epoch();
  train_seconds_ += logs.seconds;
  report_ = trainer_->report();
  report_.final_loss = final_loss_;
  report_.seconds = train_seconds_;
  if (options.validation != nullptr) {
    const Metrics metrics = evaluate(*options.validation, std::min(options.batch_size, options.validation->size()));
    logs.validation_loss = metrics.loss;
    logs.validation_metrics = metrics.metrics;
  }
  for (Callback* callback : callbacks) callback->on_epoch_end(self, logs);
}

int choose_micro_batches(const Model& model, const CompileOptions& options, std::int64_t batch_size,
                         const Cluster& cluster, const CostModel& costs) {
  constexpr double kWorthwhile = 0.999;  // more micro-batches must be better by so much
  PolicyOptions policy{options.plan_file, options.plan_seconds};
  if (options.policy == "replay") {
    (void)make_policy(options.policy, policy);  // says what is wrong where there is no plan file
    return load_plan(options.plan_file).micro_batches;
  }
  policy.plan_seconds = std::numeric_limits<double>::infinity();
  const auto most = static_cast<std::int64_t>(4 * cluster.device_count());
  int best = 1;
  double best_seconds = 0;
  for (int count = 1; count <= std::min(batch_size, most); ++count) {
    if (batch_size % count != 0) continue;
    const TaskGraph tasks(model.training_graph(batch_size, count, options), count);
    const double seconds = plan_with(options.policy, tasks, cluster, costs, policy).predicted_seconds;
    if (count > 1 && seconds >= best_seconds * kWorthwhile) continue;
    best = count;
    best_seconds = seconds;
  }
  return best;
}

}  // namespace skua
