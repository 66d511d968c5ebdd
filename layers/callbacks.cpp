#include "skua/layers/callbacks.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <stdexcept>

#include "skua/layers/model.h"

namespace skua {
namespace {

using Clock = std::chrono::steady_clock;

// "loss 0.1234  accuracy 0.9876"
std::string listed(const std::string& prefix, double loss, const MetricValues& metrics, const char* gap) {
  std::string text = fmt::format("{}loss {:.4f}", prefix, loss);
  for (const auto& [name, value] : metrics) text += fmt::format("{}{}{} {:.4f}", gap, prefix, name, value);
  return text;
}

std::string clock_time(double seconds) {
  const auto whole = static_cast<std::int64_t>(seconds + 0.5);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

bool on_terminal() {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  return terminal;
}

// Whether `value` is better than the best so far, which it then becomes. What is not a number is not.
bool improves(double value, const PlateauOptions& options, std::optional<double>& best) {
  const double sign = options.larger_is_better ? -1 : 1;
  if (std::isnan(value) || (best && !(sign * value < sign * *best - options.min_delta))) return false;
  best = value;
  return true;
}

}  // namespace

void ProgressBar::on_step_end(Model&, const StepLogs& logs) {
  if (first_step_ == 0 || logs.epoch != epoch_) {
    start_ = Clock::now();
    first_step_ = logs.step;
    epoch_ = logs.epoch;
  }
  constexpr std::int64_t kWidth = 24;
  const std::int64_t filled = logs.step * kWidth / logs.steps;
  const bool moved = filled != (logs.step - 1) * kWidth / logs.steps;
  if (!on_terminal() || !moved) return;
  std::string left;
  if (logs.step > first_step_) {
    const double spent = std::chrono::duration<double>(Clock::now() - start_).count();
    left =
        clock_time(spent / static_cast<double>(logs.step - first_step_) * static_cast<double>(logs.steps - logs.step)) +
        " left";
  }
  fmt::print(stderr, "\r\033[Kepoch {:>2} [{:=<{}}{:{}}] {}/{}  {}  {}", logs.epoch, "", filled, "", kWidth - filled,
             logs.step, logs.steps, listed("", logs.epoch_loss, logs.epoch_metrics, "  "), left);
  std::fflush(stderr);
}

void ProgressBar::on_epoch_end(Model&, const EpochLogs& logs) {
  fmt::print(stderr, "{}epoch {:>2}: {}", on_terminal() ? "\r\033[K" : "", logs.epoch,
             listed("", logs.loss, logs.metrics, ", "));
  if (logs.validation_loss) {
    fmt::print(stderr, "; validation {}", listed("", *logs.validation_loss, logs.validation_metrics, ", "));
  }
  fmt::print(stderr, "  ({:.1f} s)\n", logs.seconds);
}

void ModelCheckpoint::on_epoch_end(Model& model, const EpochLogs& logs) {
  const PlateauOptions options{.monitor = monitor_, .larger_is_better = larger_is_better_};
  if (monitor_.empty() || improves(logs.value(monitor_), options, best_)) model.save_checkpoint(directory_);
}

void EarlyStopping::on_train_begin(Model&) {
  best_.reset();
  waited_ = 0;
}

void EarlyStopping::on_epoch_end(Model& model, const EpochLogs& logs) {
  if (improves(logs.value(options_.monitor), options_, best_)) {
    waited_ = 0;
    if (restore_best_) best_weights_ = model.weights();
  } else if (++waited_ >= options_.patience) {
    stop_training = true;
    if (restore_best_ && best_) model.set_weights(best_weights_);
  }
}

void ReduceLearningRateOnPlateau::on_train_begin(Model&) {
  best_.reset();
  waited_ = 0;
}

void ReduceLearningRateOnPlateau::on_epoch_end(Model& model, const EpochLogs& logs) {
  if (improves(logs.value(options_.monitor), options_, best_)) {
    waited_ = 0;
  } else if (++waited_ >= options_.patience) {
    waited_ = 0;
    model.scale_learning_rate(factor_);
  }
}

void CsvLog::on_train_begin(Model&) {
  file_.close();
  file_.open(path_, append_ ? std::ios::app : std::ios::trunc);
}

void CsvLog::on_epoch_end(Model&, const EpochLogs& logs) {
  std::string head = "epoch,loss";
  std::string row = fmt::format("{},{}", logs.epoch, logs.loss);
  const auto add = [&](const std::string& name, double value) {
    head += "," + name;
    row += fmt::format(",{}", value);
  };
  for (const auto& [name, value] : logs.metrics) add(name, value);
  if (logs.validation_loss) add("validation_loss", *logs.validation_loss);
  for (const auto& [name, value] : logs.validation_metrics) add("validation_" + name, value);
  add("learning_rate", logs.learning_rate);
  add("seconds", logs.seconds);
  if (file_.tellp() == 0) file_ << head << '\n';
  file_ << row << '\n' << std::flush;
  if (!file_) throw std::runtime_error(fmt::format("cannot write the metrics file {}", path_));
}

}  // namespace skua
