#include "skua/layers/sequential.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <stdexcept>

#include "evaluator.h"
#include "model_graph.h"
#include "skua/graph/sha256.h"
#include "skua/layers/devices.h"
#include "trainer.h"

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

Shape batch_shape(std::int64_t samples, const Shape& sample) {
  std::vector<std::int64_t> extents = sample.extents();
  extents.insert(extents.begin(), samples);
  return Shape(std::move(extents));
}

using Seconds = std::chrono::duration<double>;

}  // namespace

class Sequential::Impl {
 public:
  explicit Impl(Shape input_shape) { architecture.input_shape = std::move(input_shape); }

  void compile(CompileOptions new_options) {
    check(new_options);
    devices = open_devices(new_options.devices);
    costs = CostModel();
    if (!new_options.profile_file.empty() && std::filesystem::exists(new_options.profile_file)) {
      costs = CostModel::load(new_options.profile_file);
    }
    options = std::move(new_options);
    const ModelGraph model = forward_graph(architecture, 1);
    state = TrainingState();
    state.seed = options.seed;
    for (std::size_t i = 0; i < model.parameters.size(); ++i) {
      const Value& value = model.graph.value(model.parameters[i].parameter);
      Random random(options.seed, i);
      state.weights[value.name] = model.parameters[i].initializer(value.type.shape, random);
    }
    trainer.reset();
    report = TrainingReport();
    resumed = false;
    compiled = true;
  }

  History fit(Sequential& self, const Dataset& data, const FitOptions& fit_options) {
    require_compiled();
    check(data, fit_options);
    const int micro_batches = micro_batches_for(self, fit_options.batch_size);
    const bool verbose = fit_options.verbose;
    ProgressBar bar;
    std::vector<Callback*> callbacks = fit_options.callbacks;
    if (verbose) callbacks.insert(callbacks.begin(), &bar);

    trainer = std::make_unique<Trainer>(
        skua::training_graph(architecture, fit_options.batch_size, micro_batches, options.loss, options.optimizer),
        micro_batches, options, devices, costs, fit_options.trace_steps);
    trainer->import_state(state);
    state.batch_size = fit_options.batch_size;
    state.micro_batches = micro_batches;
    train_seconds = 0;
    for (Callback* callback : callbacks) {
      callback->stop_training = false;
      callback->on_train_begin(self);
    }
    History history;
    const std::int64_t batches = data.size() / fit_options.batch_size;
    std::int64_t steps_left = fit_options.steps > 0 ? fit_options.steps : fit_options.epochs * batches - state.position;
    bool stopped = false;
    while (steps_left > 0 && !stopped) {
      const std::int64_t now = std::min(steps_left, batches - state.position);
      history.push_back(train_epoch(self, data, fit_options, now, callbacks, stopped));
      steps_left -= now;
    }
    if (!options.profile_file.empty()) costs.save(options.profile_file);
    return history;
  }

  Metrics evaluate(const Dataset& data, std::int64_t batch_size) {
    require_compiled();
    check_data(data);
    check_batch(batch_size);
    Metrics metrics;
    run_batches(data.size(), batch_size, [&](Evaluator& evaluator, std::span<const std::int64_t> rows) {
      Tensor features(ValueType{batch_shape(std::ssize(rows), architecture.input_shape)});
      Tensor labels(ValueType{{std::ssize(rows)}, DType::kInt32});
      data.read(rows, features, labels);
      const BatchResult result = evaluator.run(features, labels);
      metrics.loss += result.loss;
      metrics.accuracy += result.correct;
    });
    metrics.samples = data.size();
    metrics.loss /= static_cast<double>(data.size());
    metrics.accuracy /= static_cast<double>(data.size());
    return metrics;
  }

  Tensor predict(const Tensor& features, std::int64_t batch_size) {
    require_compiled();
    check_batch(batch_size);
    const Shape& given = features.shape();
    if (given.rank() == 0 || given != batch_shape(given[0], architecture.input_shape)) {
      throw std::invalid_argument(fmt::format("[predict] expected features (N,...) of samples {}, got {}",
                                              architecture.input_shape.to_string(), given.to_string()));
    }
    const std::size_t sample_bytes = features.bytes() / static_cast<std::size_t>(given[0]);
    std::vector<std::byte> bytes;
    Shape shape;
    run_batches(given[0], batch_size, [&](Evaluator& evaluator, std::span<const std::int64_t> rows) {
      Tensor part(ValueType{batch_shape(std::ssize(rows), architecture.input_shape)});
      std::memcpy(part.data(), features.data() + static_cast<std::size_t>(rows[0]) * sample_bytes, part.bytes());
      (void)evaluator.run(part, Tensor(ValueType{{std::ssize(rows)}, DType::kInt32}));
      const Tensor prediction = evaluator.prediction();
      bytes.insert(bytes.end(), prediction.data(), prediction.data() + prediction.bytes());
      shape = prediction.shape();
    });
    std::vector<std::int64_t> extents = shape.extents();
    extents[0] = given[0];
    Tensor whole(ValueType{Shape(std::move(extents))});
    std::memcpy(whole.data(), bytes.data(), bytes.size());
    return whole;
  }

  std::string model_fingerprint() const { return fingerprint(forward_graph(architecture, 1).graph); }

  void require_compiled() const {
    if (!compiled) throw std::invalid_argument("[Sequential] expected a compiled model: call compile first");
  }

  Architecture architecture;
  CompileOptions options;
  bool compiled = false;
  bool resumed = false;  // from a checkpoint: batch size and micro-batch count must stay
  DeviceSet devices;
  CostModel costs;
  TrainingState state;
  std::unique_ptr<Trainer> trainer;
  TrainingReport report;

 private:
  void check(const CompileOptions& o) const {
    (void)evaluation_graph(architecture, 1, o.loss, 1);  // a model without layers, a loss that does not fit
    (void)make_policy(o.policy, {o.plan_file, o.plan_seconds});
    (void)make_steal_rule(o.stealing);
    if (o.micro_batches < 0) {
      throw std::invalid_argument(fmt::format("[micro-batches] expected 1 or more, got {}", o.micro_batches));
    }
    if (!std::isfinite(o.optimizer.learning_rate) || o.optimizer.learning_rate <= 0) {
      throw std::invalid_argument(
          fmt::format("[learning rate] expected a finite number above 0, got {}", o.optimizer.learning_rate));
    }
  }

  void check_data(const Dataset& data) const {
    if (data.feature_shape() != architecture.input_shape) {
      throw std::invalid_argument(fmt::format("[data] expected samples {}, got {}",
                                              architecture.input_shape.to_string(), data.feature_shape().to_string()));
    }
    const ModelGraph model = forward_graph(architecture, 1);
    const Shape& prediction = model.graph.value(model.prediction).type.shape;
    if (prediction[1] < data.classes()) {
      throw std::invalid_argument(
          fmt::format("[data] expected at most {} classes, got {}", prediction[1], data.classes()));
    }
    if (data.size() < 1) throw std::invalid_argument("[data] expected samples, got none");
  }

  static void check_batch(std::int64_t batch_size) {
    if (batch_size < 1)
      throw std::invalid_argument(fmt::format("[batch] expected 1 or more samples, got {}", batch_size));
  }

  void check(const Dataset& data, const FitOptions& o) const {
    check_data(data);
    check_batch(o.batch_size);
    if (data.size() < o.batch_size) {
      throw std::invalid_argument(
          fmt::format("[batch] expected at most the {} samples of the data, got {}", data.size(), o.batch_size));
    }
    if (o.steps < 0) throw std::invalid_argument(fmt::format("[steps] expected 0 or more, got {}", o.steps));
    if (o.steps == 0 && o.epochs < 1) {
      throw std::invalid_argument(fmt::format("[epochs] expected 1 or more, got {}", o.epochs));
    }
    if (o.trace_steps < 0) {
      throw std::invalid_argument(fmt::format("[trace steps] expected 0 or more, got {}", o.trace_steps));
    }
    if (o.validation != nullptr) check_data(*o.validation);
    if (resumed && o.batch_size != state.batch_size) {
      throw std::invalid_argument(
          fmt::format("[batch] expected the checkpoint's {} samples, got {}", state.batch_size, o.batch_size));
    }
  }

  int micro_batches_for(const Sequential& self, std::int64_t batch_size) const {
    int count = options.micro_batches;
    if (resumed) {
      if (count != 0 && count != state.micro_batches) {
        throw std::invalid_argument(
            fmt::format("[micro-batches] expected the checkpoint's {}, got {}", state.micro_batches, count));
      }
      return state.micro_batches;
    }
    if (count == 0 && options.policy == "replay") count = load_plan(options.plan_file).micro_batches;
    if (count != 0) return count;
    return choose_micro_batches(self, batch_size, devices.cluster, costs, options.policy,
                                {options.plan_file, options.plan_seconds});
  }

  EpochLogs train_epoch(Sequential& self, const Dataset& data, const FitOptions& fit_options, std::int64_t steps,
                        const std::vector<Callback*>& callbacks, bool& stopped) {
    const std::int64_t batch_size = fit_options.batch_size;
    const std::int64_t batches = data.size() / batch_size;
    const std::vector<std::int64_t> order = sample_order(data.size(), fit_options.shuffle, state.seed, state.epoch);
    Tensor features(ValueType{batch_shape(batch_size, architecture.input_shape)});
    Tensor labels(ValueType{{batch_size}, DType::kInt32});
    EpochLogs logs;
    logs.epoch = static_cast<int>(state.epoch) + 1;
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t i = 0; i < steps && !stopped; ++i) {
      const auto first = static_cast<std::size_t>(state.position * batch_size);
      data.read(std::span(order).subspan(first, static_cast<std::size_t>(batch_size)), features, labels);
      const BatchResult result = trainer->step(features, labels, state.step);
      ++state.step;
      ++state.position;
      logs.samples += batch_size;
      logs.loss += result.loss * static_cast<double>(batch_size);
      logs.accuracy += result.correct;
      report.final_loss = result.loss;
      const auto samples = static_cast<double>(logs.samples);
      const StepLogs step_logs{logs.epoch,  state.position,      batches,
                               result.loss, logs.loss / samples, logs.accuracy / samples};
      for (Callback* callback : callbacks) {
        callback->on_step_end(self, step_logs);
        stopped = stopped || callback->stop_training;
      }
    }
    logs.seconds = Seconds(std::chrono::steady_clock::now() - start).count();
    train_seconds += logs.seconds;
    logs.loss /= static_cast<double>(logs.samples);
    logs.accuracy /= static_cast<double>(logs.samples);
    if (state.position == batches) {
      ++state.epoch;
      state.position = 0;
    }
    trainer->export_state(state);
    trainer->end_epoch();
    const double final_loss = report.final_loss;
    report = trainer->report();
    report.final_loss = final_loss;
    report.seconds = train_seconds;
    if (fit_options.validation != nullptr) {
      const Metrics metrics = evaluate(*fit_options.validation, std::min(batch_size, fit_options.validation->size()));
      logs.validation_loss = metrics.loss;
      logs.validation_accuracy = metrics.accuracy;
    }
    for (Callback* callback : callbacks) {
      callback->on_epoch_end(self, logs);
      stopped = stopped || callback->stop_training;
    }
    return logs;
  }

  // Calls action(evaluator, rows) for batches of `batch_size` rows and one of what is left.
  template <class Action>
  void run_batches(std::int64_t size, std::int64_t batch_size, Action action) {
    std::vector<std::int64_t> rows(static_cast<std::size_t>(size));
    std::iota(rows.begin(), rows.end(), 0);
    const std::int64_t full = size / batch_size * batch_size;
    for (const auto& [begin, end, samples] :
         {std::array{std::int64_t{0}, full, batch_size}, std::array{full, size, size - full}}) {
      if (begin == end) continue;
      Evaluator evaluator(architecture, options.loss, devices, samples, state.weights);
      for (std::int64_t row = begin; row < end; row += samples) {
        action(evaluator, std::span<const std::int64_t>(rows).subspan(static_cast<std::size_t>(row),
                                                                      static_cast<std::size_t>(samples)));
      }
    }
  }

  double train_seconds = 0;
};

Sequential::Sequential(Shape input_shape) : impl_(std::make_unique<Impl>(std::move(input_shape))) {}
Sequential::~Sequential() = default;
Sequential::Sequential(Sequential&&) noexcept = default;
Sequential& Sequential::operator=(Sequential&&) noexcept = default;

void Sequential::add_layer(std::shared_ptr<const Layer> layer) {
  impl_->architecture.add(std::move(layer));
  impl_->compiled = false;
}

void Sequential::compile(CompileOptions options) {
  impl_->compile(std::move(options));
}
History Sequential::fit(const Dataset& data, const FitOptions& options) {
  return impl_->fit(*this, data, options);
}
Metrics Sequential::evaluate(const Dataset& data, std::int64_t batch_size) {
  return impl_->evaluate(data, batch_size);
}
Tensor Sequential::predict(const Tensor& features, std::int64_t batch_size) {
  return impl_->predict(features, batch_size);
}

std::string Sequential::summary() const {
  const Architecture& architecture = impl_->architecture;
  const ModelGraph model = forward_graph(architecture, 1);
  std::string text = fmt::format("{:<28}{:<24}{:>12}\n", "layer", "output of a sample", "parameters");
  for (std::size_t i = 0; i < architecture.layers.size(); ++i) {
    std::int64_t parameters = 0;
    for (const ParameterInit& init : model.parameters) {
      const Value& value = model.graph.value(init.parameter);
      if (value.name.starts_with(architecture.names[i] + ".")) parameters += value.type.shape.elements();
    }
    std::vector<std::int64_t> extents = model.graph.value(model.ends[i]).type.shape.extents();
    extents.erase(extents.begin());
    text += fmt::format("{:<28}{:<24}{:>12}\n",
                        fmt::format("{} ({})", architecture.names[i], architecture.layers[i]->type_name()),
                        Shape(std::move(extents)).to_string(), parameters);
  }
  return text + fmt::format("{:<52}{:>12}\n", "total", parameter_count());
}

std::int64_t Sequential::parameter_count() const {
  const ModelGraph model = forward_graph(impl_->architecture, 1);
  std::int64_t count = 0;
  for (const ParameterInit& init : model.parameters) {
    count += model.graph.value(init.parameter).type.shape.elements();
  }
  return count;
}

const CompileOptions& Sequential::options() const {
  return impl_->options;
}
const TrainingReport& Sequential::report() const {
  return impl_->report;
}
const std::map<std::string, Tensor>& Sequential::weights() const {
  impl_->require_compiled();
  return impl_->state.weights;
}

void Sequential::set_weights(std::map<std::string, Tensor> weights) {
  impl_->require_compiled();
  auto& own = impl_->state.weights;
  for (const auto& [name, tensor] : weights) {
    const auto it = own.find(name);
    if (it == own.end())
      throw std::invalid_argument(fmt::format("[weights] expected weights of this model, got {}", name));
    if (it->second.type() != tensor.type()) {
      throw std::invalid_argument(fmt::format("[weights] expected {} of {}, got {}", name,
                                              it->second.type().to_string(), tensor.type().to_string()));
    }
  }
  if (weights.size() != own.size()) {
    throw std::invalid_argument(fmt::format("[weights] expected {} tensors, got {}", own.size(), weights.size()));
  }
  own = std::move(weights);
}

std::string Sequential::weights_sha256() const {
  Sha256 hash;
  for (const auto& [name, tensor] : weights()) {
    hash.update(fmt::format("{} {}\n", name, tensor.type().to_string()));
    hash.update(std::span(tensor.data(), tensor.bytes()));
  }
  return hash.hex();
}

void Sequential::save_checkpoint(const std::string& directory) const {
  impl_->require_compiled();
  save_state(impl_->state, impl_->model_fingerprint(), directory);
}

void Sequential::load_checkpoint(const std::string& directory) {
  impl_->require_compiled();
  TrainingState state = load_state(impl_->model_fingerprint(), directory);
  set_weights(std::move(state.weights));
  state.weights = std::move(impl_->state.weights);
  impl_->state = std::move(state);
  impl_->options.seed = impl_->state.seed;
  impl_->resumed = impl_->state.batch_size > 0;
}

Graph Sequential::training_graph(std::int64_t batch_size, int micro_batches) const {
  const CompileOptions& options = impl_->options;
  return skua::training_graph(impl_->architecture, batch_size, micro_batches, options.loss, options.optimizer).graph;
}

int choose_micro_batches(const Sequential& model, std::int64_t batch_size, const Cluster& cluster,
                         const CostModel& costs, const std::string& policy, const PolicyOptions& options) {
  constexpr double kWorthwhile = 0.999;  // more micro-batches must be better by so much
  const auto most = static_cast<std::int64_t>(4 * cluster.device_count());
  int best = 1;
  double best_seconds = 0;
  for (int count = 1; count <= std::min(batch_size, most); ++count) {
    if (batch_size % count != 0) continue;
    const TaskGraph tasks(model.training_graph(batch_size, count), count);
    const double seconds = plan_with(policy, tasks, cluster, costs, options).predicted_seconds;
    if (count > 1 && seconds >= best_seconds * kWorthwhile) continue;
    best = count;
    best_seconds = seconds;
  }
  return best;
}

}  // namespace skua
