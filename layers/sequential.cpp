#include "skua/layers/sequential.h"

#include <fmt/format.h>

#include <filesystem>
#include <stdexcept>

#include "checks.h"
#include "sequential_impl.h"
#include "skua/graph/sha256.h"
#include "skua/layers/devices.h"

namespace skua {

void Sequential::Impl::add(std::shared_ptr<const Layer> layer) {
  require_no_training("add");
  architecture_.add(std::move(layer));
  compiled_ = false;
}

void Sequential::Impl::compile(CompileOptions options) {
  require_no_training("compile");
  check_options(options, architecture_);
  DeviceSet devices = open_devices(options.devices);
  CostModel costs;
  if (!options.profile_file.empty() && std::filesystem::exists(options.profile_file)) {
    costs = CostModel::load(options.profile_file);
  }
  trainer_.reset();  // before its devices
  devices_ = std::move(devices);
  first_costs_ = costs;
  costs_ = std::move(costs);
  options_ = std::move(options);
  state_ = TrainingState();
  state_.seed = options_.seed;
  const ModelGraph model = forward_graph(architecture_, 1);
  for (std::size_t i = 0; i < model.parameters.size(); ++i) {
    const Value& value = model.graph.value(model.parameters[i].parameter);
    Random random(options_.seed, i);
    state_.weights[value.name] = model.parameters[i].initializer(value.type.shape, random);
  }
  report_ = TrainingReport();
  ahead_ = false;
  resumed_ = false;
  compiled_ = true;
}

const TrainingState& Sequential::Impl::state() {
  require_compiled();
  if (ahead_) trainer_->export_state(state_);
  ahead_ = false;
  return state_;
}

void Sequential::Impl::set_weights(std::map<std::string, Tensor> weights) {
  const auto& own = state().weights;
  for (const auto& [name, tensor] : weights) {
    const auto it = own.find(name);
    if (it == own.end()) {
      throw std::invalid_argument(fmt::format("[weights] expected weights of this model, got {}", name));
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

void Sequential::Impl::restore(TrainingState state) {
  require_no_training("load_checkpoint");
  set_weights(state.weights);
  state_ = std::move(state);
  options_.seed = state_.seed;
  resumed_ = state_.batch_size > 0;
}

std::string Sequential::Impl::model_fingerprint() const {
  require_compiled();
  return fingerprint(forward_graph(architecture_, 1).graph);
}

void Sequential::Impl::require_compiled() const {
  if (!compiled_) throw std::invalid_argument("[Sequential] expected a compiled model: call compile first");
}

void Sequential::Impl::require_no_training(const std::string& verb) const {
  if (training_) throw std::invalid_argument(fmt::format("[{}] expected no training under way, got a callback", verb));
}

Sequential::Sequential(Shape input_shape) : impl_(std::make_unique<Impl>(std::move(input_shape))) {}
Sequential::~Sequential() = default;
Sequential::Sequential(Sequential&&) noexcept = default;
Sequential& Sequential::operator=(Sequential&&) noexcept = default;

void Sequential::add_layer(std::shared_ptr<const Layer> layer) {
  impl_->add(std::move(layer));
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
  const Architecture& architecture = impl_->architecture();
  const ModelGraph model = forward_graph(architecture, 1);
  std::string text = fmt::format("{:<28}{:<24}{:>12}\n", "layer", "output of a sample", "parameters");
  std::size_t next = 0;
  for (std::size_t i = 0; i < architecture.layers.size(); ++i) {
    std::int64_t parameters = 0;
    for (; next < model.parameter_ends[i]; ++next) {
      parameters += model.graph.value(model.parameters[next].parameter).type.shape.elements();
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
  const ModelGraph model = forward_graph(impl_->architecture(), 1);
  std::int64_t count = 0;
  for (const ParameterInit& init : model.parameters) {
    count += model.graph.value(init.parameter).type.shape.elements();
  }
  return count;
}

const CompileOptions& Sequential::options() const {
  return impl_->options();
}
const TrainingReport& Sequential::report() const {
  return impl_->report();
}
const std::map<std::string, Tensor>& Sequential::weights() const {
  return impl_->state().weights;
}
void Sequential::set_weights(std::map<std::string, Tensor> weights) {
  impl_->set_weights(std::move(weights));
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
  save_state(impl_->state(), impl_->model_fingerprint(), directory);
}

void Sequential::load_checkpoint(const std::string& directory) {
  impl_->restore(load_state(impl_->model_fingerprint(), directory));
}

Graph Sequential::training_graph(std::int64_t batch_size, int micro_batches) const {
  const CompileOptions& options = impl_->options();
  return skua::training_graph(impl_->architecture(), batch_size, micro_batches, options.loss, options.optimizer).graph;
}

}  // namespace skua
