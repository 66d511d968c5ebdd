// skua bench models: step times of four models, beside PyTorch's where its script is given, and where the time goes.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <memory>
#include <ranges>
#include <stdexcept>

#include "child_process.h"
#include "command.h"
#include "models/peer_models.h"
#include "skua/scheduler/median.h"
#include "step_profile.h"
#include "torch_peer.h"

namespace skua::cli {
namespace {

using models::PeerModel;

struct ModelsOptions {
  std::vector<std::string> models = {"cnn", "rnn", "lstm", "gan"};
  std::vector<std::string> passes = pass_names();
  std::vector<int> devices = {1, 2};
  int rounds = 5;
  int steps = 30;
  std::string peer;
  std::string python = "python3";
  std::string calibrate;
  std::string csv;
  int operators = 0;
  bool json = false;
};

struct Row {
  std::string model;
  std::int64_t batch = 0;
  int devices = 1;
  int micro_batches = 1;
  std::vector<double> skua_ms;  // by round
  std::vector<double> peer_ms;
  std::string peer_options;
  double peak_bytes = 0;          // resident, of a process that trains kFreshSteps
  double peer_peak_bytes = 0;     // the same of the peer
  double first_step_seconds = 0;  // of a process that trains one step, from its start to its end
  MachineLimits limits;
  StepProfile profile;

  [[nodiscard]] double median() const { return median_of(skua_ms); }
  [[nodiscard]] double ratio() const { return peer_ms.empty() ? 0 : median_of(peer_ms) / median(); }
};

// From the end of a step to the end of the next: what a user waits for.
class StepTimer final : public Callback {
 public:
  void on_train_begin(Model&) override { last_ = Clock::now(); }
  void on_step_end(Model&, const StepLogs&) override {
    const auto now = Clock::now();
    ms_.push_back(std::chrono::duration<double, std::milli>(now - last_).count());
    last_ = now;
  }
  // Without the first part, of plans that are still to be measured.
  [[nodiscard]] double median_ms() const {
    return median_of(std::vector<double>(ms_.begin() + static_cast<std::ptrdiff_t>(ms_.size() / 2), ms_.end()));
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_;
  std::vector<double> ms_;
};

CompileOptions compile_options(const PeerModel& model, int devices, const std::vector<std::string>& passes) {
  CompileOptions options = model.compile;
  options.devices = fmt::format("cpu:{}", devices);
  options.passes = passes;
  options.plan_in_background = false;  // a planner beside the steps would take a core from them
  return options;
}

// The model goes on from round to round, and keeps its plan's costs.
class Contender {
 public:
  Contender(const PeerModel& model, std::int64_t batch, const CompileOptions& options)
      : model_(model.make()), data_(model.data(batch)), batch_(batch) {
    model_.compile(options);
  }
  void fit(int steps, const std::vector<Callback*>& callbacks, int trace_steps) {
    model_.fit(
        *data_,
        {.batch_size = batch_, .steps = steps, .callbacks = callbacks, .verbose = false, .trace_steps = trace_steps});
  }
  void run(int steps, Row& row) {
    StepTimer timer;
    fit(2 * steps, {&timer}, 5);
    row.skua_ms.push_back(timer.median_ms());
    row.micro_batches = model_.report().plan.micro_batches;
  }
  [[nodiscard]] const TrainingReport& report() const { return model_.report(); }

 private:
  Model model_;
  std::shared_ptr<const Dataset> data_;
  std::int64_t batch_;
};

constexpr int kFreshSteps = 5;

ChildRun fresh_process(const Row& row, const ModelsOptions& options, int steps) {
  const std::string passes = options.passes.empty() ? "none" : fmt::format("{}", fmt::join(options.passes, ","));
  ChildRun child =
      run_child({own_program(), "bench", "model", row.model, "--batch", std::to_string(row.batch), "--devices",
                 std::to_string(row.devices), "--steps", std::to_string(steps), "--passes", passes});
  if (child.status != 0) throw std::runtime_error(fmt::format("[bench model] {}: {}", row.model, child.output));
  return child;
}

PeerRun peer_run(const Row& row, int steps) {
  return {row.model, row.batch, row.devices, steps};
}

// What processes of their own show.
Row begin(const PeerModel& model, std::int64_t batch, int devices, const ModelsOptions& options,
          const TorchPeer* peer) {
  Row row;
  row.model = model.name;
  row.batch = batch;
  row.devices = devices;
  row.peak_bytes = fresh_process(row, options, kFreshSteps).peak_bytes;
  row.first_step_seconds = fresh_process(row, options, 1).seconds;
  if (peer != nullptr) {
    row.peer_options = peer->fastest_options(peer_run(row, options.steps));
    row.peer_peak_bytes = peer->peak_bytes(peer_run(row, kFreshSteps), row.peer_options);
  }
  return row;
}

// Measures the row's operators in batches cut into several numbers of parts. Returns the file of their times.
std::string calibrated(const Row& row, const ModelsOptions& options) {
  const PeerModel& model = models::peer_model(row.model);
  CompileOptions compile = compile_options(model, row.devices, options.passes);
  compile.policy = "data_parallel";
  compile.profile_file = fmt::format("{}/{}_{}_cpu{}.json", options.calibrate, row.model, row.batch, row.devices);
  for (int count = 1; count <= 4 * row.devices; count *= 2) {
    if (row.batch % count != 0) continue;
    compile.micro_batches = count;
    Contender(model, row.batch, compile).fit(2 * static_cast<int>(CostModel::kMinSamples), {}, 0);
  }
  return compile.profile_file;
}

void measure(Row& row, const ModelsOptions& options, const TorchPeer* peer) {
  const PeerModel& model = models::peer_model(row.model);
  CompileOptions compile = compile_options(model, row.devices, options.passes);
  if (!options.calibrate.empty()) compile.profile_file = calibrated(row, options);
  Contender contender(model, row.batch, compile);
  for (int round = 0; round < options.rounds; ++round) {
    contender.run(options.steps, row);
    if (peer != nullptr) row.peer_ms.push_back(peer->median_ms(peer_run(row, options.steps), row.peer_options));
  }
  row.limits = machine_limits(row.devices);
  row.profile = profile_of(contender.report(), row.limits);
  fmt::print(stderr, "{}, batch {}, {} cores: {:.2f} ms\n", row.model, row.batch, row.devices, row.median());
}

nlohmann::json operators_json(const StepProfile& profile) {
  nlohmann::json list = nlohmann::json::array();
  for (const OperatorTime& time : profile.operators) {
    list.push_back({{"name", time.name},
                    {"type", time.type},
                    {"ms", time.seconds * 1e3},
                    {"gflop", time.flops / 1e9},
                    {"gbytes", time.bytes / 1e9},
                    {"floor_ms", time.floor_seconds * 1e3}});
  }
  return list;
}

nlohmann::json to_json(const Row& row) {
  nlohmann::json object = {{"model", row.model},
                           {"batch", row.batch},
                           {"devices", row.devices},
                           {"micro_batches", row.micro_batches},
                           {"median_step_ms", row.median()},
                           {"rounds_ms", row.skua_ms},
                           {"peak_bytes", row.peak_bytes},
                           {"first_step_seconds", row.first_step_seconds},
                           {"gflop_per_step", row.profile.flops / 1e9},
                           {"gbytes_per_step", row.profile.bytes / 1e9},
                           {"limit_gflops", row.limits.flops_per_second / 1e9},
                           {"limit_gbytes_per_second", row.limits.bytes_per_second / 1e9},
                           {"floor_ms", row.profile.floor_seconds * 1e3},
                           {"shares", row.profile.shares},
                           {"operators", operators_json(row.profile)}};
  if (row.peer_ms.empty()) return object;
  object["peer_median_step_ms"] = median_of(row.peer_ms);
  object["peer_rounds_ms"] = row.peer_ms;
  object["peer_peak_bytes"] = row.peer_peak_bytes;
  object["peer_options"] = row.peer_options;
  object["ratio"] = row.ratio();
  return object;
}

std::string percent(double share) {
  return fmt::format("{:.0f} %", 100 * share);
}

std::vector<std::vector<std::string>> table_of(const std::vector<Row>& rows) {
  std::vector<std::vector<std::string>> table{{"model", "batch", "cores", "M", "ms", "peer ms", "ratio", "GFLOP/s",
                                               "of matmul", "GB/s", "of copy", "floor ms", "of floor", "peak MB",
                                               "peer MB", "first step s"}};
  for (const Row& row : rows) {
    const bool peer = !row.peer_ms.empty();
    const double seconds = row.median() / 1e3;
    const double flops = row.profile.flops / seconds;
    const double bytes = row.profile.bytes / seconds;
    table.push_back(
        {row.model, fmt::format("{}", row.batch), fmt::format("{}", row.devices), fmt::format("{}", row.micro_batches),
         fmt::format("{:.2f}", row.median()), peer ? fmt::format("{:.2f}", median_of(row.peer_ms)) : "-",
         peer ? fmt::format("{:.2f}", row.ratio()) : "-", fmt::format("{:.1f}", flops / 1e9),
         percent(flops / row.limits.flops_per_second), fmt::format("{:.1f}", bytes / 1e9),
         percent(bytes / row.limits.bytes_per_second), fmt::format("{:.2f}", row.profile.floor_seconds * 1e3),
         percent(row.profile.floor_seconds / seconds), fmt::format("{:.0f}", row.peak_bytes / 1e6),
         peer ? fmt::format("{:.0f}", row.peer_peak_bytes / 1e6) : "-", fmt::format("{:.2f}", row.first_step_seconds)});
  }
  return table;
}

std::vector<std::vector<std::string>> shares_of(const std::vector<Row>& rows) {
  std::vector<std::vector<std::string>> table{{"model", "batch", "cores"}};
  table[0].insert(table[0].end(), step_kinds().begin(), step_kinds().end());
  for (const Row& row : rows) {
    table.push_back({row.model, fmt::format("{}", row.batch), fmt::format("{}", row.devices)});
    for (const std::string& kind : step_kinds()) {
      const auto found = row.profile.shares.find(kind);
      table.back().push_back(found == row.profile.shares.end() ? "-" : fmt::format("{:.1f} %", 100 * found->second));
    }
  }
  return table;
}

// Up to `count` operators that take longest, of each row.
std::vector<std::vector<std::string>> operators_of(const std::vector<Row>& rows, std::size_t count) {
  std::vector<std::vector<std::string>> table{
      {"model", "batch", "cores", "operator", "type", "ms", "of step", "GFLOP/s", "GB/s", "floor ms", "of floor"}};
  for (const Row& row : rows) {
    for (const OperatorTime& time : row.profile.operators | std::views::take(count)) {
      table.push_back({row.model, fmt::format("{}", row.batch), fmt::format("{}", row.devices), time.name, time.type,
                       fmt::format("{:.3f}", time.seconds * 1e3), percent(time.seconds * 1e3 / row.median()),
                       fmt::format("{:.1f}", time.flops / time.seconds / 1e9),
                       fmt::format("{:.1f}", time.bytes / time.seconds / 1e9),
                       fmt::format("{:.3f}", time.floor_seconds * 1e3), percent(time.floor_seconds / time.seconds)});
    }
  }
  return table;
}

void write_csv(const std::vector<std::vector<std::string>>& table, const std::string& path) {
  std::ofstream file(path);
  for (const auto& row : table) file << fmt::format("{}\n", fmt::join(row, ","));
  if (!file.flush()) throw std::runtime_error(fmt::format("[--csv] cannot write {}", path));
}

void bench_models(const ModelsOptions& options) {
  expect_writable("--csv", options.csv);
  std::optional<TorchPeer> peer;
  if (!options.peer.empty()) peer.emplace(options.python, options.peer);
  for (const std::string& name : options.models) static_cast<void>(models::peer_model(name));
  std::vector<Row> rows;
  for (const PeerModel& model : models::peer_models()) {
    if (std::ranges::find(options.models, model.name) == options.models.end()) continue;
    for (const std::int64_t batch : model.batches) {
      for (const int devices : options.devices) {
        rows.push_back(begin(model, batch, devices, options, peer ? &*peer : nullptr));
      }
    }
  }
  // Only now, since this process's own size would count as that of processes it starts.
  for (Row& row : rows) measure(row, options, peer ? &*peer : nullptr);
  if (!options.csv.empty()) write_csv(table_of(rows), options.csv);
  if (options.json) {
    nlohmann::json object = {{"bench", "models"},
                             {"rounds", options.rounds},
                             {"steps", options.steps},
                             {"calibrated", !options.calibrate.empty()},
                             {"machine", machine_description()},
                             {"rows", nlohmann::json::array()}};
    for (const Row& row : rows) object["rows"].push_back(to_json(row));
    return print_json(object);
  }
  print_machine();
  print_table(table_of(rows));
  fmt::print("\n");
  print_table(shares_of(rows));
  if (options.operators == 0) return;
  fmt::print("\n");
  print_table(operators_of(rows, static_cast<std::size_t>(options.operators)));
}

struct ModelOptions {
  std::string model;
  std::vector<std::string> passes = pass_names();
  std::int64_t batch = 32;
  int devices = 1;
  int steps = kFreshSteps;
};

}  // namespace

void add_bench_models_command(CLI::App& bench) {
  CLI::App& command = *bench.add_subcommand("models", "Step times of four models, beside PyTorch's");
  const auto options = std::make_shared<ModelsOptions>();
  add_list_option(command, "--models", options->models, "cnn, rnn, lstm, gan: PyTorch's shapes, dense Adam");
  add_device_counts_option(command, options->devices);
  add_passes_option(command, options->passes);
  command.add_option("--rounds", options->rounds, "Rounds of both sides in turn")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--steps", options->steps, "Steps a round that count")->check(at_least(3))->capture_default_str();
  command.add_option("--peer", options->peer, "A script that trains the same in PyTorch and prints RESULT lines");
  command.add_option("--python", options->python, "What starts that script")->capture_default_str();
  command.add_option("--operators", options->operators, "List so many operators of each row, the longest first")
      ->check(at_least(0))
      ->capture_default_str();
  command
      .add_option("--calibrate", options->calibrate,
                  "A folder: first measure the operators in several micro-batches, so that auto chooses by these times")
      ->check(CLI::ExistingDirectory);
  command.add_option("--csv", options->csv, "Write the table as CSV");
  add_json_option(command, options->json);
  command.callback([options] { bench_models(*options); });
}

void add_bench_model_command(CLI::App& bench) {
  CLI::App& command = *bench.add_subcommand("model", "Train one of them for a few steps: what bench models starts");
  command.group("");  // not in the help of bench
  const auto options = std::make_shared<ModelOptions>();
  command.add_option("MODEL", options->model, "cnn, rnn, lstm or gan")->required();
  command.add_option("--batch", options->batch, "Samples a step")->check(at_least(1))->capture_default_str();
  command.add_option("--devices", options->devices, "CPU devices")->check(at_least(1))->capture_default_str();
  command.add_option("--steps", options->steps, "Steps")->check(at_least(1))->capture_default_str();
  add_passes_option(command, options->passes);
  command.callback([options] {
    const PeerModel& model = models::peer_model(options->model);
    Contender(model, options->batch, compile_options(model, options->devices, options->passes))
        .fit(options->steps, {}, 0);
  });
}

}  // namespace skua::cli
