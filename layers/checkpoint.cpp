#include <bit>
#include <cmath>
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
    const ValueType type{Shape(std::vector<std::int64_t>(from.extents().begin(), from.extents().end()))};
    if (type.bytes() != from.floats().size()) {
      throw std::invalid_argument(
          fmt::format("expected {} bytes of {}, got {}", type.bytes(), from.name(), from.floats().size()));
    }
    Tensor tensor(type);
    std::memcpy(tensor.data(), from.floats().data(), tensor.bytes());
    if (!tensors.emplace(from.name(), std::move(tensor)).second) {
      throw std::invalid_argument(fmt::format("expected one tensor {}, got two", from.name()));
    }
  }
  return tensors;
}

void check_place(const proto::Checkpoint& file) {
  constexpr std::int64_t kMost = std::int64_t{1} << 53;  // there is always a next step
  const auto check = [](const char* what, std::int64_t number, std::int64_t least, std::int64_t most) {
    if (number >= least && number <= most) return;
    throw std::invalid_argument(fmt::format("expected {} from {} to {}, got {}", what, least, most, number));
  };
  check("a step", file.step(), 0, kMost);
  check("an epoch", file.epoch(), 0, std::int64_t{1} << 30);  // logs count them as int
  check("a batch size", file.batch_size(), 0, kMost);
  check("a place in the epoch", file.position(), 0, file.batch_size() > 0 ? kMost / file.batch_size() : 0);
  check("micro-batches", file.micro_batches(), file.batch_size() > 0 ? 1 : 0, file.batch_size());
  const double factor = file.learning_rate_factor();
  if (!(factor > 0 && std::isfinite(factor))) {
    throw std::invalid_argument(fmt::format("expected a finite factor of the learning rate above 0, got {}", factor));
  }
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
    check_place(file);
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
