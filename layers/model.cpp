#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <stdexcept>

#include "checks.h"
#include "graph/user_file.h"
#include "model_impl.h"
#include "skua/graph/sha256.h"
#include "skua/layers/devices.h"

namespace skua {

void Model::Impl::compile(CompileOptions options) {
  require_no_training("compile");
  check_options(options, *blueprint_);
  std::string warning;
  DeviceSet devices = open_devices(options.devices, &warning);
  if (options.record_steps && !devices.devices.front()->can_record()) {
    throw std::invalid_argument(
        fmt::format("[record steps] expected devices that can record a step, got {}", options.devices));
  }
  devices.cluster = with_limits(devices.cluster, options.constraints);
  CostModel costs;
  if (!options.profile_file.empty() && std::filesystem::exists(options.profile_file)) {
    costs = CostModel::load(options.profile_file);
  }
  trainer_.reset();  // before their devices
  last_trainer_.reset();
  devices_ = std::move(devices);
  device_warning_ = std::move(warning);
  first_costs_ = costs;
  costs_ = std::move(costs);
  options_ = std::move(options);
  state_ = TrainingState();
  state_.seed = options_.seed;
  const ModelGraph model = blueprint_->description();
  for (std::size_t i = 0; i < model.parameters.size(); ++i) {
    const Value& value = model.graph.value(model.parameters[i].parameter);
    Random random(options_.seed, i);
    state_.weights[value.name] = model.parameters[i].initializer(value.type.shape, random);
  }
  report_ = TrainingReport();
  report_.device_warning = device_warning_;
  ahead_ = false;
  resumed_ = false;
  compiled_ = true;
}

const TrainingState& Model::Impl::state() {
  require_compiled();
  if (ahead_) trainer_->export_state(state_);
  ahead_ = false;
  return state_;
}

void Model::Impl::set_weights(std::map<std::string, Tensor> weights) {
  const auto& own = state().weights;
  for (const auto& [name, tensor] : weights) {
    const auto it = own.find(name);
    if (it == own.end()) {
      throw std::invalid_argument(fmt::format("[weights] expected weights of this model, got {}", one_line(name)));
    }
    if (it->second.type() != tensor.type()) {
      throw std::invalid_argument(fmt::format("[weights] expected {} of {}, got {}", name,
                                              it->second.type().to_string(), tensor.type().to_string()));
    }
  }
  if (weights.size() != own.size()) {
    throw std::invalid_argument(fmt::format("[weights] expected {} tensors, got {}", own.size(), weights.size()));
  }
  state_.weights = std::move(weights);
  if (training_) trainer_->import_state(state_);
}

void Model::Impl::restore(TrainingState state) {
  require_no_training("load_checkpoint");
  set_weights(state.weights);
  state_ = std::move(state);
  options_.seed = state_.seed;
  resumed_ = state_.batch_size > 0;
}

std::string Model::Impl::model_fingerprint() const {
  require_compiled();
  return fingerprint(blueprint_->description().graph);
}

void Model::Impl::require_compiled() const {
  if (!compiled_) throw std::invalid_argument("[Model] expected a compiled model: call compile first");
}

void Model::Impl::require_no_training(const std::string& verb) const {
  if (training_) throw std::invalid_argument(fmt::format("[{}] expected no training under way, got a callback", verb));
}

void Model::Impl::scale_learning_rate(double factor) {
  require_compiled();
  if (!(factor > 0 && std::isfinite(factor))) {
    throw std::invalid_argument(fmt::format("[learning rate] expected a finite factor above 0, got {}", factor));
  }
  state_.learning_rate_factor *= factor;
}

double Model::Impl::learning_rate() const {
  return options_.optimizer.learning_rate * options_.schedule(state_.step) * state_.learning_rate_factor;
}

Model::Model(std::shared_ptr<const Blueprint> blueprint) : impl_(std::make_unique<Impl>(std::move(blueprint))) {}
Model::~Model() = default;
Model::Model(Model&&) noexcept = default;
Model& Model::operator=(Model&&) noexcept = default;

void Model::require_no_training(const std::string& verb) const {
  impl_->require_no_training(verb);
}
void Model::expect_compile() {
  impl_->forget_compile();
}
void Model::compile(CompileOptions options) {
  impl_->compile(std::move(options));
}
History Model::fit(const Dataset& data, const FitOptions& options) {
  return impl_->fit(*this, data, options);
}
Metrics Model::evaluate(const Dataset& data, std::int64_t batch_size) {
  return impl_->evaluate(data, batch_size);
}
Tensor Model::predict(const Tensor& features, std::int64_t batch_size) {
  return impl_->predict(features, batch_size);
}
ValueType Model::sample_type() const {
  const ModelGraph model = impl_->blueprint().prediction_graph(1);
  return sample_of(model.graph.value(model.features).type);
}
void Model::scale_learning_rate(double factor) {
  impl_->scale_learning_rate(factor);
}

namespace {

std::vector<std::string> summary_row(const ModelGraph& model, std::size_t i, const TrainingReport& report) {
  const LayerInfo& layer = model.layers[i];
  std::int64_t parameters = 0;
  for (std::size_t p = i == 0 ? 0 : model.layers[i - 1].parameter_end; p < layer.parameter_end; ++p) {
    parameters += model.graph.value(model.parameters[p].parameter).type.shape.elements();
  }
  const auto placed = report.layer_devices.find(layer.name);
  return {fmt::format("{} ({})", layer.name, layer.type),
          sample_of(model.graph.value(layer.output).type).shape.to_string(), fmt::format("{}", parameters),
          placed == report.layer_devices.end() ? "" : placed->second};
}

}  // namespace

std::string Model::summary() const {
  const ModelGraph model = impl_->blueprint().description();
  const TrainingReport& report = impl_->report();
  std::vector<std::vector<std::string>> rows{
      {"layer", "output of a sample", "parameters", report.layer_devices.empty() ? "" : "devices"}};
  for (std::size_t i = 0; i < model.layers.size(); ++i) rows.push_back(summary_row(model, i, report));
  rows.push_back({"total", "", fmt::format("{}", parameter_count()), ""});
  std::vector<std::size_t> widths(4, 0);
  for (const auto& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
  }
  std::string text;
  for (const auto& row : rows) {
    std::string line =
        fmt::format("{:<{}}  {:<{}}  {:>{}}  {}", row[0], widths[0], row[1], widths[1], row[2], widths[2], row[3]);
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  }
  return text;
}

std::int64_t Model::parameter_count() const {
  const ModelGraph model = impl_->blueprint().description();
  std::int64_t count = 0;
  for (const ParameterInit& init : model.parameters) {
    count += model.graph.value(init.parameter).type.shape.elements();
  }
  return count;
}

const CompileOptions& Model::options() const {
  return impl_->options();
}
const TrainingReport& Model::report() const {
  return impl_->report();
}
const std::map<std::string, Tensor>& Model::weights() const {
  return impl_->state().weights;
}
void Model::set_weights(std::map<std::string, Tensor> weights) {
  impl_->set_weights(std::move(weights));
}

std::string Model::weights_sha256() const {
  Sha256 hash;
  for (const auto& [name, tensor] : weights()) {
    hash.update(fmt::format("{} {}\n", name, tensor.type().to_string()));
    hash.update(std::span(tensor.data(), tensor.bytes()));
  }
  return hash.hex();
}

void Model::save_checkpoint(const std::string& directory) const {
  save_state(impl_->state(), impl_->model_fingerprint(), directory);
}

void Model::load_checkpoint(const std::string& directory) {
  impl_->restore(load_state(impl_->model_fingerprint(), directory));
}

Graph Model::training_graph(std::int64_t batch_size, int micro_batches, const CompileOptions& options) const {
  return impl_->blueprint().training_graph(batch_size, micro_batches, options).graph;
}

Functional::Functional(Shape input_shape, DType dtype)
    : Functional(std::make_shared<Network>(ValueType{std::move(input_shape), dtype})) {}

Functional::Functional(std::shared_ptr<Network> network) : Model(network), network_(std::move(network)) {}

Symbol Functional::add_layer(std::shared_ptr<const Layer> layer, const std::vector<Symbol>& inputs) {
  require_no_training("add");
  std::vector<std::size_t> indices;
  for (const Symbol& symbol : inputs) indices.push_back(symbol.index);
  network_->add(std::move(layer), std::move(indices));
  expect_compile();
  return last();
}

Symbol Functional::last() const {
  return {network_->layer_count()};
}

const Shape& Functional::shape(Symbol symbol) const {
  return network_->shape(symbol.index);
}

}  // namespace skua
