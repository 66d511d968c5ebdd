#include "ablation.h"

#include <cmath>
#include <numeric>

#include "dynamic_plan.h"
#include "models/models.h"
#include "skua/graph/random.h"
#include "skua/scheduler/adaptation.h"

namespace skua::cli {

std::vector<Situation> situations() {
  return {{.name = "costs right"},
          {.name = "costs wrong", .cost_error = 0.5},
          {.name = "slow in each step", .slow_factor = 2, .from = 0.2, .until = 0.8, .within_steps = true},
          {.name = "slow for a while", .slow_factor = 2, .from = 0.2, .until = 0.6},
          {.name = "slow for good", .slow_factor = 2, .from = 0.2},
          {.name = "slow links", .copy_factor = 4}};
}

std::vector<RunMode> run_modes() {
  std::vector<RunMode> modes;
  for (const bool adaptive : {false, true}) {
    for (const char* name : {"static", "dynamic", "random", "locality", "cost"}) modes.push_back({name, adaptive});
  }
  return modes;
}

double Ablation::Outcome::mean_seconds() const {
  return std::accumulate(step_seconds.begin(), step_seconds.end(), 0.0) / static_cast<double>(step_seconds.size());
}

Ablation::Ablation(const std::string& model, Cluster cluster, int micro_batches, const std::string& policy,
                   double plan_seconds)
    : cluster_(std::move(cluster)), policy_(policy), plan_seconds_(plan_seconds) {
  const models::Recipe& recipe = models::recipe(model);
  tasks_ = std::make_unique<TaskGraph>(recipe.make().training_graph(recipe.batch_size, micro_batches, recipe.compile),
                                       micro_batches, Constraints{}, cluster_.sharers());
  plan_ = plan_with(policy_, *tasks_, cluster_, CostModel(), {"", plan_seconds_});
}

CostModel wrong_costs(const CostModel& costs, const TaskGraph& tasks, const Cluster& cluster, double error,
                      std::uint64_t seed) {
  CostModel model;
  std::uint64_t stream = 0;
  for (const CostKey& key : tasks.cost_keys()) {
    Random random(seed, stream++);
    const double factor = std::exp(error * random.normal());
    for (const DeviceSpec& device : cluster.devices()) {
      model.set(key.signature, device.kind, factor * costs.seconds(key, device));
    }
  }
  return model;
}

CostModel Ablation::true_costs(const Situation& situation, std::uint64_t seed) const {
  if (situation.cost_error == 0) return {};
  return wrong_costs(CostModel(), *tasks_, cluster_, situation.cost_error, seed);
}

std::vector<Straggler> Ablation::stragglers(const Situation& situation, int step, int steps) const {
  if (situation.slow_factor == 1) return {};
  const DeviceId last(static_cast<std::int64_t>(cluster_.device_count()) - 1);
  if (situation.within_steps) {
    const double seconds = plan_.predicted_seconds;
    return {{last, situation.slow_factor, situation.from * seconds, situation.until * seconds}};
  }
  const double part = static_cast<double>(step) / steps;
  if (part < situation.from || part >= situation.until) return {};
  return {{last, situation.slow_factor}};
}

// Of the last step: a device that is slow then is of a kind of its own.
double Ablation::bound_seconds(const Situation& situation, std::uint64_t seed, int steps) const {
  CostModel model = true_costs(situation, seed);
  std::vector<DeviceSpec> devices = cluster_.devices();
  if (!situation.within_steps && !stragglers(situation, steps - 1, steps).empty()) {
    const DeviceSpec healthy = devices.back();
    devices.back().kind += " (slow)";
    for (const CostKey& key : tasks_->cost_keys()) {
      model.set(key.signature, devices.back().kind, situation.slow_factor * model.seconds(key, healthy));
    }
  }
  const Cluster cluster(cluster_.name(), devices, cluster_.memories(), cluster_.links());
  return lower_bound_seconds(CostTable(*tasks_, cluster, model));
}

Ablation::Outcome Ablation::run(const Situation& situation, const RunMode& mode, int steps, std::uint64_t seed) const {
  const bool dynamic = mode.name == "dynamic";
  const auto rule = dynamic || mode.name == "static" ? nullptr : make_steal_rule(mode.name);
  const CostModel true_model = true_costs(situation, seed);
  const CostTable truth(*tasks_, cluster_, true_model);
  CostModel believed;
  Adaptation adaptation(believed);
  Outcome outcome;
  outcome.bound_seconds = bound_seconds(situation, seed, steps);
  Plan plan = plan_;
  bool due = false;
  for (int step = 0; step < steps; ++step) {
    const CostTable costs(*tasks_, cluster_, believed);
    SimulationOptions options{.steal_rule = rule.get(),
                              .stragglers = stragglers(situation, step, steps),
                              .seed = seed + static_cast<std::uint64_t>(step),
                              .copy_factor = situation.copy_factor,
                              .truth = &truth};
    bool is_new = step == 0;
    if (due && !dynamic) {
      Plan made = plan_with(policy_, *tasks_, cluster_, believed, {"", plan_seconds_});
      is_new = Adaptation::is_better(made, plan, costs);
      if (is_new) plan = std::move(made);
    }
    if (dynamic) plan = dynamic_plan(costs, options);
    const Schedule schedule(*tasks_, cluster_, plan);
    if (step == 0 || due) {
      adaptation.begin(schedule, simulate(schedule, costs, {.steal_rule = rule.get()}).seconds, is_new);
    }
    const StepTrace trace = simulate(schedule, costs, options);
    outcome.step_seconds.push_back(trace.seconds);
    due = mode.adaptive && adaptation.observe(schedule, trace);
  }
  return outcome;
}

}  // namespace skua::cli
