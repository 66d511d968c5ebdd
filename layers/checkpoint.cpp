#include <bit>
#include <cstring>
#include <filesystem>
#include <stdexcept>

#include "checkpoint.pb.h"
#include "graph/message_file.h"
#include "training_state.h"

namespace skua {
namespace {

static_assert(std::endian::native == std::endian::little);

using NamedTensors = google::protobuf::RepeatedPtrField<proto::Checkpoint::NamedTensor>;

void put(const std::map<std::string, Tensor>& tensors, NamedTensors& file) {
  for (const auto& [name, tensor] : tensors) {
    auto& to = *file.Add();
    to.set_name(name);
    for (std::int64_t extent : tensor.shape().extents()) to.add_extents(extent);
    to.set_floats(tensor.data(), tensor.bytes());
  }
}

std::map<std::string, Tensor> get(const NamedTensors& file) {
  std::map<std::string, Tensor> tensors;
  for (const auto& from : file) {
    Tensor tensor(ValueType{Shape(std::vector<std::int64_t>(from.extents().begin(), from.extents().end()))});
    if (tensor.bytes() != from.floats().size()) {
      throw std::invalid_argument(
          fmt::format("expected {} bytes of {}, got {}", tensor.bytes(), from.name(), from.floats().size()));
    }
    std::memcpy(tensor.data(), from.floats().data(), tensor.bytes());
    tensors.emplace(from.name(), std::move(tensor));
  }
  return tensors;
}

std::string path_in(const std::string& directory) {
  return (std::filesystem::path(directory) / "skua.checkpoint").string();
}

}  // namespace

void save_state(const TrainingState& state, const std::string& model, const std::string& directory) {
  proto::Checkpoint file;
  file.set_model(model);
  file.set_step(state.step);
  file.set_epoch(state.epoch);
  file.set_position(state.position);
  file.set_batch_size(state.batch_size);
  file.set_micro_batches(state.micro_batches);
  file.set_seed(state.seed);
  file.set_learning_rate_factor(state.learning_rate_factor);
  put(state.weights, *file.mutable_weights());
  put(state.states, *file.mutable_states());
  file.set_checksum(checksum_of(file));
  const std::string path = path_in(directory);
  const std::string unfinished = path + ".unfinished";
  std::error_code error;
  std::filesystem::create_directories(directory, error);  // write_message says what is wrong
  write_message(file, unfinished, FileForm::kBinary, "checkpoint");
  std::filesystem::rename(unfinished, path);
}

TrainingState load_state(const std::string& model, const std::string& directory) {
  const auto convert = [&](const proto::Checkpoint& file) {
    if (file.checksum() != checksum_of(file)) throw std::invalid_argument("expected a checkpoint, got damaged bytes");
    if (file.model() != model) {
      throw std::invalid_argument(fmt::format(
          "expected a checkpoint of this model ({:.12}), got one of another ({:.12})", model, file.model()));
    }
    TrainingState state;
    state.weights = get(file.weights());
    state.states = get(file.states());
    state.step = file.step();
    state.epoch = file.epoch();
    state.position = file.position();
    state.batch_size = file.batch_size();
    state.micro_batches = file.micro_batches();
    state.seed = file.seed();
    state.learning_rate_factor = file.learning_rate_factor();
    return state;
  };
  return load_message<proto::Checkpoint>(path_in(directory), FileForm::kBinary, "checkpoint", "a checkpoint", convert);
}

}  // namespace skua
