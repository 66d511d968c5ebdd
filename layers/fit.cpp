// Model::fit.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "batch_reader.h"
#include "checks.h"
#include "model_impl.h"
#include "shuffle.h"
#include "skua/engine/estimates.h"

namespace skua {
namespace {

// Streams of random numbers: one per parameter from 0 on, one per epoch from here on.
constexpr std::uint64_t kEpochStreams = std::uint64_t{1} << 32;

std::vector<std::int64_t> sample_order(std::int64_t size, bool shuffle, std::uint64_t seed, std::int64_t epoch) {
  if (shuffle) return shuffled(size, Random(seed, kEpochStreams + static_cast<std::uint64_t>(epoch)));
  std::vector<std::int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

std::int64_t batches_of(const Dataset& data, const FitOptions& options) {
  return (data.size() + (options.drop_last ? 0 : options.batch_size - 1)) / options.batch_size;
}

// The largest divisor of `samples` that is at most `most`.
int micro_batches_within(std::int64_t samples, int most) {
  while (samples % most != 0) --most;
  return most;
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

// No planner is left at work when it goes.
class Planners {
 public:
  explicit Planners(Trainer& trainer) : trainer_(trainer) {}
  ~Planners() { trainer_.drop_planning(); }
  Planners(const Planners&) = delete;
  Planners& operator=(const Planners&) = delete;

 private:
  Trainer& trainer_;
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
  const Planners planners(*trainer_);
  ProgressBar bar;
  std::vector<Callback*> callbacks = options.callbacks;
  if (options.verbose) callbacks.insert(callbacks.begin(), &bar);
  for (Callback* callback : callbacks) callback->stop_training = false;
  for (Callback* callback : callbacks) callback->on_train_begin(self);
  const std::int64_t batches = batches_of(data, options);
  std::int64_t left = options.steps > 0 ? options.steps : options.epochs * batches - state_.position;
  History history;
  while (left > 0 && !options.stop.stop_requested() && !any_stops(callbacks)) {
    const std::int64_t now = std::min(left, batches - state_.position);
    EpochLogs logs = train_epoch(self, data, options, now, callbacks);
    if (logs.samples > 0) history.push_back(std::move(logs));
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
  return choose_micro_batches(self, options_, batch_size, devices_.cluster, first_costs_, &devices_);
}

void Model::Impl::begin_training(const Model& self, const Dataset& data, const FitOptions& options) {
  const int micro_batches = micro_batches_for(self, options.batch_size);
  const auto make_trainer = [&](std::int64_t samples, int parts, const CompileOptions& compile, int trace_steps) {
    return std::make_unique<Trainer>(blueprint_->training_graph(samples, parts, options_), parts, compile, devices_,
                                     costs_, trace_steps);
  };
  auto trainer = make_trainer(options.batch_size, micro_batches, options_, options.trace_steps);
  trainer->import_state(state());
  const std::int64_t rest = options.drop_last ? 0 : data.size() % options.batch_size;
  CompileOptions waiting = options_;  // its planner would work beside the other trainer's steps
  waiting.plan_in_background = false;
  last_trainer_ = rest == 0 ? nullptr : make_trainer(rest, micro_batches_within(rest, micro_batches), waiting, 0);
  trainer_ = std::move(trainer);
  report_ = TrainingReport();
  report_.device_warning = device_warning_;
  train_seconds_ = 0;
  lost_devices_.clear();
  const std::int64_t batches = batches_of(data, options);
  if (state_.position > 0 && (options.batch_size != state_.batch_size || state_.position >= batches)) {
    ++state_.epoch;
    state_.position = 0;
  }
  state_.batch_size = options.batch_size;
  state_.micro_batches = micro_batches;
}

EpochLogs Model::Impl::train_epoch(Model& self, const Dataset& data, const FitOptions& options, std::int64_t steps,
                                   const std::vector<Callback*>& callbacks) {
  const std::int64_t batches = batches_of(data, options);
  std::vector<std::int64_t> rows = sample_order(data.size(), options.shuffle, state_.seed, state_.epoch);
  rows.resize(static_cast<std::size_t>(std::min(data.size(), (state_.position + steps) * options.batch_size)));
  rows.erase(rows.begin(), rows.begin() + state_.position * options.batch_size);
  BatchReader reader(data, std::move(rows), options.batch_size, state_.epoch);
  Totals totals(trainer_->model());
  EpochLogs logs;
  logs.epoch = static_cast<int>(state_.epoch) + 1;
  const auto start = std::chrono::steady_clock::now();
  for (std::int64_t i = 0; i < steps && !options.stop.stop_requested() && !any_stops(callbacks); ++i) {
    const Batch& batch = reader.next();
    logs.learning_rate = learning_rate();
    StepResult result;
    try {
      result = train_step(batch, options, logs.learning_rate);
    } catch (const Cancelled&) {
      break;
    }
    ++state_.step;
    ++state_.position;
    totals.add(result, result.loss, batch.samples);
    final_loss_ = result.loss;
    const StepLogs step_logs{logs.epoch,    state_.position,  batches,           result.loss,
                             totals.loss(), totals.metrics(), logs.learning_rate};
    for (Callback* callback : callbacks) callback->on_step_end(self, step_logs);
  }
  logs.seconds = Seconds(std::chrono::steady_clock::now() - start).count();
  logs.samples = totals.samples();
  if (logs.samples == 0) return logs;  // stopped before a step was done
  logs.loss = totals.loss();
  logs.metrics = totals.metrics();
  if (state_.position == batches) {
    ++state_.epoch;
    state_.position = 0;
  }
  end_epoch(self, options, callbacks, logs);
  return logs;
}

// A step in which a device is lost runs again on the others, with the same result.
StepResult Model::Impl::train_step(const Batch& batch, const FitOptions& options, double learning_rate) {
  for (;;) {
    try {
      return try_step(batch, options, learning_rate);
    } catch (const DeviceLost& lost) {
      const Trainer& trainer = batch.samples == options.batch_size ? *trainer_ : *last_trainer_;
      if (devices_.devices.size() == 1 || !trainer.holds_state()) throw;
      go_on_without(lost);
    }
  }
}

StepResult Model::Impl::try_step(const Batch& batch, const FitOptions& options, double learning_rate) {
  if (batch.samples == options.batch_size) {
    const StepResult result = trainer_->step(batch.features, batch.labels, state_.step, learning_rate, options.stop);
    ahead_ = true;
    return result;
  }
  last_trainer_->import_state(state());
  const StepResult result = last_trainer_->step(batch.features, batch.labels, state_.step, learning_rate, options.stop);
  last_trainer_->export_state(state_);
  trainer_->import_state(state_);
  return result;
}

void Model::Impl::go_on_without(const DeviceLost& lost) {
  lost_devices_.push_back(
      fmt::format("{} in step {}: {}", devices_.cluster.device(lost.device()).name, state_.step + 1, lost.what()));
  (void)state();
  for (Trainer* trainer : {trainer_.get(), last_trainer_.get()}) {
    if (trainer != nullptr) trainer->end_session();
  }
  devices_.cluster = without_device(devices_.cluster, lost.device());
  devices_.devices.erase(devices_.devices.begin() + lost.device().value);
  for (Trainer* trainer : {trainer_.get(), last_trainer_.get()}) {
    if (trainer != nullptr) trainer->begin_session();
  }
  trainer_->import_state(state_);
}

void Model::Impl::end_epoch(Model& self, const FitOptions& options, const std::vector<Callback*>& callbacks,
                            EpochLogs& logs) {
  train_seconds_ += logs.seconds;
  report_ = trainer_->report();
  report_.device_warning = device_warning_;
  if (last_trainer_ != nullptr) report_.steps += last_trainer_->report().steps;
  report_.final_loss = final_loss_;
  report_.seconds = train_seconds_;
  report_.lost_devices = lost_devices_;
  if (options.validation != nullptr && !options.stop.stop_requested()) {
    const Metrics metrics = evaluate(*options.validation, std::min(options.batch_size, options.validation->size()));
    logs.validation_loss = metrics.loss;
    logs.validation_metrics = metrics.metrics;
  }
  for (Callback* callback : callbacks) callback->on_epoch_end(self, logs);
}

Plan plan_step(const Model& model, const CompileOptions& options, std::int64_t batch_size, const Cluster& cluster,
               CostModel costs, const DeviceSet* devices) {
  const PolicyOptions policy{options.plan_file, options.plan_seconds};
  if (options.policy == "replay") {
    (void)make_policy(options.policy, policy);  // says what is wrong where there is no plan file
    return load_plan(options.plan_file);
  }
  const std::int64_t most = std::min(batch_size, static_cast<std::int64_t>(4 * cluster.device_count()));
  std::vector<std::unique_ptr<TaskGraph>> graphs;
  std::vector<const TaskGraph*> pointers;
  for (int count = 1; count == 1 || count <= most; ++count) {  // a batch of none is refused by the first graph
    if (batch_size % count != 0) continue;
    graphs.push_back(std::make_unique<TaskGraph>(model.training_graph(batch_size, count, options), count,
                                                 options.constraints, cluster.sharers()));
    pointers.push_back(graphs.back().get());
    if (devices != nullptr) add_estimates(*graphs.back(), *devices, costs);
  }
  return plan_best_of(pointers, options.policy, cluster, costs, policy);
}

int choose_micro_batches(const Model& model, const CompileOptions& options, std::int64_t batch_size,
                         const Cluster& cluster, CostModel costs, const DeviceSet* devices) {
  return plan_step(model, options, batch_size, cluster, std::move(costs), devices).micro_batches;
}

}  // namespace skua
