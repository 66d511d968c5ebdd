// skua bench: measurements on this machine, the sides interleaved in one run.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <stdexcept>

#include "command.h"
#include "skua/scheduler/median.h"
#include "skua/scheduler/report.h"

namespace skua::cli {
namespace {

struct Options {
  std::string model;
  std::vector<int> devices = {1, 2};
  std::optional<std::int64_t> batch;  // otherwise the model's
  std::string micro_batches = "auto";
  std::string policy = "auto";
  double plan_seconds = 10;
  std::string stealing = "cost";
  std::int64_t steps = 60;
  int repeats = 5;
  std::string report;
  bool json = false;
};

// Wall-clock seconds from the end of one step to the end of the next: reading the batch and all else included.
class StepTimer final : public Callback {
 public:
  void on_train_begin(Model&) override { last_ = Clock::now(); }
  void on_step_end(Model&, const StepLogs&) override {
    const auto now = Clock::now();
    seconds.push_back(std::chrono::duration<double>(now - last_).count());
    last_ = now;
  }
  std::vector<double> seconds;

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point last_;
};

struct Side {
  int devices = 1;
  Model model;
  std::vector<double> step_seconds;  // medians by repeat, wall clock
};

// Each repeat trains every side in turn, so that a slower moment of the machine meets all of them.
std::vector<Side> measure(Options& options) {
  const auto largest = std::max_element(options.devices.begin(), options.devices.end());
  const models::Recipe& recipe = models::recipe(options.model);
  if (!recipe.data) throw std::invalid_argument(fmt::format("[bench] expected a model with data, got {}", recipe.name));
  const std::int64_t batch = options.batch.value_or(recipe.batch_size);
  options.batch = batch;
  CompileOptions compile = recipe.compile;
  compile.policy = options.policy;
  compile.plan_seconds = options.plan_seconds;
  compile.stealing = options.stealing;
  compile.plan_in_background = false;  // no planner beside the steps that are timed
  int micro_batches = micro_batches_of(options.micro_batches);
  if (micro_batches == 0) {
    const DeviceSet most = open_devices(fmt::format("cpu:{}", *largest));
    micro_batches = choose_micro_batches(recipe.make(), compile, batch, most.cluster, CostModel(), &most);
  }
  compile.micro_batches = micro_batches;
  const DatasetPair data = recipe.data("").pair;
  std::vector<Side> sides;
  for (int count : options.devices) {
    sides.push_back({count, recipe.make(), {}});
    compile.devices = fmt::format("cpu:{}", count);
    sides.back().model.compile(compile);
  }
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    for (Side& side : sides) {
      StepTimer timer;
      side.model.fit(*data.train,
                     {.batch_size = batch, .steps = options.steps, .callbacks = {&timer}, .verbose = false});
      side.step_seconds.push_back(median_of(timer.seconds));
      fmt::print(stderr, "repeat {}: cpu:{} {}\n", repeat + 1, side.devices, milliseconds(side.step_seconds.back()));
    }
  }
  return sides;
}

nlohmann::json head(const Options& options, const std::vector<Side>& sides) {
  return {{"bench", "speedup"},
          {"model", options.model},
          {"batch", *options.batch},
          {"micro_batches", sides.front().model.report().plan.micro_batches},
          {"policy", options.policy},
          {"stealing", options.stealing},
          {"steps", options.steps},
          {"repeats", options.repeats},
          {"machine", machine_description()},
          {"results", nlohmann::json::array()}};
}

void speedup(Options options) {
  expect_writable("--report", options.report);
  const std::vector<Side> sides = measure(options);
  nlohmann::json object = head(options, sides);
  std::vector<std::vector<std::string>> rows{{"devices", "step (median)", "speed-up", "speed-up by repeat", "plan"}};
  ReportCurve curve{"Speed-up", "devices", "speed-up over the first row", {{"measured", {}}, {"ideal", {}}}};
  for (const Side& side : sides) {
    std::vector<double> ratios;
    for (std::size_t r = 0; r < side.step_seconds.size(); ++r) {
      ratios.push_back(sides.front().step_seconds[r] / side.step_seconds[r]);
    }
    const double ratio = median_of(ratios);
    object["results"].push_back({{"devices", fmt::format("cpu:{}", side.devices)},
                                 {"median_step_ms", median_of(side.step_seconds) * 1e3},
                                 {"speedup", ratio},
                                 {"speedup_by_repeat", ratios},
                                 {"policy", side.model.report().plan.policy}});
    rows.push_back({fmt::format("cpu:{}", side.devices), milliseconds(median_of(side.step_seconds)),
                    fmt::format("{:.3f}", ratio), fmt::format("{:.3f}", fmt::join(ratios, " ")),
                    side.model.report().plan.policy});
    curve.series[0].second.emplace_back(side.devices, ratio);
    curve.series[1].second.emplace_back(side.devices, static_cast<double>(side.devices) / sides.front().devices);
  }
  if (!options.report.empty()) {
    Report page{.title = "Skua: speed-up of " + options.model, .source = "measured", .curves = {curve}};
    for (const auto& row : rows) page.figures.emplace_back(row[0], fmt::format("{}, {}", row[1], row[2]));
    write_report(page, options.report);
  }
  if (options.json) return print_json(object);
  fmt::print("{}, batch {} in {} micro-batches\n", options.model, *options.batch, object["micro_batches"].get<int>());
  print_machine();
  print_table(rows);
}

}  // namespace

void add_bench_command(CLI::App& program) {
  CLI::App& bench = *program.add_subcommand("bench", "Measure on this machine, or simulate");
  bench.require_subcommand(1);
  CLI::App& command = *bench.add_subcommand("speedup", "Steps on several devices against the first count");
  const auto options = std::make_shared<Options>();
  add_model_argument(command, options->model);
  add_device_counts_option(command, options->devices);
  add_batch_options(command, options->batch, options->micro_batches);
  add_policy_options(command, options->policy, options->plan_seconds);
  add_stealing_option(command, options->stealing);
  command.add_option("--steps", options->steps, "Of each side in each repeat")
      ->check(at_least(20))
      ->capture_default_str();
  command.add_option("--repeats", options->repeats, "Times that the sides take turns")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--report", options->report, "Write an HTML report");
  add_json_option(command, options->json);
  command.callback([options] { speedup(*options); });
  add_bench_fidelity_command(bench);
  add_bench_planning_command(bench);
  add_bench_policies_command(bench);
  add_bench_models_command(bench);
  add_bench_model_command(bench);
  add_bench_stealing_command(bench);
  add_bench_overhead_command(bench);
  add_bench_wakeup_command(bench);
}

}  // namespace skua::cli
