#include "step_profile.h"

#include <algorithm>

namespace skua::cli {
namespace {

std::string kind_of(const TaskGraph& graph, const Task& task) {
  if (task.kind == TaskKind::kUpdate) return "optimizer";
  if (task.kind == TaskKind::kReduce) return "sums";
  const std::string& type = graph.graph().node(task.node).op.type;
  const auto is = [&](std::initializer_list<const char*> prefixes) {
    return std::any_of(prefixes.begin(), prefixes.end(), [&](const char* prefix) { return type.starts_with(prefix); });
  };
  if (is({"conv2d"})) return "convolution";
  if (is({"dense", "matmul"})) return "matmul";
  if (is({"simple_rnn", "lstm", "gru"})) return "recurrence";
  if (is({"embedding"})) return "embedding";
  return "element-wise";
}

OperatorTime without_times(const TaskGraph& graph, const Task& task) {
  if (task.kind == TaskKind::kReduce) return {.name = "sums of gradients", .type = "sum", .kind = "sums"};
  const Node& node = graph.graph().node(task.node);
  return {.name = node.name, .type = node.op.type, .kind = kind_of(graph, task)};
}

}  // namespace

const std::vector<std::string>& step_kinds() {
  static const std::vector<std::string> kinds{"convolution", "matmul",    "recurrence", "element-wise",
                                              "embedding",   "optimizer", "sums",       "overhead"};
  return kinds;
}

StepProfile profile_of(const TrainingReport& report, const MachineLimits& limits) {
  const Schedule& schedule = *report.schedule;
  const TaskGraph& graph = schedule.graph();
  const auto steps = static_cast<double>(report.traces.size());
  const auto devices = static_cast<double>(report.devices.size());
  std::vector<double> seconds(graph.task_count());
  double total = 0;
  for (const StepTrace& trace : report.traces) {
    const std::vector<TaskTime> times = task_times(schedule, trace);
    for (std::size_t i = 0; i < seconds.size(); ++i) seconds[i] += times[i].run_seconds / (steps * devices);
    total += trace.seconds / steps;
  }
  std::map<std::string, OperatorTime> by_name;
  for (std::size_t i = 0; i < seconds.size(); ++i) {
    const Task& task = graph.task(TaskId(static_cast<std::int64_t>(i)));
    const CostKey& key = graph.cost_keys()[task.cost_key.index()];
    OperatorTime of = without_times(graph, task);
    OperatorTime& time = by_name.try_emplace(of.name, of).first->second;
    time.seconds += seconds[i];
    time.flops += key.flops;
    time.bytes += key.bytes;
    time.floor_seconds += std::max(key.flops / limits.flops_per_second, key.bytes / limits.bytes_per_second);
  }
  StepProfile profile;
  profile.shares["overhead"] = 1;
  for (auto& [name, time] : by_name) {
    profile.shares[time.kind] += time.seconds / total;
    profile.shares["overhead"] -= time.seconds / total;
    profile.flops += time.flops;
    profile.bytes += time.bytes;
    profile.floor_seconds += time.floor_seconds;
    profile.operators.push_back(std::move(time));
  }
  std::ranges::stable_sort(profile.operators, std::ranges::greater(), &OperatorTime::seconds);
  return profile;
}

}  // namespace skua::cli
