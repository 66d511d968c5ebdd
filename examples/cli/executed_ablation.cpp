#include "executed_ablation.h"

#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "skua/layers/devices.h"
#include "skua/scheduler/adaptation.h"
#include "skua/scheduler/median.h"
#include "slowed_device.h"
#include "workload.h"

namespace skua::cli {
namespace {

struct ExecutedSituation {
  const char* name;
  double cost_error = 0;
  double slow_factor = 1;
  bool loaded = false;
};
constexpr ExecutedSituation kSituations[] = {
    {"costs right"}, {"costs wrong", 0.5}, {"a device slow", 0, 2}, {"competing load", 0, 1, true}};

// Keeps a processor busy while it lives.
class Load {
 public:
  explicit Load(bool on) {
    if (!on) return;
    thread_ = std::jthread([](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
      }
    });
  }

 private:
  std::jthread thread_;
};

// One way to run the model, with what it knows and its plan.
class Contender {
 public:
  Contender(Workload& workload, RunMode mode, const CostModel& costs, const ExecutedOptions& options)
      : workload_(workload), mode_(std::move(mode)), options_(options), costs_(costs), adaptation_(costs_) {
    plan_ = workload_.plan(mode_.name == "dynamic" ? "single" : options.policy, costs_, options.plan_seconds);
    open(true);
  }

  // The median step.
  double run() {
    if (due_) plan_anew();
    std::vector<double> seconds;
    workload_.run(*session_, options_.steps, [&](const StepTrace& trace) {
      seconds.push_back(trace.seconds);
      if (mode_.adaptive && !due_) due_ = adaptation_.observe(session_->schedule(), trace);
    });
    return median_of(seconds);
  }

 private:
  void open(bool is_new) {
    const std::string rule = mode_.name == "static" ? "none" : mode_.name == "dynamic" ? "locality" : mode_.name;
    session_ = workload_.open(plan_, costs_, rule);
    const auto steal_rule = make_steal_rule(rule);
    const StepTrace predicted = simulate(session_->schedule(), session_->costs(), {.steal_rule = steal_rule.get()});
    adaptation_.begin(session_->schedule(), predicted.seconds, is_new);
  }
  void plan_anew() {
    due_ = false;
    Plan made = workload_.plan(options_.policy, costs_, options_.plan_seconds);
    const bool is_better =
        Adaptation::is_better(made, plan_, CostTable(workload_.tasks(), workload_.cluster(), costs_));
    if (is_better) plan_ = std::move(made);
    open(is_better);
  }

  Workload& workload_;
  const RunMode mode_;
  const ExecutedOptions& options_;
  CostModel costs_;
  Adaptation adaptation_;
  Plan plan_;
  std::unique_ptr<Session> session_;
  bool due_ = false;
};

}  // namespace

std::vector<RunMode> executed_modes() {
  std::vector<RunMode> modes = run_modes();
  std::erase_if(modes, [](const RunMode& mode) { return mode.name == "dynamic" && mode.adaptive; });
  return modes;
}

std::vector<ExecutedResult> execute_ablation(const std::string& model, const ExecutedOptions& options) {
  const auto factor = std::make_shared<std::atomic<double>>(1);
  DeviceSet devices = open_devices(fmt::format("cpu:{}", options.devices));
  devices.devices.back() = slowed(std::move(devices.devices.back()), factor);
  Workload workload(models::recipe(model), std::move(devices), std::nullopt, options.micro_batches);
  workload.calibrate(options.steps);
  std::vector<ExecutedResult> results;
  for (const ExecutedSituation& situation : kSituations) {
    const CostModel costs = situation.cost_error > 0 ? wrong_costs(workload.costs(), workload.tasks(),
                                                                   workload.cluster(), situation.cost_error, 1)
                                                     : workload.costs();
    std::vector<std::unique_ptr<Contender>> contenders;
    for (const RunMode& mode : executed_modes()) {
      contenders.push_back(std::make_unique<Contender>(workload, mode, costs, options));
    }
    std::vector<std::vector<double>> seconds(contenders.size());
    *factor = situation.slow_factor;
    for (int round = 0; round < options.rounds; ++round) {
      const Load load(situation.loaded);
      for (std::size_t c = 0; c < contenders.size(); ++c) {
        const double median = contenders[c]->run();
        if (round > 0) seconds[c].push_back(median);
      }
    }
    *factor = 1;
    ExecutedResult result{situation.name, {}, seconds};
    for (const std::vector<double>& each : seconds) result.step_seconds.push_back(median_of(each));
    results.push_back(std::move(result));
    fmt::print(stderr, "run: {}, {}\n", model, situation.name);
  }
  return results;
}

}  // namespace skua::cli
