// Checkpoints: as they are, and as ones of the model at hand with the right checksum, which then trains on.
#include "checkpoint.pb.h"
#include "fuzz.h"
#include "graph/message_file.h"
#include "skua/layers/layers.h"
#include "skua/layers/model.h"

namespace skua::test {
namespace {

constexpr const char* kFile = "skua.checkpoint";

Sequential compiled_model() {
  Sequential model({2});
  model.add(Dense(2));
  model.compile({.devices = "cpu:1", .policy = "single"});
  return model;
}

std::string fingerprint_of(const Sequential& model) {
  model.save_checkpoint(fuzz_folder() / ".");
  proto::Checkpoint file;
  require(file.ParseFromString(content_of(fuzz_folder() / kFile)), "a checkpoint");
  return file.model();
}

// Whether `model` takes it.
bool read(Sequential& model, const std::string& bytes) {
  static const auto data =
      datasets::arrays(Tensor(ValueType{{4, 2}}), Tensor(ValueType{{4}, DType::kInt32}), 2, "zeros");
  fuzz_folder().write(kFile, bytes);
  const auto loaded = accepted([&] {
    model.load_checkpoint(fuzz_folder() / ".");
    return true;
  });
  if (!loaded) return false;
  attempt([&] { model.fit(*data, {.batch_size = 2, .steps = 1, .verbose = false}); });
  return true;
}

}  // namespace
}  // namespace skua::test

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace skua;
  using namespace skua::test;
  static Sequential model = compiled_model();
  static const std::string fingerprint = fingerprint_of(model);
  const std::string bytes = text_of(data, size);
  if (read(model, bytes)) return 0;
  proto::Checkpoint message;
  const google::protobuf::LogSilencer silence;
  if (message.ParseFromString(bytes)) {
    message.set_model(fingerprint);
    message.set_checksum(checksum_of(message));
    read(model, message.SerializeAsString());
  }
  return 0;
}
