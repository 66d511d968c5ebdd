// What may happen between training steps. The caller owns callbacks; fit calls them on its own thread.
#pragma once

#include <chrono>
#include <fstream>
#include <string>

#include "skua/layers/training.h"

namespace skua {

class Model;

// May read and set the model's weights, which are those of the last step, evaluate it and save checkpoints; not train,
// compile or change it.
class Callback {
 public:
  virtual ~Callback() = default;
  virtual void on_train_begin(Model&) {}
  virtual void on_step_end(Model&, const StepLogs&) {}
  virtual void on_epoch_end(Model&, const EpochLogs&) {}
  bool stop_training = false;  // set it to end training after this step
};

// Progress on standard error: a bar with the time left that is redrawn on a terminal, a line per epoch elsewhere.
class ProgressBar final : public Callback {
 public:
  void on_train_begin(Model&) override { first_step_ = 0; }
  void on_step_end(Model&, const StepLogs& logs) override;
  void on_epoch_end(Model&, const EpochLogs& logs) override;

 private:
  std::chrono::steady_clock::time_point start_;  // of the step first_step_ of the epoch
  std::int64_t first_step_ = 0;
  int epoch_ = 0;
};

// Saves a checkpoint after each epoch, or after those that made `monitor` (EpochLogs::value) smaller or, with
// `larger_is_better`, larger than ever before.
class ModelCheckpoint final : public Callback {
 public:
  explicit ModelCheckpoint(std::string directory, std::string monitor = "", bool larger_is_better = false)
      : directory_(std::move(directory)), monitor_(std::move(monitor)), larger_is_better_(larger_is_better) {}
  void on_train_begin(Model&) override { best_.reset(); }
  void on_epoch_end(Model& model, const EpochLogs& logs) override;

 private:
  std::string directory_;
  std::string monitor_;
  bool larger_is_better_;
  std::optional<double> best_;
};

struct PlateauOptions {
  std::string monitor = "validation_loss";
  bool larger_is_better = false;
  int patience = 5;      // epochs without a better value
  double min_delta = 0;  // that a better value is better by
};

// Ends training after `patience` epochs in a row that were no better; with restore_best, the weights become those of
// the best epoch.
class EarlyStopping final : public Callback {
 public:
  explicit EarlyStopping(PlateauOptions options = {}, bool restore_best = false)
      : options_(std::move(options)), restore_best_(restore_best) {}
  void on_train_begin(Model&) override;
  void on_epoch_end(Model& model, const EpochLogs& logs) override;

 private:
  PlateauOptions options_;
  bool restore_best_;
  std::optional<double> best_;
  int waited_ = 0;
  std::map<std::string, Tensor> best_weights_;
};

// Multiplies the learning rate by `factor` after `patience` epochs in a row that were no better.
class ReduceLearningRateOnPlateau final : public Callback {
 public:
  explicit ReduceLearningRateOnPlateau(double factor = 0.1, PlateauOptions options = {})
      : factor_(factor), options_(std::move(options)) {}
  void on_train_begin(Model&) override;
  void on_epoch_end(Model& model, const EpochLogs& logs) override;

 private:
  double factor_;
  PlateauOptions options_;
  std::optional<double> best_;
  int waited_ = 0;
};

// One row per epoch, written as soon as it is known: epoch, loss, metrics, validation, learning rate, seconds. With
// `append`, rows are added to those that are there. Throws std::runtime_error where the file cannot be written.
class CsvLog final : public Callback {
 public:
  explicit CsvLog(std::string path, bool append = false) : path_(std::move(path)), append_(append) {}
  void on_train_begin(Model&) override;
  void on_epoch_end(Model&, const EpochLogs& logs) override;

 private:
  std::string path_;
  bool append_;
  std::ofstream file_;
};

// The learning rate of each step.
class LearningRateLog final : public Callback {
 public:
  void on_step_end(Model&, const StepLogs& logs) override { rates.push_back(logs.learning_rate); }
  std::vector<double> rates;
};

}  // namespace skua
