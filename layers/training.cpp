#include "skua/layers/training.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "skua/layers/sequential.h"

namespace skua {

SparseCategoricalCrossentropy::SparseCategoricalCrossentropy() {
  build = [](Graph& graph, ValueId prediction, ValueId labels, double scale) {
    return graph.add_node({"softmax_cross_entropy", {{"scale", scale}}}, {prediction, labels}, "loss").at(0);
  };
}

Adam::Adam(double rate, double beta1, double beta2, double epsilon)
    : Optimizer{{"adam_update", {{"beta1", beta1}, {"beta2", beta2}, {"epsilon", epsilon}}}, rate} {}

SGD::SGD(double rate, double momentum) : Optimizer{{"sgd_update", {{"momentum", momentum}}}, rate} {}

void ProgressBar::on_step_end(Sequential&, const StepLogs& logs) {
  static const bool terminal = isatty(STDERR_FILENO) == 1;
  constexpr std::int64_t kWidth = 24;
  const std::int64_t filled = logs.step * kWidth / logs.steps;
  const bool moved = filled != (logs.step - 1) * kWidth / logs.steps;
  if (!terminal || !moved) return;
  fmt::print(stderr, "\repoch {:>2} [{:=<{}}{:{}}] {}/{}  loss {:.4f}  accuracy {:.4f}", logs.epoch, "", filled, "",
             kWidth - filled, logs.step, logs.steps, logs.epoch_loss, logs.epoch_accuracy);
  std::fflush(stderr);
}

void ProgressBar::on_epoch_end(Sequential&, const EpochLogs& logs) {
  fmt::print(stderr, "{}epoch {:>2}: loss {:.4f}, accuracy {:.4f}", isatty(STDERR_FILENO) == 1 ? "\r\033[K" : "",
             logs.epoch, logs.loss, logs.accuracy);
  if (logs.validation_loss) {
    fmt::print(stderr, ", validation loss {:.4f}, accuracy {:.4f}", *logs.validation_loss, *logs.validation_accuracy);
  }
  fmt::print(stderr, "  ({:.1f} s)\n", logs.seconds);
}

void ModelCheckpoint::on_epoch_end(Sequential& model, const EpochLogs&) {
  model.save_checkpoint(directory_);
}

}  // namespace skua
