// skua train.
#include <fmt/format.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <stdexcept>

#include "command.h"
#include "interrupt.h"
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
  std::optional<std::int64_t> batch;  // as this and what follows is set, otherwise the model's
  std::string micro_batches = "auto";
  std::optional<int> epochs;
  std::int64_t steps = 0;
  std::uint64_t seed = 1;
  std::optional<double> learning_rate;
  std::string plan_file;
  std::string profile;
  std::vector<std::string> passes = pass_names();
  std::optional<Constraints> constraints;
  std::string checkpoint;
  bool resume = false;
  bool recover = false;
  bool record_steps = false;
  std::string collectives = "fixed_tree";
  std::string trace;
  std::string report;
  std::string metrics;
  std::string samples;
  bool json = false;
};

constexpr int kTraceSteps = 3;

// Says what is trained on what, once the options have proved right.
class Opening final : public Callback {
 public:
  explicit Opening(std::string text) : text_(std::move(text)) {}
  void on_train_begin(Model&) override { fmt::print(stderr, "{}\n", text_); }

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
  expect_writable_folder("--samples", options.samples);
}

nlohmann::json by_device(const TrainingReport& report, const std::vector<double>& values) {
  nlohmann::json object = nlohmann::json::object();
  for (std::size_t d = 0; d < values.size(); ++d) object[report.devices[d]] = values[d];
  return object;
}

// A finished training and what is said about it.
struct Run {
  const Options& options;
  const Model& model;
  const History& history;
  std::string data;
  std::string prediction;  // where the predicted step comes from
  std::vector<std::pair<std::string, double>> baselines;
};

// By name: "train_loss", "test_accuracy", ...
std::vector<std::pair<std::string, double>> values_of(const EpochLogs& logs) {
  std::vector<std::pair<std::string, double>> values{{"train_loss", logs.loss}};
  for (const auto& [name, value] : logs.metrics) values.emplace_back("train_" + name, value);
  if (logs.validation_loss) values.emplace_back("test_loss", *logs.validation_loss);
  for (const auto& [name, value] : logs.validation_metrics) values.emplace_back("test_" + name, value);
  return values;
}

nlohmann::json to_json(const Run& run) {
  const auto& [options, model, history, data, prediction, baselines] = run;
  const TrainingReport& report = model.report();
  nlohmann::json metrics = nlohmann::json::object();
  for (const auto& [name, value] : values_of(history.back())) metrics[name] = value;
  for (const auto& [name, value] : baselines) metrics[name] = value;
  return {{"model", options.model},
          {"data", data},
          {"devices", options.devices},
          {"policy", report.plan.policy},
          {"stealing", options.stealing},
          {"batch", *options.batch},
          {"micro_batches", report.plan.micro_batches},
          {"epochs", history.size()},
          {"steps", report.steps},
          {"seed", model.options().seed},
          {"final_loss", report.final_loss},
          {"metrics", metrics},
          {"weights_sha256", model.weights_sha256()},
          {"seconds", report.seconds},
          {"median_step_ms", report.median_step_seconds * 1e3},
          {"predicted_step_ms", report.plan.predicted_seconds * 1e3},
          {"predicted_by", prediction},
          {"lower_bound_ms", report.lower_bound_seconds * 1e3},
          {"plans_made", report.plans_made},
          {"lost_devices", report.lost_devices},
          {"device_warning", report.device_warning},
          {"steals", report.steals},
          {"bytes_copied", report.bytes_copied},
          {"peak_bytes", by_device(report, report.peak_bytes)},
          {"utilization", by_device(report, report.utilization)},
          {"machine", machine_description()}};
}

std::vector<std::pair<std::string, std::string>> figures(const Run& run) {
  const auto& [options, model, history, data, prediction, baselines] = run;
  const TrainingReport& report = model.report();
  const double gap = report.plan.predicted_seconds / report.lower_bound_seconds - 1;
  std::vector<std::pair<std::string, std::string>> rows = {
      {"data", data},
      {"weights", "sha256 " + model.weights_sha256()},
      {"policy", fmt::format("{}, {} micro-batches of {}, stealing {}", report.plan.policy, report.plan.micro_batches,
                             *options.batch / report.plan.micro_batches, options.stealing)},
      {"step", milliseconds(report.median_step_seconds) + " measured (median)"},
      {"predicted",
       fmt::format("{} ({}), {:.1f} % above the lower bound {}", milliseconds(report.plan.predicted_seconds),
                   prediction, gap * 100, milliseconds(report.lower_bound_seconds))},
      {"steps", fmt::format("{} in {:.1f} s, {} tasks stolen, {} copied, {} plans made", report.steps, report.seconds,
                            report.steals, megabytes(report.bytes_copied), report.plans_made)},
  };
  for (const auto& [name, value] : history.back().validation_metrics) {
    const bool share = name.ends_with("accuracy");
    rows.emplace_back("test " + name, share ? fmt::format("{:.2f} %", value * 100) : fmt::format("{:.4f}", value));
  }
  for (const auto& [name, value] : baselines) rows.emplace_back(name, fmt::format("{:.4f}", value));
  for (std::size_t d = 0; d < report.devices.size(); ++d) {
    rows.emplace_back(report.devices[d], fmt::format("{:.1f} % busy, {} of planned memory", report.utilization[d] * 100,
                                                     megabytes(report.peak_bytes[d])));
  }
  return rows;
}

void write_page(const Run& run, const std::vector<std::pair<std::string, std::string>>& rows) {
  Report page{"Skua: training " + run.options.model, "measured", rows, {}};
  ReportCurve loss{"Loss", "epoch", "mean loss", {{"train", {}}, {"test", {}}}};
  std::map<std::string, ReportCurve> metrics;
  for (const EpochLogs& logs : run.history) {
    loss.series[0].second.emplace_back(logs.epoch, logs.loss);
    if (logs.validation_loss) loss.series[1].second.emplace_back(logs.epoch, *logs.validation_loss);
    for (const auto& [name, value] : logs.metrics) {
      ReportCurve& curve =
          metrics.try_emplace(name, ReportCurve{name, "epoch", name, {{"train", {}}, {"test", {}}}}).first->second;
      curve.series[0].second.emplace_back(logs.epoch, value);
      const auto validation = logs.validation_metrics.find(name);
      if (validation != logs.validation_metrics.end()) {
        curve.series[1].second.emplace_back(logs.epoch, validation->second);
      }
    }
  }
  page.curves = {loss};
  for (const auto& [name, curve] : metrics) page.curves.push_back(curve);
  const TrainingReport& report = run.model.report();
  if (!report.traces.empty()) {
    page.timelines.push_back({"One step, " + page.source, report.schedule, &report.traces.back()});
  }
  write_report(page, run.options.report);
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
  const models::Recipe& recipe = models::recipe(options.model);
  if (!recipe.data) {
    throw std::invalid_argument(fmt::format("[train] expected a model with data, got {}", options.model));
  }
  options.batch = options.batch.value_or(recipe.batch_size);
  Model model = recipe.make();
  CompileOptions compile = recipe.compile;
  if (options.learning_rate) compile.optimizer.learning_rate = *options.learning_rate;
  compile.devices = options.devices;
  compile.policy = options.policy;
  compile.plan_seconds = options.plan_seconds;
  compile.plan_file = options.plan_file;
  compile.stealing = options.stealing;
  compile.micro_batches = micro_batches_of(options.micro_batches);
  compile.seed = options.seed;
  compile.recover = options.recover;
  compile.record_steps = options.record_steps;
  compile.collectives = options.collectives;
  compile.profile_file = options.profile;
  compile.passes = options.passes;
  compile.constraints = options.constraints.value_or(Constraints());
  model.compile(compile);
  if (const std::string& warning = model.report().device_warning; !warning.empty()) {
    fmt::print(stderr, "warning: {}\n", warning);
  }
  if (options.resume) model.load_checkpoint(options.checkpoint);
  const models::Data made = recipe.data(options.data);
  const DatasetPair& data = made.pair;
  const std::string description = data.train->description();
  Opening opening(fmt::format("{} on {}, {} samples, {} test samples", options.model, description, data.train->size(),
                              data.test->size()));
  ProgressBar bar;
  FitOptions fit{.batch_size = *options.batch,
                 .epochs = options.epochs.value_or(recipe.epochs),
                 .steps = options.steps,
                 .validation = data.test.get(),
                 .callbacks = {&opening, &bar},
                 .verbose = false,
                 .trace_steps = kTraceSteps};
  std::unique_ptr<CsvLog> metrics;
  std::unique_ptr<ModelCheckpoint> checkpoint;
  if (!options.metrics.empty())
    fit.callbacks.push_back((metrics = std::make_unique<CsvLog>(options.metrics, options.resume)).get());
  if (!options.checkpoint.empty()) {
    fit.callbacks.push_back((checkpoint = std::make_unique<ModelCheckpoint>(options.checkpoint)).get());
    if (made.vocabulary) {
      std::filesystem::create_directories(options.checkpoint);
      made.vocabulary->save((std::filesystem::path(options.checkpoint) / "vocabulary.txt").string());
    }
  }
  std::unique_ptr<SampleGrid> samples;
  if (!options.samples.empty()) {
    if (recipe.makes != models::Makes::kImages) {
      throw std::invalid_argument(fmt::format("[--samples] expected a generator of images, got {}", options.model));
    }
    samples = std::make_unique<SampleGrid>(options.samples, model.sample_type().shape);
    fit.callbacks.push_back(samples.get());
  }
  const Interrupt interrupt;
  fit.stop = interrupt.token();
  const History history = model.fit(*data.train, fit);
  for (const std::string& lost : model.report().lost_devices) fmt::print(stderr, "device lost: {}\n", lost);
  if (history.empty()) throw std::runtime_error("stopped before the first step was done");
  const char* costs = model.report().measured_costs ? "measured" : profiled ? "profile" : "roofline";
  show({options, model, history, description, fmt::format("simulated: {}, {} costs", options.devices, costs),
        recipe.baselines ? recipe.baselines(data) : std::vector<std::pair<std::string, double>>()});
  if (fit.stop.stop_requested()) throw std::runtime_error("stopped before the end: the figures are of what was done");
}

}  // namespace

void add_train_command(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("train", "Train a model");
  const auto options = std::make_shared<Options>();
  add_model_argument(command, options->model);
  command.add_option("--data", options->data, "Folder with the model's data; without it, data that Skua makes");
  command
      .add_option("--devices", options->devices,
                  "cpu, cpu:N or cpu:NxT (N devices of T threads); where built with CUDA, cuda:0, cuda:0,1 or cuda:0/4 "
                  "(GPU 0 as 4 devices)")
      ->capture_default_str();
  add_policy_options(command, options->policy, options->plan_seconds);
  add_stealing_option(command, options->stealing);
  add_passes_option(command, options->passes);
  add_constraints_option(command, options->constraints);
  add_batch_options(command, options->batch, options->micro_batches);
  auto* epochs =
      command.add_option("--epochs", options->epochs, "Times through the data; otherwise as is usual for the model");
  command.add_option("--steps", options->steps, "Batches, instead of epochs")->excludes(epochs);
  command.add_option("--seed", options->seed, "Of first weights and of the order of samples")
      ->check(at_least(0))
      ->capture_default_str();
  command.add_option("--learning-rate", options->learning_rate, "Otherwise as is usual for the model");
  command.add_option("--plan", options->plan_file, "Follow this plan file (policy replay)");
  command.add_option("--profile", options->profile, "Measured times: read where the file exists, written at the end");
  command.add_option("--checkpoint", options->checkpoint, "Save a checkpoint into this folder after each epoch");
  command.add_flag("--recover", options->recover,
                   "Undo steps that fail: a lost device costs one step (takes 3 to 8 % of each)");
  command.add_flag("--record-steps", options->record_steps,
                   "CUDA devices: record a step and replay it, once times are measured (needs --stealing none)");
  command
      .add_option(
          "--collectives", options->collectives,
          "How gradients are summed across memories: fixed_tree (the same bits under every plan) or nccl (CUDA "
          "devices of one GPU each; other bits under another plan; needs --stealing none; simulated times do not "
          "know it)")
      ->capture_default_str();
  command.add_flag("--resume", options->resume, "Go on from the checkpoint, for the epochs or steps given");
  command.add_option("--trace", options->trace, "Write the last steps as Chrome trace events (opens in Perfetto)");
  command.add_option("--report", options->report, "Write an HTML report");
  command.add_option("--metrics", options->metrics, "Write one CSV row per epoch");
  command.add_option("--samples", options->samples, "Write a generator's images into this folder after each epoch");
  add_json_option(command, options->json);
  command.callback([options, &command] { train(*options, command); });
}

}  // namespace skua::cli
