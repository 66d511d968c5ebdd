// skua plan, skua simulate.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "command.h"
#include "planning.h"
#include "skua/scheduler/median.h"
#include "skua/scheduler/report.h"

namespace skua::cli {
namespace {

struct PlanOptions {
  PlanRequest request;
  std::string out;
  bool placements = false;
  bool json = false;
};

struct SimulateOptions {
  PlanRequest request;
  std::string what;  // a model or a plan file
  std::string stealing = "none";
  double noise = 0;
  double cost_error = 0;
  std::vector<std::string> stragglers;
  int seeds = 1;
  std::string trace;
  std::string report;
  bool placements = false;
  bool json = false;
};

void make_plan_file(PlanOptions options, const CLI::App& command) {
  expect_writable("--out", options.out);
  follow_plan_file(command, options.request.plan_file, options.request.policy);
  const PlannedStep step(options.request);
  if (!options.out.empty()) save_plan(step.plan(), options.out);
  if (options.json) {
    nlohmann::json object = step.to_json(step.plan().predicted_seconds, options.placements);
    if (!options.out.empty()) object["out"] = options.out;
    return print_json(object);
  }
  auto rows = step.to_rows();
  rows.push_back(
      {"step", fmt::format("{} ({}), {:.1f} % above the lower bound", milliseconds(step.plan().predicted_seconds),
                           step.label(), step.gap_percent(step.plan().predicted_seconds))});
  print_table(rows);
}

// "cpu:1:2.5": the device, by name or number, takes 2.5 times as long.
Straggler straggler_of(const std::string& text, const Cluster& cluster) {
  const std::size_t colon = text.rfind(':');
  const double factor =
      colon == std::string::npos ? 0 : number_of(std::string_view(text).substr(colon + 1)).value_or(0);
  const std::string device = text.substr(0, colon);
  for (std::size_t d = 0; d < cluster.device_count(); ++d) {
    if (factor > 0 && std::isfinite(factor) && (cluster.devices()[d].name == device || std::to_string(d) == device)) {
      return {DeviceId(static_cast<std::int64_t>(d)), factor};
    }
  }
  throw std::invalid_argument(fmt::format(
      "[--straggler] expected DEVICE:FACTOR with a device of {} and a factor above 0, got '{}'", cluster.name(), text));
}

void check(const SimulateOptions& options) {
  const auto expect_share = [](const char* option, double value) {
    if (value >= 0 && value < 10) return;
    throw std::invalid_argument(fmt::format("[{}] expected a number in [0,10), got {}", option, value));
  };
  expect_share("--noise", options.noise);
  expect_share("--cost-error", options.cost_error);
  expect_writable("--trace", options.trace);
  expect_writable("--report", options.report);
}

struct Outcome {
  std::vector<double> seconds;  // sorted
  std::vector<int> steals;      // likewise
  StepTrace first;              // of the first seed
  [[nodiscard]] double median() const { return median_of(seconds); }
};

Outcome simulate_seeds(const SimulateOptions& options, const PlannedStep& step) {
  const auto rule = make_steal_rule(options.stealing);
  SimulationOptions simulation{.steal_rule = rule.get(), .noise = options.noise, .cost_error = options.cost_error};
  for (const std::string& text : options.stragglers) {
    simulation.stragglers.push_back(straggler_of(text, step.cluster()));
  }
  Outcome outcome;
  for (int seed = 0; seed < options.seeds; ++seed) {
    simulation.seed = static_cast<std::uint64_t>(seed);
    StepTrace trace = simulate(step.schedule(), step.costs(), simulation);
    outcome.seconds.push_back(trace.seconds);
    outcome.steals.push_back(summarize(step.schedule(), trace).steals);
    if (seed == 0) outcome.first = std::move(trace);
  }
  std::sort(outcome.seconds.begin(), outcome.seconds.end());
  std::sort(outcome.steals.begin(), outcome.steals.end());
  return outcome;
}

void run_simulation(SimulateOptions options, const CLI::App& command) {
  check(options);
  const auto names = models::names();
  if (std::find(names.begin(), names.end(), options.what) != names.end()) {
    options.request.model = options.what;
  } else if (std::filesystem::is_regular_file(options.what)) {
    options.request.plan_file = options.what;
    follow_plan_file(command, options.what, options.request.policy);
  } else {
    throw std::invalid_argument(
        fmt::format("[simulate] expected a model ({}) or a plan file, got '{}'", fmt::join(names, ", "), options.what));
  }
  const PlannedStep step(options.request);
  const Outcome outcome = simulate_seeds(options, step);
  if (!options.trace.empty()) write_chrome_trace(step.schedule(), {outcome.first}, step.label(), options.trace);
  auto rows = step.to_rows();
  rows.push_back({"step", fmt::format("{} median, {} to {} over {} seeds ({}), {:.1f} % above the lower bound",
                                      milliseconds(outcome.median()), milliseconds(outcome.seconds.front()),
                                      milliseconds(outcome.seconds.back()), options.seeds, step.label(),
                                      step.gap_percent(outcome.median()))});
  rows.push_back(
      {"stealing", fmt::format("{}, {} tasks (median)", options.stealing, outcome.steals[outcome.steals.size() / 2])});
  if (!options.report.empty()) {
    Report page{"Skua: a simulated step of " + options.request.model, step.label()};
    for (const auto& row : rows) page.figures.emplace_back(row[0], row[1]);
    page.timelines.push_back({"One step, " + page.source, &step.schedule(), &outcome.first});
    write_report(page, options.report);
  }
  if (!options.json) return print_table(rows);
  nlohmann::json object = step.to_json(outcome.median(), options.placements);
  object["stealing"] = options.stealing;
  object["seeds"] = options.seeds;
  object["least_seconds"] = outcome.seconds.front();
  object["most_seconds"] = outcome.seconds.back();
  object["steals"] = outcome.steals[outcome.steals.size() / 2];
  print_json(object);
}

void add_request_options(CLI::App& command, PlanRequest& request) {
  command.add_option("--cluster", request.cluster, "A preset (see `skua devices`) or a cluster file")
      ->capture_default_str();
  add_policy_options(command, request.policy, request.plan_seconds);
  add_batch_options(command, request.batch, request.micro_batches);
  command.add_option("--profile", request.profile, "Measured times to plan by; else the roofline of the cluster");
}

}  // namespace

void add_plan_command(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("plan", "Plan a model's training step on a cluster");
  const auto options = std::make_shared<PlanOptions>();
  add_model_argument(command, options->request.model);
  add_request_options(command, options->request);
  command.add_option("--plan", options->request.plan_file, "Follow this plan file (policy replay)");
  command.add_option("--out", options->out, "Write the plan; JSON where the name ends in .json");
  command.add_flag("--placements", options->placements, "List every task's place in the JSON");
  add_json_option(command, options->json);
  command.callback([options, &command] { make_plan_file(*options, command); });
}

void add_simulate_command(CLI::App& program) {
  CLI::App& command = *program.add_subcommand("simulate", "Simulate a training step; every figure is simulated");
  const auto options = std::make_shared<SimulateOptions>();
  command.add_option("what", options->what, "A model or a plan file")->required();
  command.add_option("--model", options->request.model, "Of the plan file")->capture_default_str();
  add_request_options(command, options->request);
  add_stealing_option(command, options->stealing);
  command.add_option("--noise", options->noise, "Spread of each run's time (log-normal)")->capture_default_str();
  command.add_option("--cost-error", options->cost_error, "Spread of the costs' errors (log-normal)")
      ->capture_default_str();
  command.add_option("--straggler", options->stragglers, "DEVICE:FACTOR, a device that is slower than planned")
      ->take_all();
  command.add_option("--seeds", options->seeds, "Simulate with so many seeds")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--trace", options->trace, "Write Chrome trace events (opens in Perfetto)");
  command.add_option("--report", options->report, "Write an HTML report");
  command.add_flag("--placements", options->placements, "List every task's place in the JSON");
  add_json_option(command, options->json);
  command.callback([options, &command] { run_simulation(*options, command); });
}

}  // namespace skua::cli
