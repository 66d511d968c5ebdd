// What happens around steps: last batches, reading ahead, callbacks, schedules.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numbers>
#include <numeric>
#include <sstream>

#include "files.h"
#include "graph/small_graphs.h"
#include "layers/small_models.h"

namespace skua::test {
namespace {

// Some rows of corners().
std::shared_ptr<const Dataset> rows_of_corners(std::int64_t first, std::int64_t count) {
  const auto all = corners(64);
  Tensor features(ValueType{{count, 1, 8, 8}});
  Tensor labels(ValueType{{count}, DType::kInt32});
  std::vector<std::int64_t> rows(static_cast<std::size_t>(count));
  std::iota(rows.begin(), rows.end(), first);
  all->read(rows, features, labels);
  return datasets::arrays(std::move(features), std::move(labels), 4, "rows");
}

// With dropout, whose draws depend on the step and the sample's place in the batch.
Model compiled_model(const CompileOptions& options) {
  Sequential model({1, 8, 8});
  model.add(Flatten()).add(Dropout(0.2)).add(Dense(6, {.activation = "relu"})).add(BatchNorm()).add(Dense(4));
  model.compile(options);
  return model;
}

TEST(LastBatch, IsAStepOfWhatIsLeft) {
  const CompileOptions options{.optimizer = Adam(0.01), .devices = "cpu:2", .micro_batches = 1, .seed = 3};
  Model model = compiled_model(options);
  const FitOptions plain{.batch_size = 16, .shuffle = false, .verbose = false};
  FitOptions whole = plain;
  whole.drop_last = false;
  whole.epochs = 2;
  const History history = model.fit(*rows_of_corners(0, 37), whole);
  Model by_parts = compiled_model(options);
  FitOptions rest = plain;
  rest.batch_size = 5;
  for (const EpochLogs& logs : history) {
    const EpochLogs first = by_parts.fit(*rows_of_corners(0, 32), plain).at(0);
    const EpochLogs second = by_parts.fit(*rows_of_corners(32, 5), rest).at(0);
    EXPECT_EQ(logs.samples, 37);
    EXPECT_NEAR(logs.loss, (32 * first.loss + 5 * second.loss) / 37, 1e-12);
    EXPECT_NEAR(logs.value("accuracy"), (32 * first.value("accuracy") + 5 * second.value("accuracy")) / 37, 1e-12);
  }
  EXPECT_EQ(history.size(), 2U);
  EXPECT_EQ(model.weights_sha256(), by_parts.weights_sha256());
  EXPECT_EQ(model.report().steps, 6);
}

TEST(LastBatch, GivesTheSameBitsOnAnyDevicesAndAfterACheckpoint) {
  const auto data = rows_of_corners(0, 42);  // 16, 16 and 10: 4 micro-batches of 4, or 2 of 5
  const auto trained = [&](const std::string& devices, const std::string& policy, const std::string& stealing) {
    Model model =
        compiled_model({.devices = devices, .policy = policy, .stealing = stealing, .micro_batches = 4, .seed = 3});
    model.fit(*data, {.batch_size = 16, .drop_last = false, .epochs = 4, .verbose = false});
    return model.weights_sha256();
  };
  const std::string expected = trained("cpu:1", "single", "none");
  EXPECT_EQ(trained("cpu:3", "heft", "random"), expected);
  EXPECT_EQ(trained("cpu:2", "data_parallel", "cost"), expected);

  const Folder folder("last_batch");
  Model begun = compiled_model({.micro_batches = 4, .seed = 3});
  begun.fit(*data, {.batch_size = 16, .drop_last = false, .steps = 5, .verbose = false});  // up to before a last batch
  begun.save_checkpoint(folder / "");
  Model resumed = compiled_model({.devices = "cpu:2", .micro_batches = 4});
  resumed.load_checkpoint(folder / "");
  resumed.fit(*data, {.batch_size = 16, .drop_last = false, .steps = 7, .verbose = false});
  EXPECT_EQ(resumed.weights_sha256(), expected);
}

TEST(ReadingAhead, StopsWithTrainingAndPassesErrorsOn) {
  class Counted final : public PassedOn {
   public:
    Counted() : PassedOn(corners(160)) {}
    void read(std::span<const std::int64_t> rows, Tensor& features, Tensor& labels, std::int64_t epoch) const override {
      last_epoch = epoch;
      if (++reads == bad_read) throw std::runtime_error("the disk is gone");
      good->read(rows, features, labels);
    }
    int bad_read = 0;
    mutable std::atomic<int> reads = 0;
    mutable std::atomic<std::int64_t> last_epoch = 0;
  } data;
  class StopAfterThree final : public Callback {
   public:
    void on_step_end(Model&, const StepLogs& logs) override { stop_training = ++steps == 3 && logs.step == 3; }
    int steps = 0;
  } three;
  const CompileOptions options{.devices = "cpu:2", .micro_batches = 2};
  Model model = compiled_model(options);
  model.fit(data, {.batch_size = 16, .callbacks = {&three}, .verbose = false});
  EXPECT_GE(data.reads, 3);
  EXPECT_LE(data.reads, 5);  // at most one batch ahead, and one under way

  model.fit(data, {.batch_size = 16, .epochs = 2, .verbose = false});
  EXPECT_EQ(data.last_epoch, 1);

  data.reads = 0;
  data.bad_read = 3;
  Model failing = compiled_model(options);
  EXPECT_THROW(failing.fit(data, {.batch_size = 16, .verbose = false}), std::runtime_error);
  Model two_steps = compiled_model(options);
  two_steps.fit(*data.good, {.batch_size = 16, .steps = 2, .verbose = false});
  EXPECT_EQ(failing.weights_sha256(), two_steps.weights_sha256());
}

EpochLogs with_validation_loss(double loss) {
  EpochLogs logs;
  logs.validation_loss = loss;
  return logs;
}

// The epoch, from 1, in which `stopping` ends training where the monitored values are these; 0: in none.
int stops_at(EarlyStopping stopping, Model& model, const std::vector<double>& values) {
  stopping.on_train_begin(model);
  for (std::size_t i = 0; i < values.size(); ++i) {
    stopping.on_epoch_end(model, with_validation_loss(values[i]));
    if (stopping.stop_training) return static_cast<int>(i) + 1;
  }
  return 0;
}

TEST(Callbacks, EarlyStoppingWaitsForABetterValue) {
  Model model = compiled_model({});
  EXPECT_EQ(stops_at(EarlyStopping({.patience = 2}), model, {3, 2, 2.5, 2, 1}), 4);
  EXPECT_EQ(stops_at(EarlyStopping({.patience = 2}), model, {3, 2, 2.5, 1.9, 2, 2.1}), 6);
  EXPECT_EQ(stops_at(EarlyStopping({.patience = 2, .min_delta = 0.5}), model, {3, 2.6, 2.55, 1}), 3);
  EXPECT_EQ(stops_at(EarlyStopping({.larger_is_better = true, .patience = 1}), model, {1, 2, 3, 2}), 4);
  EXPECT_EQ(stops_at(EarlyStopping({.patience = 2}), model, {NAN, 2, 3}), 0);
  EXPECT_EQ(stops_at(EarlyStopping({.patience = 2}, true), model, {NAN, NAN}), 2);
  EXPECT_EQ(stops_at(EarlyStopping({.patience = 1}), model, {2, NAN}), 2);
  EXPECT_NE(
      message_of([&] { stops_at(EarlyStopping({.monitor = "validation_f1"}), model, {1}); }).find("validation_f1"),
      std::string::npos);
}

TEST(Callbacks, EarlyStoppingRestoresTheBestWeights) {
  Model model = compiled_model({.seed = 1});
  EarlyStopping stopping({.patience = 1}, true);
  stopping.on_train_begin(model);
  stopping.on_epoch_end(model, with_validation_loss(2));
  const std::string best = model.weights_sha256();
  model.set_weights(compiled_model({.seed = 2}).weights());
  EXPECT_NE(model.weights_sha256(), best);
  stopping.on_epoch_end(model, with_validation_loss(3));
  EXPECT_TRUE(stopping.stop_training);
  EXPECT_EQ(model.weights_sha256(), best);
}

// Only the first epoch is better by so much.
TEST(Callbacks, ThePlateauLowersTheLearningRate) {
  Model model = compiled_model({.optimizer = SGD(0.5), .schedule = schedules::step_decay(3, 0.5)});
  ReduceLearningRateOnPlateau plateau(0.1, {.monitor = "loss", .patience = 2, .min_delta = 1e9});
  LearningRateLog rates;
  model.fit(*corners(32), {.batch_size = 16, .epochs = 6, .callbacks = {&plateau, &rates}, .verbose = false});
  ASSERT_EQ(rates.rates.size(), 12U);
  for (std::size_t step = 0; step < 12; ++step) {
    const int epoch = static_cast<int>(step) / 2 + 1;
    const double factor = epoch <= 3 ? 1 : epoch <= 5 ? 0.1 : 0.01;
    EXPECT_NEAR(rates.rates[step], 0.5 * std::pow(0.5, static_cast<double>(step / 3)) * factor, 1e-12) << step;
  }
}

TEST(Callbacks, CheckpointsOfTheBestEpochStay) {
  const Folder folder("best_checkpoint");
  Model model = compiled_model({.seed = 1});
  ModelCheckpoint checkpoint(folder / "", "validation_loss");
  checkpoint.on_train_begin(model);
  checkpoint.on_epoch_end(model, with_validation_loss(2));
  const std::string best = model.weights_sha256();
  model.set_weights(compiled_model({.seed = 2}).weights());
  checkpoint.on_epoch_end(model, with_validation_loss(2));
  model.load_checkpoint(folder / "");
  EXPECT_EQ(model.weights_sha256(), best);
  model.set_weights(compiled_model({.seed = 2}).weights());
  const std::string better = model.weights_sha256();
  checkpoint.on_epoch_end(model, with_validation_loss(1));
  model.load_checkpoint(folder / "");
  EXPECT_EQ(model.weights_sha256(), better);
}

TEST(Callbacks, CsvLogsHoldWhatTheHistorySays) {
  const Folder folder("csv_log");
  const auto data = corners(48);
  Model model = compiled_model({});
  History history;
  const auto train = [&](bool append) {
    CsvLog log(folder / "log.csv", append);
    const FitOptions options{
        .batch_size = 16, .steps = 6, .validation = data.get(), .callbacks = {&log}, .verbose = false};
    for (const EpochLogs& logs : model.fit(*data, options)) history.push_back(logs);
  };
  train(false);
  train(true);
  std::istringstream lines(content_of(folder / "log.csv"));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line, "epoch,loss,accuracy,validation_loss,validation_accuracy,learning_rate,seconds");
  ASSERT_EQ(history.size(), 4U);
  for (const EpochLogs& logs : history) {
    ASSERT_TRUE(std::getline(lines, line));
    std::replace(line.begin(), line.end(), ',', ' ');
    std::istringstream fields(line);
    for (const double expected :
         {static_cast<double>(logs.epoch), logs.loss, logs.value("accuracy"), *logs.validation_loss,
          logs.value("validation_accuracy"), logs.learning_rate, logs.seconds}) {
      double value = NAN;
      fields >> value;
      EXPECT_EQ(value, expected) << line;
    }
  }
  EXPECT_FALSE(std::getline(lines, line));
  CsvLog nowhere(folder / "none/log.csv");
  EXPECT_THROW(model.fit(*data, {.batch_size = 16, .callbacks = {&nowhere}, .verbose = false}), std::runtime_error);
}

TEST(Schedules, ClosedForms) {
  const auto values = [](const LearningRateSchedule& schedule, const std::vector<std::int64_t>& steps) {
    std::vector<double> rates;
    for (const std::int64_t step : steps) rates.push_back(schedule(step));
    return rates;
  };
  using Rates = std::vector<double>;
  EXPECT_EQ(values(schedules::constant(), {0, 1000}), (Rates{1, 1}));
  EXPECT_EQ(values(schedules::step_decay(10, 0.5), {0, 9, 10, 25}), (Rates{1, 1, 0.5, 0.25}));
  EXPECT_EQ(values(schedules::warm_up(4), {0, 1, 3, 4, 50}), (Rates{0.25, 0.5, 1, 1, 1}));
  EXPECT_EQ(values(schedules::warm_up(2, schedules::step_decay(3, 0.5)), {1, 4, 5}), (Rates{1, 1, 0.5}));
  EXPECT_NEAR(schedules::exponential_decay(100, 0.1)(50), std::sqrt(0.1), 1e-15);
  const LearningRateSchedule cosine = schedules::cosine_decay(100, 0.1);
  EXPECT_EQ(cosine(0), 1);
  EXPECT_NEAR(cosine(50), 0.55, 1e-15);
  EXPECT_NEAR(cosine(25), 0.1 + 0.9 * (1 + std::numbers::sqrt2 / 2) / 2, 1e-15);
  EXPECT_NEAR(cosine(100), 0.1, 1e-15);
  EXPECT_NEAR(cosine(1000), 0.1, 1e-15);
  EXPECT_EQ(message_of([] { (void)schedules::warm_up(0); }), "[warm_up] expected 1 step or more, got 0");
  EXPECT_EQ(message_of([] { (void)schedules::step_decay(1, -1); }),
            "[step_decay] expected a finite factor of 0 or more, got -1");
}

}  // namespace
}  // namespace skua::test
