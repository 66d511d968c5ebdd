#include "planning.h"

#include <fmt/format.h>

#include <chrono>

#include "command.h"

namespace skua::cli {

double gap_percent(double value, double bound) {
  return value > bound * (1 + 1e-12) ? (value / bound - 1) * 100 : 0;
}

nlohmann::json placements_json(const Plan& plan, const TaskGraph& tasks, const Cluster& cluster) {
  nlohmann::json list = nlohmann::json::array();
  for (std::size_t i = 0; i < plan.placements.size(); ++i) {
    const Placement& placement = plan.placements[i];
    list.push_back({{"task", tasks.name(TaskId(static_cast<std::int64_t>(i)))},
                    {"device", cluster.device(placement.device).name},
                    {"priority", placement.priority}});
  }
  return list;
}

nlohmann::json peak_bytes_json(const MemoryPlan& memory, const Cluster& cluster) {
  nlohmann::json bytes = nlohmann::json::object();
  for (const DeviceSpec& device : cluster.devices()) bytes[device.name] = memory.arena_bytes(device.memory);
  return bytes;
}

PlannedStep::PlannedStep(const PlanRequest& request)
    : PlannedStep(request, with_limits(make_cluster(request.cluster), request.constraints.value_or(Constraints()))) {}

PlannedStep::PlannedStep(const PlanRequest& request, Cluster cluster)
    : request_(request), cluster_(std::move(cluster)) {
  if (!request_.profile.empty()) model_costs_ = CostModel::load(request_.profile);
  const models::Recipe& recipe = models::recipe(request_.model);
  const Model model = recipe.make();
  const std::int64_t batch = request_.batch.value_or(recipe.batch_size);
  request_.batch = batch;
  CompileOptions options = recipe.compile;
  options.policy = request_.policy;
  options.plan_file = request_.plan_file;
  options.plan_seconds = request_.plan_seconds;
  options.passes = request_.passes;
  options.constraints = request_.constraints.value_or(Constraints());
  const auto start = std::chrono::steady_clock::now();
  const int micro_batches = micro_batches_of(request_.micro_batches);
  if (micro_batches == 0) plan_ = plan_step(model, options, batch, cluster_, model_costs_);
  const int count = micro_batches == 0 ? plan_.micro_batches : micro_batches;
  tasks_ = std::make_unique<TaskGraph>(model.training_graph(batch, count, options), count, options.constraints,
                                       cluster_.sharers());
  if (micro_batches != 0 || request_.policy == "replay") {
    plan_ = plan_with(request_.policy, *tasks_, cluster_, model_costs_, {request_.plan_file, request_.plan_seconds});
  }
  planning_seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  costs_ = std::make_unique<CostTable>(*tasks_, cluster_, model_costs_);
  lower_bound_ = plan_.lower_bound_seconds;
  schedule_ = std::make_unique<Schedule>(*tasks_, cluster_, plan_);
  memory_ = std::make_unique<MemoryPlan>(*schedule_, simulate(*schedule_, *costs_), plain_sizes(*schedule_), true);
  predicted_ = simulate(*schedule_, *costs_);
  plan_.predicted_seconds = predicted_.seconds;
}

nlohmann::json PlannedStep::to_json(double makespan_seconds, bool placements) const {
  nlohmann::json object = {{"model", request_.model},
                           {"cluster", cluster_.name()},
                           {"simulated", true},
                           {"costs", request_.profile.empty() ? "roofline" : "profile " + request_.profile},
                           {"policy", plan_.policy},
                           {"batch", *request_.batch},
                           {"micro_batches", plan_.micro_batches},
                           {"tasks", tasks_->task_count()},
                           {"makespan_seconds", makespan_seconds},
                           {"lower_bound", lower_bound_},
                           {"gap_percent", gap_percent(makespan_seconds)},
                           {"planning_seconds", planning_seconds_},
                           {"valid", true},  // an invalid plan has ended in an error
                           {"peak_bytes", peak_bytes_json(*memory_, cluster_)}};
  if (placements) object["placements"] = placements_json(plan_, *tasks_, cluster_);
  return object;
}

std::vector<std::vector<std::string>> PlannedStep::to_rows() const {
  return {
      {"model", fmt::format("{}, batch {} in {} micro-batches, {} tasks", request_.model, *request_.batch,
                            plan_.micro_batches, tasks_->task_count())},
      {"policy", fmt::format("{}, planned in {:.3f} s", plan_.policy, planning_seconds_)},
      {"lower bound", milliseconds(lower_bound_)},
  };
}

nlohmann::json PlannedStep::trace_json(const StepTrace& trace) const {
  const TraceSummary summary = summarize(*schedule_, trace);
  const std::vector<double> live_bytes = peak_live_bytes(*schedule_, trace);
  nlohmann::json object = {{"bytes_copied", summary.bytes_copied}, {"step_bubble", summary.step_bubble}};
  for (std::size_t d = 0; d < cluster_.device_count(); ++d) {
    const DeviceSpec& device = cluster_.devices()[d];
    object["utilization"][device.name] = summary.utilization[d];
    object["bubble"][device.name] = summary.bubble[d];
    object["peak_live_bytes"][device.name] = live_bytes[device.memory.index()];
  }
  return object;
}

std::vector<std::vector<std::string>> PlannedStep::trace_rows(const StepTrace& trace) const {
  const TraceSummary summary = summarize(*schedule_, trace);
  const std::vector<double> live_bytes = peak_live_bytes(*schedule_, trace);
  std::vector<std::vector<std::string>> rows;
  for (std::size_t d = 0; d < cluster_.device_count(); ++d) {
    const DeviceSpec& device = cluster_.devices()[d];
    rows.push_back({device.name, fmt::format("{} of memory, at most {} in use; {:.1f} % busy, bubble {:.1f} %",
                                             megabytes(static_cast<double>(memory_->arena_bytes(device.memory))),
                                             megabytes(live_bytes[device.memory.index()]), summary.utilization[d] * 100,
                                             summary.bubble[d] * 100)});
  }
  rows.push_back({"all devices", fmt::format("bubble {:.1f} %, {} copied", summary.step_bubble * 100,
                                             megabytes(summary.bytes_copied))});
  return rows;
}

}  // namespace skua::cli
