// skua plan, skua simulate.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
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
  std::string loss;
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
    object.update(step.trace_json(step.predicted()));
    if (!options.out.empty()) object["out"] = options.out;
    return print_json(object);
  }
  auto rows = step.to_rows();
  for (auto& row : step.trace_rows(step.predicted())) rows.push_back(std::move(row));
  rows.push_back(
      {"step", fmt::format("{} ({}), {:.1f} % above the lower bound", milliseconds(step.plan().predicted_seconds),
                           step.label(), step.gap_percent(step.plan().predicted_seconds))});
  print_table(rows);
}

// "cpu:1:2.5": the device, by name or number, and a number of at least `least`.
std::pair<DeviceId, double> device_and_number(const std::string& option, const std::string& text,
                                              const Cluster& cluster, const char* what, double least) {
  const std::size_t colon = text.rfind(':');
  const auto number = colon == std::string::npos ? std::nullopt : number_of(std::string_view(text).substr(colon + 1));
  const std::string device = text.substr(0, colon);
  const bool valid = number && std::isfinite(*number) && *number >= least;
  for (std::size_t d = 0; valid && d < cluster.device_count(); ++d) {
    if (cluster.devices()[d].name == device || std::to_string(d) == device) {
      return {DeviceId(static_cast<std::int64_t>(d)), *number};
    }
  }
  throw std::invalid_argument(
      fmt::format("[{}] expected DEVICE:{} with a device of {}, got '{}'", option, what, cluster.name(), text));
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

// A device that is lost during the step. It is noticed at once; what all devices have done by then is lost, and the
// step runs again from its start on the others. What they start from, the weights that only the lost device's memory
// held among it, is taken to be restored where the new plan wants it, and the new plan to be at hand: neither takes
// time here.
struct Loss {
  DeviceId device;
  double seconds = 0;
  PlannedStep rest;
};

std::unique_ptr<Loss> loss_of(const SimulateOptions& options, const PlannedStep& step) {
  if (options.loss.empty()) return nullptr;
  const auto [device, seconds] = device_and_number("--lose", options.loss, step.cluster(), "SECONDS, 0 or more,", 0);
  PlanRequest request = options.request;
  if (!request.plan_file.empty()) request.policy = "auto";  // the file is of a plan for all devices
  request.plan_file.clear();
  request.micro_batches = std::to_string(step.plan().micro_batches);  // results depend on it
  return std::unique_ptr<Loss>(new Loss{device, seconds, PlannedStep(request, without_device(step.cluster(), device))});
}

struct Outcome {
  std::vector<double> seconds;        // sorted
  std::vector<double> lost_seconds;   // by seed; 0 where the step ended before a device was lost
  std::vector<int> steals;            // sorted
  StepTrace first;                    // of the first seed: the run that ends
  const PlannedStep* step = nullptr;  // what `first` is a run of
  [[nodiscard]] double median() const { return median_of(seconds); }
};

Outcome simulate_seeds(const SimulateOptions& options, const PlannedStep& step, const Loss* loss) {
  const auto rule = make_steal_rule(options.stealing);
  SimulationOptions all{.steal_rule = rule.get(), .noise = options.noise, .cost_error = options.cost_error};
  SimulationOptions rest = all;
  for (const std::string& text : options.stragglers) {
    const auto [device, factor] =
        device_and_number("--straggler", text, step.cluster(), "FACTOR above 0", std::numeric_limits<double>::min());
    all.stragglers.push_back({device, factor});
    if (loss == nullptr || device == loss->device) continue;
    rest.stragglers.push_back({DeviceId(device.value - (device > loss->device ? 1 : 0)), factor});
  }
  Outcome outcome;
  for (int seed = 0; seed < options.seeds; ++seed) {
    all.seed = rest.seed = static_cast<std::uint64_t>(seed);
    const PlannedStep* run = &step;
    StepTrace trace = simulate(step.schedule(), step.costs(), all);
    double lost_seconds = 0;
    if (loss != nullptr && loss->seconds < trace.seconds) {
      run = &loss->rest;
      lost_seconds = loss->seconds;
      trace = simulate(run->schedule(), run->costs(), rest);
    }
    outcome.seconds.push_back(lost_seconds + trace.seconds);
    outcome.lost_seconds.push_back(lost_seconds);
    outcome.steals.push_back(summarize(run->schedule(), trace).steals);
    if (seed > 0) continue;
    outcome.first = std::move(trace);
    outcome.step = run;
  }
  std::sort(outcome.seconds.begin(), outcome.seconds.end());
  std::sort(outcome.steals.begin(), outcome.steals.end());
  return outcome;
}

std::vector<std::vector<std::string>> to_rows(const SimulateOptions& options, const PlannedStep& step, const Loss* loss,
                                              const Outcome& outcome) {
  auto rows = step.to_rows();
  if (loss != nullptr) {
    rows.push_back(
        {"device lost", fmt::format("{} after {}: {} lost (median)", step.cluster().device(loss->device).name,
                                    milliseconds(loss->seconds), milliseconds(median_of(outcome.lost_seconds)))});
    rows.push_back({"the rest", fmt::format("{}, {} a step", loss->rest.plan().policy,
                                            milliseconds(loss->rest.plan().predicted_seconds))});
  }
  for (auto& row : outcome.step->trace_rows(outcome.first)) rows.push_back(std::move(row));
  rows.push_back({"step", fmt::format("{} median, {} to {} over {} seeds ({}), {:.1f} % above the lower bound",
                                      milliseconds(outcome.median()), milliseconds(outcome.seconds.front()),
                                      milliseconds(outcome.seconds.back()), options.seeds, step.label(),
                                      step.gap_percent(outcome.median()))});
  rows.push_back(
      {"stealing", fmt::format("{}, {} tasks (median)", options.stealing, outcome.steals[outcome.steals.size() / 2])});
  return rows;
}

nlohmann::json to_json(const SimulateOptions& options, const PlannedStep& step, const Loss* loss,
                       const Outcome& outcome) {
  nlohmann::json object = step.to_json(outcome.median(), options.placements);
  object.update(outcome.step->trace_json(outcome.first));
  object["stealing"] = options.stealing;
  object["seeds"] = options.seeds;
  object["least_seconds"] = outcome.seconds.front();
  object["most_seconds"] = outcome.seconds.back();
  object["steals"] = outcome.steals[outcome.steals.size() / 2];
  if (loss != nullptr) {
    object["lost_device"] = step.cluster().device(loss->device).name;
    object["lost_seconds"] = median_of(outcome.lost_seconds);
    object["rest"] = loss->rest.to_json(loss->rest.plan().predicted_seconds, options.placements);
  }
  return object;
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
  const std::unique_ptr<Loss> loss = loss_of(options, step);
  const Outcome outcome = simulate_seeds(options, step, loss.get());
  const PlannedStep& shown = *outcome.step;
  if (!options.trace.empty()) write_chrome_trace(shown.schedule(), {outcome.first}, shown.label(), options.trace);
  const auto rows = to_rows(options, step, loss.get(), outcome);
  if (!options.report.empty()) {
    Report page{"Skua: a simulated step of " + options.request.model, shown.label()};
    for (const auto& row : rows) page.figures.emplace_back(row[0], row[1]);
    page.timelines.push_back({"One step, " + page.source, &shown.schedule(), &outcome.first});
    write_report(page, options.report);
  }
  if (!options.json) return print_table(rows);
  print_json(to_json(options, step, loss.get(), outcome));
}

void add_request_options(CLI::App& command, PlanRequest& request) {
  command.add_option("--cluster", request.cluster, "A preset (see `skua devices`) or a cluster file")
      ->capture_default_str();
  add_policy_options(command, request.policy, request.plan_seconds);
  add_batch_options(command, request.batch, request.micro_batches);
  add_passes_option(command, request.passes);
  add_constraints_option(command, request.constraints);
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
  command.add_option("--lose", options->loss,
                     "DEVICE:SECONDS, a device that fails so long after the step's start: the step runs again on the "
                     "others, by the same policy (auto for a plan file); --trace and --report show that run");
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
