// What training is made of: losses, optimizers, options, logs and callbacks. Plain values but for the callbacks, which
// the caller owns.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "skua/engine/session.h"
#include "skua/layers/dataset.h"

namespace skua {

class Sequential;

// Appends the loss of one micro-batch: a scalar, the sum over its samples times `scale`.
struct Loss {
  std::function<ValueId(Graph& graph, ValueId prediction, ValueId labels, double scale)> build;
};
// -log softmax(prediction)[label]; the predictions are logits (N,classes).
struct SparseCategoricalCrossentropy : Loss {
  SparseCategoricalCrossentropy();
};

struct Optimizer {
  Op update;
  double learning_rate = 0;
};
// Kingma and Ba, ICLR 2015, in PyTorch's form; `rate` is the learning rate, as below.
struct Adam : Optimizer {
  explicit Adam(double rate = 1e-3, double beta1 = 0.9, double beta2 = 0.999, double epsilon = 1e-8);
};
struct SGD : Optimizer {
  explicit SGD(double rate = 1e-2, double momentum = 0);
};

struct CompileOptions {
  Optimizer optimizer = Adam();
  Loss loss = SparseCategoricalCrossentropy();
  std::string devices = "cpu";    // see open_devices
  std::string policy = "auto";    // one of policies()
  double plan_seconds = 10;       // the planner's time budget
  std::string plan_file = "";     // for the policy "replay"
  std::string stealing = "cost";  // one of steal_rule_names()
  // Parts of a batch that gradients are summed over: part of the numerics. 0: the count with the best simulated step
  // (choose_micro_batches), kept as long as the batch size stays.
  int micro_batches = 0;
  std::uint64_t seed = 0;         // of first weights and of the order of samples
  std::string profile_file = "";  // measured times: read where the file exists, written after fit
};

struct EpochLogs {
  int epoch = 0;  // from 1, over all calls of fit
  std::int64_t samples = 0;
  double loss = 0;      // mean per sample over the epoch's batches, each before its update
  double accuracy = 0;  // share of right answers, likewise
  std::optional<double> validation_loss = std::nullopt;
  std::optional<double> validation_accuracy = std::nullopt;
  double seconds = 0;  // without validation
};
using History = std::vector<EpochLogs>;

struct StepLogs {
  int epoch = 0;              // from 1
  std::int64_t step = 0;      // from 1, in the epoch
  std::int64_t steps = 0;     // of the epoch
  double loss = 0;            // mean per sample of this batch
  double epoch_loss = 0;      // mean so far
  double epoch_accuracy = 0;  // so far
};

// May read and set the model's weights, which are those of the last step, evaluate it and save checkpoints; not train,
// compile or change it.
class Callback {
 public:
  virtual ~Callback() = default;
  virtual void on_train_begin(Sequential&) {}
  virtual void on_step_end(Sequential&, const StepLogs&) {}
  virtual void on_epoch_end(Sequential&, const EpochLogs&) {}
  bool stop_training = false;  // set it to end training after this step
};

// Progress on standard error: a bar that is redrawn on a terminal, a line per epoch elsewhere.
class ProgressBar final : public Callback {
 public:
  void on_step_end(Sequential&, const StepLogs& logs) override;
  void on_epoch_end(Sequential&, const EpochLogs& logs) override;
};

// Saves a checkpoint after each epoch.
class ModelCheckpoint final : public Callback {
 public:
  explicit ModelCheckpoint(std::string directory) : directory_(std::move(directory)) {}
  void on_epoch_end(Sequential& model, const EpochLogs&) override;

 private:
  std::string directory_;
};

struct FitOptions {
  std::int64_t batch_size = 32;  // samples that do not fill a batch are left out of an epoch
  // Ends of epochs to reach: one that an earlier fit has begun, with batches of the same size, counts when it is done.
  int epochs = 1;
  std::int64_t steps = 0;  // if above 0: train so many steps, whatever the epochs
  const Dataset* validation = nullptr;
  bool shuffle = true;
  std::vector<Callback*> callbacks = {};
  bool verbose = true;  // a ProgressBar
  int trace_steps = 0;  // keep the traces of so many last steps
};

struct Metrics {
  double loss = 0;  // mean per sample
  double accuracy = 0;
  std::int64_t samples = 0;
};

// How the last fit ran, up to its last epoch. Times are seconds of one step, from its first task to its last.
struct TrainingReport {
  Plan plan;  // the last one; its prediction uses measured times where there are any
  int plans_made = 0;
  double lower_bound_seconds = 0;      // of any plan, by the same times
  double median_step_seconds = 0;      // measured, since the last plan
  std::int64_t steps = 0;              // of this fit
  double seconds = 0;                  // of this fit, validation left out
  double final_loss = 0;               // mean per sample of the last batch
  std::int64_t steals = 0;             // over all steps
  double bytes_copied = 0;             // over all steps
  std::vector<std::string> devices;    // names; the next two are by device
  std::vector<double> utilization;     // mean busy share of a step since the last plan
  std::vector<double> peak_bytes;      // of the device's memory; devices in one memory share it
  std::vector<StepTrace> traces;       // of the last steps, as FitOptions::trace_steps asks
  const Schedule* schedule = nullptr;  // of the traces; valid until the next fit
};

}  // namespace skua
