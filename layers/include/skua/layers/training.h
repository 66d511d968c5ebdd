// How a model is compiled and trained: options, logs, reports. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "skua/engine/session.h"
#include "skua/graph/passes.h"
#include "skua/layers/dataset.h"
#include "skua/layers/losses.h"
#include "skua/layers/optimizers.h"

namespace skua {

class Callback;

struct CompileOptions {
  Optimizer optimizer = Adam();
  Loss loss = SparseCategoricalCrossentropy();
  std::vector<Metric> metrics = {};  // none: those of the loss
  LearningRateSchedule schedule = schedules::constant();
  std::string devices = "cpu";  // see open_devices
  std::string policy = "auto";  // one of policies()
  double plan_seconds = 10;     // the planner's time budget
  // Steps go on while a plan is made anew, and which of them is the first under it depends on the clock (their results
  // do not); else they wait for it.
  bool plan_in_background = true;
  std::string plan_file = "";     // for the policy "replay"
  std::string stealing = "cost";  // one of steal_rule_names()
  // Parts of a batch that gradients are summed over: part of the numerics. 0: the count with the best simulated step
  // (choose_micro_batches), kept as long as the batch size stays.
  int micro_batches = 0;
  std::uint64_t seed = 0;         // of first weights, of dropout and noise, and of the order of samples
  std::string profile_file = "";  // measured times: read where the file exists, written after fit
  // A step that fails at whatever moment leaves the weights as they were, so that a lost device costs no more than the
  // step's repetition, and a stop ends within a step. Each update then saves what it changes, which takes memory as
  // large as weights and optimizer state, and 3 to 8 % of a step where updates are large. Without it, that holds until
  // the first update of the step has begun.
  bool recover = false;
  // Once a plan by measured times is taken up, or at once where the plan is a file's, the devices record a step and
  // replay it: less to do for the host, but no trace, no measured costs and no new plan from then on. For CUDA devices,
  // with stealing "none" and without `recover`.
  bool record_steps = false;
  // How gradients are summed across memories, one of collectives_names(). "nccl" is for CUDA devices of one GPU each,
  // with stealing "none", and gives the same bits only under the same plan. See SessionOptions::collectives.
  std::string collectives = "fixed_tree";
  // Graph passes that rewrite the model's graphs (skua/graph/passes.h), by name; their sums may round differently.
  std::vector<std::string> passes = pass_names();
  Constraints constraints =
      {};  // on the plan of training steps; layers by name, or single nodes ("conv1.weight.update")
};

using MetricValues = std::map<std::string, double>;  // by the metric's name

struct EpochLogs {
  int epoch = 0;  // from 1, over all calls of fit
  std::int64_t samples = 0;
  double loss = 0;            // mean over the epoch's batches, each before its update
  MetricValues metrics = {};  // likewise
  std::optional<double> validation_loss = std::nullopt;
  MetricValues validation_metrics = {};
  double learning_rate = 0;  // of the last step
  double seconds = 0;        // without validation

  // "loss", "validation_loss", "accuracy", "validation_accuracy", ...; throws std::invalid_argument where there is
  // none.
  [[nodiscard]] double value(const std::string& name) const;
};
using History = std::vector<EpochLogs>;

struct StepLogs {
  int epoch = 0;                    // from 1
  std::int64_t step = 0;            // from 1, in the epoch
  std::int64_t steps = 0;           // of the epoch
  double loss = 0;                  // mean of this batch
  double epoch_loss = 0;            // mean so far
  MetricValues epoch_metrics = {};  // so far
  double learning_rate = 0;
};

struct FitOptions {
  std::int64_t batch_size = 32;
  // Samples at the end of an epoch that do not fill a batch are left out of it. Otherwise they make a smaller batch,
  // cut into the largest number of equal micro-batches that is not above that of the others; its step has a graph, a
  // plan and memory of its own.
  bool drop_last = true;
  // Ends of epochs to reach: one that an earlier fit has begun, with batches of the same size, counts when it is done.
  int epochs = 1;
  std::int64_t steps = 0;  // if above 0: train so many steps, whatever the epochs
  const Dataset* validation = nullptr;
  bool shuffle = true;
  std::vector<Callback*> callbacks = {};
  bool verbose = true;  // a ProgressBar
  int trace_steps = 0;  // keep the traces of so many last steps
  // Ends fit early: after the step under way, or with CompileOptions::recover within it, whose work is then lost. An
  // epoch that it cut short stands in the history with the steps that were done.
  std::stop_token stop = {};
};

struct Metrics {
  double loss = 0;  // mean over the samples
  MetricValues metrics = {};
  std::int64_t samples = 0;

  [[nodiscard]] double metric(const std::string& name) const;  // throws std::invalid_argument where there is none
};

// How the last fit ran, up to its last epoch. Times are seconds of one step, from its first task to its last.
struct TrainingReport {
  Plan plan;                         // the last one that was taken up
  int plans_made = 0;                // also of those that were no better than the one before
  bool measured_costs = false;       // the prediction is by times that were measured in this fit
  double lower_bound_seconds = 0;    // of any plan, by the same times
  double median_step_seconds = 0;    // measured, since the last plan, while no other was being made
  std::int64_t steps = 0;            // of this fit
  double seconds = 0;                // of this fit, validation left out
  double final_loss = 0;             // mean of the last batch
  std::int64_t steals = 0;           // over all steps
  double bytes_copied = 0;           // over all steps
  std::string device_warning;        // what the devices lack, since compile; mostly nothing
  std::vector<std::string> devices;  // names; the next two are by device
  std::vector<double> utilization;   // mean busy share of these steps; 0 where they were replayed
  std::vector<double> peak_bytes;    // of the device's memory; devices in one memory share it
  // Devices that failed in this fit, each with the step and the error: "cpu:1 in step 12: ...". That step ran again on
  // the others, with the same bits; the figures by device are of those that are left.
  std::vector<std::string> lost_devices;
  std::map<std::string, std::string> layer_devices;  // by layer: where the last plan puts its work, "cpu:0, cpu:1"
  std::vector<StepTrace> traces;                     // of the last steps, as FitOptions::trace_steps asks
  const Schedule* schedule = nullptr;                // of the traces; valid until the next fit
};

}  // namespace skua
