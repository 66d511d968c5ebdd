// skua train.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "command.h"
#include "skua/scheduler/report.h"

namespace skua::cli {
namespace {

struct Options {
  std::string model;
  std::string data;
  std::string devices = "cpu:2";
  std::string policy = "auto";
  double plan_seconds = 10;
  std::string stealing = "cost";
  std::int64_t batch = 128;
  std::string micro_batches = "auto";
  int epochs = 3;
  std::int64_t steps = 0;
  std::uint64_t seed = 1;
  double learning_rate = 1e-3;
  std::string plan_file;
  std::string profile;
  std::string checkpoint;
  bool resume = false;
  std::string trace;
  std::string report;
  std::string metrics;
  bool json = false;
};

constexpr int kTraceSteps = 3;

// One row per epoch, written as soon as it is known. Resumed training adds to the rows that are there.
class MetricsFile final : public Callback {
 public:
  MetricsFile(std::string path, bool resume) : path_(std::move(path)), resume_(resume) {}
  void on_train_begin(Sequential&) override {
    file_.open(path_, resume_ ? std::ios::app : std::ios::trunc);
    if (file_.tellp() == 0) file_ << "epoch,loss,accuracy,test_loss,test_accuracy,seconds\n" << std::flush;
  }
  void on_epoch_end(Sequential&, const EpochLogs& logs) override {
    file_ << fmt::format("{},{},{},{},{},{}\n", logs.epoch, logs.loss, logs.accuracy, *logs.validation_loss,
                         *logs.validation_accuracy, logs.seconds)
          << std::flush;
    if (!file_) throw std::runtime_error(fmt::format("cannot write the metrics file {}", path_));
  }

 private:
  std::string path_;
  bool resume_;
  std::ofstream file_;
};

// Says what is trained on what, once the options have proved right.
class Opening final : public Callback {
 public:
  explicit Opening(std::string text) : text_(std::move(text)) {}
  void on_train_begin(Sequential&) override { fmt::print(stderr, "{}\n", text_); }

 private:
  std::string text_;
};

void check(const Options& options, const CLI::App& command) {
  if (options.resume && options.checkpoint.empty()) {
    throw std::invalid_argument("[--resume] expected --checkpoint DIR beside it, got none");
  }
  if (command.count("--steps") > 0 && options.steps < 1) {
    throw std::invalid_argument(fmt::format("[--steps] expected 1 or more, got {}", options.steps));
  }
  expect_writable("--trace", options.trace);
  expect_writable("--report", options.report);
  expect_writable("--metrics", options.metrics);
  expect_writable("--profile", options.profile);
  expect_writable_folder("--checkpoint", options.checkpoint);
}

nlohmann::json by_device(const TrainingReport& report, const std::vector<double>& values) {
  nlohmann::json object = nlohmann::json::object();
  for (std::size_t d = 0; d < values.size(); ++d) object[report.devices[d]] = values[d];
  return object;
}

// A finished training and what is said about it.
struct Run {
  const Options& options;
  const Sequential& model;
  const History& history;
  std::string data;
  std::string prediction;  // where the predicted step comes from
};

nlohmann::json to_json(const Run& run) {
  const auto& [options, model, history, data, prediction] = run;
  const TrainingReport& report = model.report();
  const EpochLogs& last = history.back();
  return {{"model", options.model},
          {"data", data},
          {"devices", options.devices},
          {"policy", report.plan.policy},
          {"stealing", options.stealing},
          {"batch", options.batch},
          {"micro_batches", report.plan.micro_batches},
          {"epochs", history.size()},
          {"steps", report.steps},
          {"seed", model.options().seed},
          {"final_loss", report.final_loss},
          {"metrics",
           {{"train_loss", last.loss},
            {"train_accuracy", last.accuracy},
            {"test_loss", *last.validation_loss},
            {"test_accuracy", *last.validation_accuracy}}},
          {"weights_sha256", model.weights_sha256()},
          {"seconds", report.seconds},
          {"median_step_ms", report.median_step_seconds * 1e3},
          {"predicted_step_ms", report.plan.predicted_seconds * 1e3},
          {"predicted_by", prediction},
          {"lower_bound_ms", report.lower_bound_seconds * 1e3},
          {"plans_made", report.plans_made},
          {"steals", report.steals},
          {"bytes_copied", report.bytes_copied},
          {"peak_bytes", by_device(report, report.peak_bytes)},
          {"utilization", by_device(report, report.utilization)},
          {"machine", machine_description()}};
}

std::vector<std::pair<std::string, std::string>> figures(const Run& run) {
  const auto& [options, model, history, data, prediction] = run;
  const TrainingReport& report = model.report();
  const double gap = report.plan.predicted_seconds / report.lower_bound_seconds - 1;
  std::vector<std::pair<std::string, std::string>> rows = {
      {"data", data},
      {"test accuracy", fmt::format("{:.2f} %", *history.back().validation_accuracy * 100)},
      {"weights", "sha256 " + model.weights_sha256()},
      {"policy", fmt::format("{}, {} micro-batches of {}, stealing {}", report.plan.policy, report.plan.micro_batches,
                             options.batch / report.plan.micro_batches, options.stealing)},
      {"step", milliseconds(report.median_step_seconds) + " measured (median)"},
      {"predicted",
       fmt::format("{} ({}), {:.1f} % above the lower bound {}", milliseconds(report.plan.predicted_seconds),
                   prediction, gap * 100, milliseconds(report.lower_bound_seconds))},
      {"steps", fmt::format("{} in {:.1f} s, {} tasks stolen, {} copied, {} plans made", report.steps, report.seconds,
                            report.steals, megabytes(report.bytes_copied), report.plans_made)},
  };
  for (std::size_t d = 0; d < report.devices.size(); ++d) {
    rows.emplace_back(report.devices[d], fmt::format("{:.1f} % busy, {} of planned memory", report.utilization[d] * 100,
                                                     megabytes(report.peak_bytes[d])));
  }
  return rows;
}

void write_page(const Run& run, const std::vector<std::pair<std::string, std::string>>& rows) {
  Report page{"Skua: training " + run.options.model, "measured", rows, {}};
  ReportCurve loss{"Loss", "epoch", "mean loss per sample", {{"train", {}}, {"test", {}}}};
  ReportCurve accuracy{"Accuracy", "epoch", "share of right answers", {{"train", {}}, {"test", {}}}};
  for (const EpochLogs& logs : run.history) {
    loss.series[0].second.emplace_back(logs.epoch, logs.loss);
    loss.series[1].second.emplace_back(logs.epoch, *logs.validation_loss);
    accuracy.series[0].second.emplace_back(logs.epoch, logs.accuracy);
    accuracy.series[1].second.emplace_back(logs.epoch, *logs.validation_accuracy);
  }
  page.curves = {loss, accuracy};
  const TrainingReport& report = run.model.report();
  write_report(page, report.schedule, report.traces.empty() ? nullptr : &report.traces.back(), run.options.report);
}

void show(const Run& run) {
  const Options& options = run.options;
  const TrainingReport& report = run.model.report();
  const auto rows = figures(run);
  if (!options.trace.empty()) write_chrome_trace(*report.schedule, report.traces, "measured", options.trace);
  if (!options.report.empty()) write_page(run, rows);
  if (options.json) return print_json(to_json(run));
  std::vector<std::vector<std::string>> table;
  for (const auto& [name, value] : rows) table.push_back({name, value});
  print_table(table);
}

void train(Options options, const CLI::App& command) {
  check(options, command);
  follow_plan_file(command, options.plan_file, options.policy);
  const bool profiled = !options.profile.empty() && std::filesystem::exists(options.profile);
  Sequential model = make_model(options.model);
  model.compile({.optimizer = Adam(options.learning_rate),
                 .devices = options.devices,
                 .policy = options.policy,
                 .plan_seconds = options.plan_seconds,
                 .plan_file = options.plan_file,
                 .stealing = options.stealing,
                 .micro_batches = micro_batches_of(options.micro_batches),
                 .seed = options.seed,
                 .profile_file = options.profile});
  if (options.resume) model.load_checkpoint(options.checkpoint);
  const DatasetPair data = options.data.empty() ? datasets::synthetic_digits() : datasets::mnist(options.data);
  const std::string description = data.train->description();
  Opening opening(fmt::format("{} on {}, {} samples, {} test samples", options.model, description, data.train->size(),
                              data.test->size()));
  ProgressBar bar;
  FitOptions fit{.batch_size = options.batch,
                 .epochs = options.epochs,
                 .steps = options.steps,
                 .validation = data.test.get(),
                 .callbacks = {&opening, &bar},
                 .verbose = false,
                 .trace_steps = kTraceSteps};
  std::unique_ptr<MetricsFile> metrics;
  std::unique_ptr<ModelCheckpoint> checkpoint;
  if (!options.metrics.empty())
    fit.callbacks.push_back((metrics = std::make_unique<MetricsFile>(options.metrics, options.resume)).get());
  if (!options.checkpoint.empty()) {
    fit.callbacks.push_back((checkpoint = std::make_unique<ModelCheckpoint>(options.checkpoint)).get());
  }
  const History history = model.fit(*data.train, fit);
  const char* costs = model.report().plans_made > 1 ? "measured" : profiled ? "profile" : "roofline";
  show({options, model, history, description, fmt::format("simulated: {}, {} costs", options.devices, costs)});
}

}  // namespace

void add_train_command(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("train", "Train a model");
  const auto options = std::make_shared<Options>();
  add_model_argument(command, options->model);
  command.add_option("--data", options->data, "Folder with MNIST's four files; without it, digits that Skua draws");
  command.add_option("--devices", options->devices, "cpu, cpu:N or cpu:NxT (N devices of T threads)")
      ->capture_default_str();
  add_policy_options(command, options->policy, options->plan_seconds);
  add_stealing_option(command, options->stealing);
  add_batch_options(command, options->batch, options->micro_batches);
  auto* epochs = command.add_option("--epochs", options->epochs, "Times through the data")->capture_default_str();
  command.add_option("--steps", options->steps, "Batches, instead of epochs")->excludes(epochs);
  command.add_option("--seed", options->seed, "Of first weights and of the order of samples")
      ->check(at_least(0))
      ->capture_default_str();
  command.add_option("--learning-rate", options->learning_rate, "Adam's")->capture_default_str();
  command.add_option("--plan", options->plan_file, "Follow this plan file (policy replay)");
  command.add_option("--profile", options->profile, "Measured times: read where the file exists, written at the end");
  command.add_option("--checkpoint", options->checkpoint, "Save a checkpoint into this folder after each epoch");
  command.add_flag("--resume", options->resume, "Go on from the checkpoint, for the epochs or steps given");
  command.add_option("--trace", options->trace, "Write the last steps as Chrome trace events (opens in Perfetto)");
  command.add_option("--report", options->report, "Write an HTML report");
  command.add_option("--metrics", options->metrics, "Write one CSV row per epoch");
  add_json_option(command, options->json);
  command.callback([options, &command] { train(*options, command); });
}

}  // namespace skua::cli
