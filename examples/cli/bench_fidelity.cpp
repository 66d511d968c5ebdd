// skua bench fidelity: the simulated makespan of every policy's plan against the measured one, on this machine's CPU.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

#include "command.h"
#include "fidelity.h"
#include "skua/layers/devices.h"
#include "skua/scheduler/median.h"
#include "skua/scheduler/simulator.h"
#include "workload.h"

namespace skua::cli {
namespace {

struct FidelityOptions {
  std::vector<std::string> models = tutorial_models();
  std::vector<int> devices = {1, 2};
  std::vector<std::string> policies;  // none: all but replay
  std::optional<std::int64_t> batch;  // otherwise each model's
  int micro_batches = 4;
  int steps = 15;
  int repeats = 5;
  double plan_seconds = 1;
  std::string stealing = "none";
  std::string csv;
  std::string report;
  bool json = false;
};

struct Times {
  StepTrace simulated;          // by the costs so far
  double measured_seconds = 0;  // median
  double work_seconds = 0;      // of all tasks, on their devices: median
  double simulated_work_seconds = 0;
};

double work_seconds(const Schedule& schedule, const StepTrace& trace) {
  double seconds = 0;
  for (const TaskTime& time : task_times(schedule, trace)) seconds += time.run_seconds;
  return seconds;
}

Times compare(Workload& workload, const Plan& plan, const FidelityOptions& options) {
  const auto session = workload.open(plan, workload.costs(), options.stealing);
  const auto rule = make_steal_rule(options.stealing);
  Times times{simulate(session->schedule(), session->costs(), {.steal_rule = rule.get()})};
  times.simulated_work_seconds = work_seconds(session->schedule(), times.simulated);
  std::vector<double> seconds;
  std::vector<double> work;
  workload.run(*session, options.steps, [&](const StepTrace& trace) {
    seconds.push_back(trace.seconds);
    work.push_back(work_seconds(session->schedule(), trace));
  });
  times.measured_seconds = median_of(seconds);
  times.work_seconds = median_of(work);
  return times;
}

// In each repeat operators are measured first, then every plan in turn, so that a slower moment of the machine meets
// all of them. A plan is made once, by the times of the first repeat.
std::vector<FidelityRow> measure(const models::Recipe& recipe, int devices, const FidelityOptions& options) {
  Workload workload(recipe, open_devices(fmt::format("cpu:{}", devices)), options.batch, options.micro_batches);
  std::vector<FidelityRow> rows;
  for (const std::string& policy : options.policies) {
    rows.push_back({recipe.name, fmt::format("cpu:{}", devices), workload.batch(), policy});
  }
  for (int repeat = 0; repeat < options.repeats; ++repeat) {
    workload.calibrate(options.steps);
    for (FidelityRow& row : rows) {
      try {
        if (repeat == 0) row.plan = workload.plan(row.policy, workload.costs(), options.plan_seconds);
      } catch (const std::invalid_argument& error) {
        row.error = error.what();
      }
      if (row.refused()) continue;
      const Times times = compare(workload, row.plan, options);
      row.trace = times.simulated;
      row.simulated_seconds.push_back(times.simulated.seconds);
      row.measured_seconds.push_back(times.measured_seconds);
      row.work_errors.push_back((times.simulated_work_seconds / times.work_seconds - 1) * 100);
    }
    fmt::print(stderr, "{} on cpu:{}: repeat {} of {}\n", recipe.name, devices, repeat + 1, options.repeats);
  }
  return rows;
}

void fidelity(FidelityOptions options) {
  expect_writable("--csv", options.csv);
  expect_writable("--report", options.report);
  options.policies = policies_or_all(options.policies);
  std::vector<const models::Recipe*> recipes;
  for (const std::string& name : options.models) recipes.push_back(&models::recipe(name));
  std::vector<FidelityRow> rows;
  for (const models::Recipe* recipe : recipes) {
    for (const int devices : options.devices) {
      for (FidelityRow& row : measure(*recipe, devices, options)) rows.push_back(std::move(row));
    }
  }
  const FidelityVerdict verdict = judge(rows);
  if (!options.csv.empty()) write_csv(rows, options.csv);
  if (!options.report.empty()) write_report(rows, verdict, options.report);
  if (options.json) {
    nlohmann::json object = {{"bench", "fidelity"},          {"micro_batches", options.micro_batches},
                             {"stealing", options.stealing}, {"steps", options.steps},
                             {"repeats", options.repeats},   {"machine", machine_description()}};
    add_to_json(object, rows, verdict);
    return print_json(object);
  }
  print_machine();
  print_table(table_of(rows));
  fmt::print("\n");
  print_table(table_of(verdict));
}

}  // namespace

void add_bench_fidelity_command(CLI::App& bench) {
  CLI::App& command = *bench.add_subcommand("fidelity", "Simulated steps of every policy against measured ones");
  const auto options = std::make_shared<FidelityOptions>();
  add_list_option(command, "--models", options->models, "Models, by name");
  add_device_counts_option(command, options->devices);
  add_list_option(command, "--policies", options->policies, "Policies (see `skua policies`); else all but replay");
  command.add_option("--batch", options->batch, "Samples of one step; otherwise as is usual for each model");
  command.add_option("--micro-batches", options->micro_batches, "Parts of a batch, for all policies alike")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--steps", options->steps, "Of each plan in each repeat")
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--repeats", options->repeats, "Times that the plans take turns")
      ->check(at_least(2))  // noise is how far they are apart
      ->capture_default_str();
  command.add_option("--plan-seconds", options->plan_seconds, "Planning budget of one plan")
      ->check(at_least(0))
      ->capture_default_str();
  add_stealing_option(command, options->stealing);
  command.add_option("--csv", options->csv, "Write the table as CSV");
  command.add_option("--report", options->report, "Write an HTML report");
  add_json_option(command, options->json);
  command.callback([options] { fidelity(*options); });
}

}  // namespace skua::cli
