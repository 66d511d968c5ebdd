// Checkpoints and profiles: training goes on from them with the same bits; damaged ones are errors.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <functional>

#include "checkpoint.pb.h"
#include "graph/message_file.h"
#include "graph/small_graphs.h"
#include "layers/small_models.h"

namespace skua::test {
namespace {

TEST(Model, CheckpointsContinueWithTheSameBits) {
  const auto data = corners(80);
  const std::string directory = file_in_temp("checkpoint");
  const CompileOptions options{.devices = "cpu:2", .micro_batches = 2, .seed = 8};
  const auto fit = [](std::int64_t steps) { return FitOptions{.batch_size = 16, .steps = steps, .verbose = false}; };
  Sequential whole = small_model();
  whole.compile(options);
  whole.fit(*data, fit(13));

  // Broken off in the middle of the second epoch of five batches.
  Sequential first = small_model();
  first.compile(options);
  first.fit(*data, fit(7));
  first.save_checkpoint(directory);
  Sequential second = small_model();
  second.compile({.devices = "cpu:1", .seed = 99});  // the seed and the micro-batches come from the checkpoint
  second.load_checkpoint(directory);
  EXPECT_EQ(second.weights_sha256(), first.weights_sha256());
  second.fit(*data, fit(6));
  EXPECT_EQ(second.weights_sha256(), whole.weights_sha256());
  first.fit(*data, fit(6));
  EXPECT_EQ(first.weights_sha256(), whole.weights_sha256());

  Sequential third = small_model();
  third.compile({.devices = "cpu:1", .micro_batches = 4});
  third.load_checkpoint(directory);
  EXPECT_EQ(message_of([&] { third.fit(*data, fit(1)); }), "[micro-batches] expected the checkpoint's 2, got 4");
  EXPECT_EQ(message_of([&] { third.fit(*data, {.batch_size = 8, .steps = 1, .verbose = false}); }),
            "[batch] expected the checkpoint's 16 samples, got 8");
  std::filesystem::remove_all(directory);
}

TEST(Model, BadCheckpointsAreErrorsThatNameTheFile) {
  const std::string directory = file_in_temp("bad_checkpoint");
  Sequential model = small_model();
  model.compile({.devices = "cpu:1"});
  const auto load = [&] { return message_of([&] { model.load_checkpoint(directory); }); };
  EXPECT_NE(load().find(directory), std::string::npos);
  model.save_checkpoint(directory);
  const std::string path = directory + "/skua.checkpoint";
  std::string bytes;
  {
    std::ifstream in(path, std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(in), {});
  }
  const std::string hash = model.weights_sha256();
  for (std::size_t i = 0; i < bytes.size(); i += 97) {
    std::string flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 16);
    std::ofstream(path, std::ios::binary) << flipped;
    ASSERT_NE(load().find(path), std::string::npos) << "byte " << i;
    std::ofstream(path, std::ios::binary) << bytes.substr(0, i);
    ASSERT_NE(load().find(path), std::string::npos) << "first " << i << " bytes";
  }
  EXPECT_EQ(model.weights_sha256(), hash);
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_EQ(load(), "");
  Sequential other({1, 8, 8});
  other.add(Flatten()).add(Dense(4));
  other.compile({.devices = "cpu:1"});
  EXPECT_NE(message_of([&] { other.load_checkpoint(directory); }).find("got one of another"), std::string::npos);
  std::filesystem::remove_all(directory);
}

// Checksums are right here, contents are not.
TEST(Model, CheckpointsThatTellLiesAreErrors) {
  using proto::Checkpoint;
  const std::string directory = file_in_temp("lying_checkpoint");
  const auto data = corners(32);
  const FitOptions fit{.batch_size = 16, .steps = 1, .verbose = false};
  Sequential model = small_model();
  model.compile({.optimizer = Adam(), .devices = "cpu:1"});
  model.fit(*data, fit);
  model.save_checkpoint(directory);
  const std::string path = directory + "/skua.checkpoint";
  Checkpoint honest;
  {
    std::ifstream in(path, std::ios::binary);
    ASSERT_TRUE(honest.ParseFromIstream(&in));
  }
  const auto error_after = [&](const std::function<void(Checkpoint&)>& spoil) {
    Checkpoint file = honest;
    spoil(file);
    file.set_checksum(checksum_of(file));
    std::ofstream(path, std::ios::binary) << file.SerializeAsString();
    return message_of([&] {
      model.load_checkpoint(directory);
      model.fit(*data, fit);
    });
  };
  EXPECT_EQ(error_after([](Checkpoint&) {}), "");
  const std::string name = honest.weights(0).name();
  const std::string state = honest.states(0).name();
  const std::pair<std::function<void(Checkpoint&)>, std::string> cases[] = {
      {[](Checkpoint& c) { c.mutable_weights(0)->set_extents(0, std::int64_t{1} << 50); }, "bytes of " + name},
      {[](Checkpoint& c) { *c.add_weights() = c.weights(0); }, "expected one tensor " + name + ", got two"},
      {[](Checkpoint& c) { c.mutable_weights(0)->set_name("two\nlines"); }, "weights of this model, got two lines"},
      {[](Checkpoint& c) {
         c.mutable_states(0)->clear_extents();
         c.mutable_states(0)->set_floats("four");
       },
       "of " + state + ", got float32()"},
      {[](Checkpoint& c) { c.set_step(-1); }, "a step from 0"},
      {[](Checkpoint& c) { c.set_epoch(-1); }, "an epoch from 0"},
      {[](Checkpoint& c) { c.set_position(-1); }, "a place in the epoch from 0"},
      {[](Checkpoint& c) { c.set_position(std::int64_t{1} << 62); }, "a place in the epoch from 0"},
      {[](Checkpoint& c) { c.set_batch_size(-16); }, "a batch size from 0"},
      {[](Checkpoint& c) { c.set_micro_batches(0); }, "micro-batches from 1 to 16, got 0"},
      {[](Checkpoint& c) { c.set_micro_batches(17); }, "micro-batches from 1 to 16, got 17"},
      {[](Checkpoint& c) { c.set_learning_rate_factor(0); }, "factor of the learning rate above 0, got 0"},
  };
  for (const auto& [spoil, part] : cases) {
    const std::string message = error_after(spoil);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  }
  std::filesystem::remove_all(directory);
}

// Callbacks may save in the middle of an epoch.
TEST(Model, CheckpointsOfAStepContinueWithTheSameBits) {
  const auto data = corners(80);
  const std::string directory = file_in_temp("step_checkpoint");
  const CompileOptions options{.devices = "cpu:2", .micro_batches = 2, .seed = 4};
  class SaveAtStep3 final : public Callback {
   public:
    explicit SaveAtStep3(std::string directory) : directory_(std::move(directory)) {}
    void on_step_end(Model& model, const StepLogs& logs) override {
      if (logs.step == 3) model.save_checkpoint(directory_);
    }

   private:
    std::string directory_;
  } save(directory);
  Sequential whole = small_model();
  whole.compile(options);
  whole.fit(*data, {.batch_size = 16, .callbacks = {&save}, .verbose = false});
  Sequential rest = small_model();
  rest.compile(options);
  rest.load_checkpoint(directory);
  rest.fit(*data, {.batch_size = 16, .verbose = false});  // the epoch's other two steps
  EXPECT_EQ(rest.report().steps, 2);
  EXPECT_EQ(rest.weights_sha256(), whole.weights_sha256());

  Sequential other = small_model();
  other.compile({.optimizer = SGD(0.1, {.momentum = 0.9}), .devices = "cpu:1", .micro_batches = 2});
  other.load_checkpoint(directory);
  EXPECT_EQ(message_of([&] { other.fit(*data, {.batch_size = 16, .verbose = false}); }),
            "[optimizer] expected the checkpoint's, got sgd_update, which keeps other states");
  std::filesystem::remove_all(directory);
}

// The profile says that two micro-batches are fastest by far; what the first fit measures says that one is.
TEST(Model, AutomaticMicroBatchesStayThoughMeasuredTimesDiffer) {
  const std::string path = file_in_temp("wrong_profile.json");
  Sequential model = small_model();
  const std::string kind = open_devices("cpu:1").cluster.devices()[0].kind;
  CostModel costs;
  for (const auto& [count, seconds] : {std::pair{1, 2e-9}, {2, 1e-10}}) {
    const TaskGraph tasks(model.training_graph(16, count, {}), count);
    for (const CostKey& key : tasks.cost_keys()) {
      for (int i = 0; i < 3; ++i) costs.observe(key.signature, kind, seconds);
    }
  }
  costs.save(path);
  model.compile({.devices = "cpu:1", .profile_file = path});
  model.fit(*corners(64), {.batch_size = 16, .steps = 8, .verbose = false});
  ASSERT_EQ(model.report().plan.micro_batches, 2);
  const Cluster cluster = open_devices("cpu:1").cluster;
  ASSERT_NE(choose_micro_batches(model, {}, 16, cluster, CostModel::load(path)), 2);  // with what was measured
  model.fit(*corners(64), {.batch_size = 16, .steps = 1, .verbose = false});
  EXPECT_EQ(model.report().plan.micro_batches, 2);
  model.fit(*corners(64), {.batch_size = 32, .steps = 1, .verbose = false});
  model.fit(*corners(64), {.batch_size = 16, .steps = 1, .verbose = false});
  EXPECT_EQ(model.report().plan.micro_batches, 2);
  std::filesystem::remove(path);
}

TEST(Model, ProfilesAreWrittenAndRead) {
  const std::string path = file_in_temp("profile.json");
  std::filesystem::remove(path);
  const CompileOptions options{.devices = "cpu:1", .micro_batches = 1, .profile_file = path};
  for (int attempt = 0; attempt < 2; ++attempt) {
    Sequential model = small_model();
    model.compile(options);
    model.fit(*corners(32), {.batch_size = 16, .steps = 10, .verbose = false});
    const TaskGraph tasks(model.training_graph(16, 1, options), 1);
    EXPECT_EQ(CostModel::load(path).measured_count(), tasks.cost_keys().size() + 1);  // and the wake
  }
  std::ofstream(path) << "nonsense";
  EXPECT_NE(message_of([&] { small_model().compile(options); }).find(path), std::string::npos);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace skua::test
