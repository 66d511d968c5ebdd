#include "trainer.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <stdexcept>

#include "skua/engine/estimates.h"
#include "skua/scheduler/median.h"
#include "skua/scheduler/policy.h"
#include "skua/scheduler/simulator.h"

namespace skua {
Trainer::Trainer(ModelGraph model, int micro_batches, const CompileOptions& options, DeviceSet& devices,
                 CostModel& costs, int trace_steps)
    : model_(std::move(model)),
      options_(options),
      devices_(devices),
      costs_(costs),
      tasks_(model_.graph, micro_batches, options.constraints, devices.cluster.sharers()),
      adaptation_(costs),
      trace_steps_(static_cast<std::size_t>(trace_steps)) {
  add_estimates(tasks_, devices_, costs_);
  plan_ = plan_with(options_.policy, tasks_, devices_.cluster, costs_, {options_.plan_file, options_.plan_seconds});
  make_session(true);
}

void Trainer::make_session(bool is_new_plan) {
  session_ = std::make_unique<Session>(
      tasks_, devices_, plan_, costs_,
      SessionOptions{options_.stealing, options_.seed, options_.recover, records_steps(), options_.collectives});
  predict();
  adaptation_.begin(session_->schedule(), plan_.predicted_seconds, is_new_plan);
  ++plans_made_;
  step_seconds_.clear();
  last_traces_.clear();
  busy_.assign(devices_.devices.size(), 0);
}

// The first steps are for measuring.
bool Trainer::records_steps() const {
  return options_.record_steps && (plans_made_ > 0 || options_.policy == "replay");
}

// By the present costs.
void Trainer::predict() {
  const auto rule = make_steal_rule(options_.stealing);
  predicted_by_ = std::make_unique<CostTable>(tasks_, devices_.cluster, costs_);
  plan_.predicted_seconds = simulate(session_->schedule(), *predicted_by_, {.steal_rule = rule.get()}).seconds;
}

void Trainer::import_state(const TrainingState& state) {
  const Graph& graph = tasks_.graph();
  const std::vector<ValueId> ids = graph.values_of(ValueKind::kState);
  const auto known = [&](ValueId id) { return state.states.count(graph.value(id).name) != 0; };
  if (state.step > 0 && (ids.size() != state.states.size() || !std::all_of(ids.begin(), ids.end(), known))) {
    throw std::invalid_argument(fmt::format("[optimizer] expected the checkpoint's, got {}, which keeps other states",
                                            options_.optimizer.update.type));
  }
  for (const auto& [name, tensor] : state.weights) session_->set_value(graph.find_value(name), tensor);
  for (ValueId id : ids) {
    const Value& value = graph.value(id);
    const Tensor tensor = known(id) ? state.states.at(value.name) : Tensor(value.type);
    if (tensor.type() != value.type) {
      throw std::invalid_argument(fmt::format("[optimizer] expected {} of {}, got {}", value.type.to_string(),
                                              value.name, tensor.type().to_string()));
    }
    session_->set_value(id, tensor);
  }
}

void Trainer::export_state(TrainingState& state) const {
  const Graph& graph = tasks_.graph();
  for (ValueId id : graph.values_of(ValueKind::kParameter)) state.weights[graph.value(id).name] = session_->value(id);
  state.states.clear();
  for (ValueId id : graph.values_of(ValueKind::kState)) state.states[graph.value(id).name] = session_->value(id);
}

StepResult Trainer::step(const Tensor& features, const Tensor& labels, std::int64_t step, double learning_rate,
                         const std::stop_token& stop) {
  if (plan_is_due_) begin_planning();
  if (planning_.valid() && planning_.wait_for(std::chrono::seconds(0)) == std::future_status::ready) take_up_plan();
  inputs_[model_.features] = &features;
  if (model_.labels.valid()) inputs_[model_.labels] = &labels;
  const StepContext context{step, static_cast<float>(learning_rate), options_.seed};
  session_->run(inputs_, context, &trace_, options_.recover ? stop : std::stop_token());
  const StepResult result = result_of(model_, *session_);
  ++steps_;
  measure(trace_);
  return result;
}

void Trainer::measure(const StepTrace& trace) {
  if (trace.records.empty()) return step_seconds_.push_back(trace.seconds);  // a recorded step
  const TraceSummary summary = summarize(session_->schedule(), trace);
  steals_ += summary.steals;
  bytes_copied_ += summary.bytes_copied;
  if (trace_steps_ > 0) {
    if (last_traces_.size() == trace_steps_) last_traces_.pop_front();
    last_traces_.push_back(trace);
  }
  if (planning_.valid()) return;  // it ran beside a planner
  for (std::size_t d = 0; d < busy_.size(); ++d) busy_[d] += summary.utilization[d];
  step_seconds_.push_back(trace.seconds);
  plan_is_due_ = adaptation_.observe(session_->schedule(), trace);
  if (!plan_is_due_) return;
  measured_costs_ = true;
  predict();
}

// The planner has a copy of the costs, which go on changing; task graph and cluster do not.
void Trainer::begin_planning() {
  plan_is_due_ = false;
  const PolicyOptions options{options_.plan_file, options_.plan_seconds, options_.plan_in_background};
  planning_ = std::async(std::launch::async, [this, options, costs = costs_] {
    return plan_with(options_.policy, tasks_, devices_.cluster, costs, options);
  });
  if (!options_.plan_in_background) planning_.wait();
}

void Trainer::take_up_plan() {
  bool is_better = false;
  try {
    Plan plan = planning_.get();
    is_better = Adaptation::is_better(plan, plan_, CostTable(tasks_, devices_.cluster, costs_));
    if (is_better) plan_ = std::move(plan);
  } catch (const std::invalid_argument&) {
    // By the measured times the policy meets a deadline or a limit no longer: what is trained goes on as planned first.
  }
  TrainingState state;
  export_state(state);
  make_session(is_better);
  import_state(state);
}

void Trainer::end_session() {
  drop_planning();
  session_.reset();
  last_traces_.clear();
}

void Trainer::begin_session() {
  if (options_.policy == "replay") options_.policy = "auto";
  plan_ = plan_with(options_.policy, tasks_, devices_.cluster, costs_, {options_.plan_file, options_.plan_seconds});
  make_session(true);
}

void Trainer::drop_planning() {
  if (planning_.valid()) planning_.wait();
  planning_ = {};
  plan_is_due_ = false;
}

TrainingReport Trainer::report() const {
  TrainingReport report;
  report.plan = plan_;
  report.plans_made = plans_made_;
  report.measured_costs = measured_costs_;
  report.lower_bound_seconds = lower_bound_seconds(*predicted_by_);
  report.median_step_seconds = step_seconds_.empty() ? 0 : median_of(step_seconds_);
  report.steps = steps_;
  report.steals = steals_;
  report.bytes_copied = bytes_copied_;
  const std::vector<std::size_t> peak_bytes = session_->stats().peak_bytes;
  for (std::size_t d = 0; d < devices_.devices.size(); ++d) {
    const DeviceSpec& spec = devices_.cluster.devices()[d];
    report.devices.push_back(spec.name);
    report.utilization.push_back(step_seconds_.empty() ? 0 : busy_[d] / static_cast<double>(step_seconds_.size()));
    report.peak_bytes.push_back(static_cast<double>(peak_bytes[spec.memory.index()]));
  }
  report.traces.assign(last_traces_.begin(), last_traces_.end());
  report.schedule = &session_->schedule();
  report.layer_devices = layer_devices();
  return report;
}

std::map<std::string, std::string> Trainer::layer_devices() const {
  std::map<std::string, std::set<DeviceId>> devices;
  for (std::size_t i = 0; i < tasks_.task_count(); ++i) {
    const Task& task = tasks_.task(TaskId(static_cast<std::int64_t>(i)));
    if (task.kind != TaskKind::kCompute) continue;
    const std::string& node = model_.graph.node(task.node).name;
    for (const LayerInfo& layer : model_.layers) {
      if (node == layer.name || node.starts_with(layer.name + ".")) {
        devices[layer.name].insert(plan_.placements[i].device);
      }
    }
  }
  std::map<std::string, std::string> names;
  for (const auto& [layer, ids] : devices) {
    std::string& text = names[layer];
    for (const DeviceId id : ids) text += (text.empty() ? "" : ", ") + devices_.cluster.device(id).name;
  }
  return names;
}

}  // namespace skua
