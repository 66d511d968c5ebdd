#include "skua/scheduler/trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "skua/scheduler/median.h"

namespace skua {

std::vector<TaskTime> task_times(const Schedule& schedule, const StepTrace& trace) {
  std::vector<double> ready(schedule.task_count(), 0);  // ends of the last predecessors
  std::vector<std::vector<std::size_t>> by_lane(schedule.lanes().size());
  for (std::size_t i = 0; i < schedule.task_count(); ++i) {
    const TaskRecord& record = trace.records[i];
    by_lane[record.lane.index()].push_back(i);
    for (const StepTaskId next : schedule.successors(StepTaskId(static_cast<std::int64_t>(i)))) {
      ready[next.index()] = std::max(ready[next.index()], record.finish_seconds);
    }
  }
  std::vector<TaskTime> times(schedule.task_count());
  for (std::vector<std::size_t>& tasks : by_lane) {
    std::ranges::sort(tasks, {}, [&](std::size_t i) { return trace.records[i].start_seconds; });
    double free = -1;  // when the lane's last task ended; before the step it was idle
    for (const std::size_t i : tasks) {
      const TaskRecord& record = trace.records[i];
      const bool planned = record.lane == schedule.task(StepTaskId(static_cast<std::int64_t>(i))).lane;
      const bool idle = free < ready[i];
      times[i].wake_seconds = planned && idle ? record.start_seconds - ready[i] : 0;
      times[i].run_seconds = record.finish_seconds - (planned && !idle ? free : record.start_seconds);
      free = record.finish_seconds;
    }
  }
  return times;
}

void observe(const Schedule& schedule, const StepTrace& trace, CostModel& model) {
  const TaskGraph& graph = schedule.graph();
  const std::vector<TaskTime> times = task_times(schedule, trace);
  std::vector<TaskSample> samples;
  std::map<std::string, std::vector<double>> wakes;  // by device kind
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const TaskRecord& record = trace.records[i];
    if (record.copied_bytes > 0) continue;  // not the kernel's time alone
    const DeviceId device = schedule.lanes()[record.lane.index()].device;
    const Task& task = graph.task(TaskId(static_cast<std::int64_t>(i)));
    samples.push_back({task.cost_key, device, times[i].run_seconds});
    if (times[i].wake_seconds > 0) wakes[schedule.cluster().device(device).kind].push_back(times[i].wake_seconds);
  }
  model.observe_step(graph, schedule.cluster(), std::move(samples));
  for (auto& [kind, seconds] : wakes) model.observe_wake(kind, median_of(std::move(seconds)));
}

std::string task_category(const Schedule& schedule, StepTaskId id, const TaskRecord& record) {
  const StepTask& task = schedule.task(id);
  if (task.is_copy()) return "copy";
  if (record.lane != task.lane) return "steal";
  switch (schedule.graph().task(task.task).kind) {
    case TaskKind::kReduce:
      return "reduce";
    case TaskKind::kUpdate:
      return "update";
    case TaskKind::kCompute:
      break;
  }
  return "compute";
}

namespace {

nlohmann::json to_event(const Schedule& schedule, StepTaskId id, const TaskRecord& record, double offset_seconds) {
  const StepTask& task = schedule.task(id);
  const TaskGraph& graph = schedule.graph();
  const std::string kind = task_category(schedule, id, record);
  std::string name = schedule.name(id);
  nlohmann::json args = {{"planned_on", schedule.lanes()[task.lane.index()].name},
                         {"copied_bytes", record.copied_bytes}};
  if (!task.is_copy()) {
    const Task& graph_task = graph.task(task.task);
    if (graph_task.node.valid()) {
      const std::string& type = graph.graph().node(graph_task.node).op.type;
      name = fmt::format("{} {}", name, type);
      args["operator"] = type;
    }
    if (graph_task.micro_batch != kWholeStep) args["micro_batch"] = graph_task.micro_batch;
  }
  if (kind == "steal") name = "stolen: " + name;
  return {{"name", name},
          {"cat", kind},
          {"ph", "X"},
          {"ts", (offset_seconds + record.start_seconds) * 1e6},
          {"dur", (record.finish_seconds - record.start_seconds) * 1e6},
          {"pid", 1},
          {"tid", record.lane.value},
          {"args", std::move(args)}};
}

// What one device, or several, did in a step.
struct Busy {
  double seconds = 0;
  double first_start = std::numeric_limits<double>::infinity();
  double last_finish = 0;

  void add(const TaskRecord& record) {
    add({record.finish_seconds - record.start_seconds, record.start_seconds, record.finish_seconds});
  }
  void add(const Busy& other) {
    seconds += other.seconds;
    first_start = std::min(first_start, other.first_start);
    last_finish = std::max(last_finish, other.last_finish);
  }
  [[nodiscard]] double idle_share(double devices) const {
    const double all = devices * (last_finish - first_start);
    return all > 0 ? std::max(0.0, 1 - seconds / all) : 0;
  }
};

}  // namespace

TraceSummary summarize(const Schedule& schedule, const StepTrace& trace) {
  TraceSummary summary;
  std::vector<Busy> devices(schedule.device_lane_count());
  for (std::size_t i = 0; i < trace.records.size(); ++i) {
    const StepTask& task = schedule.task(StepTaskId(static_cast<std::int64_t>(i)));
    const TaskRecord& record = trace.records[i];
    if (!task.is_copy() && record.lane != task.lane) ++summary.steals;
    summary.bytes_copied += record.copied_bytes;
    if (record.lane.index() < devices.size()) devices[record.lane.index()].add(record);
  }
  Busy all;
  for (const Busy& device : devices) {
    summary.utilization.push_back(trace.seconds > 0 ? device.seconds / trace.seconds : 0);
    summary.bubble.push_back(device.idle_share(1));
    all.add(device);
  }
  summary.step_bubble = all.idle_share(static_cast<double>(devices.size()));
  return summary;
}

void write_chrome_trace(const Schedule& schedule, const std::vector<StepTrace>& steps, const std::string& title,
                        const std::string& path) {
  nlohmann::json events = nlohmann::json::array();
  events.push_back({{"name", "process_name"}, {"ph", "M"}, {"pid", 1}, {"args", {{"name", "skua (" + title + ")"}}}});
  for (std::size_t i = 0; i < schedule.lanes().size(); ++i) {
    events.push_back(
        {{"name", "thread_name"}, {"ph", "M"}, {"pid", 1}, {"tid", i}, {"args", {{"name", schedule.lanes()[i].name}}}});
    events.push_back(
        {{"name", "thread_sort_index"}, {"ph", "M"}, {"pid", 1}, {"tid", i}, {"args", {{"sort_index", i}}}});
  }
  double offset_seconds = 0;
  for (const StepTrace& step : steps) {
    for (std::size_t i = 0; i < step.records.size(); ++i) {
      events.push_back(to_event(schedule, StepTaskId(static_cast<std::int64_t>(i)), step.records[i], offset_seconds));
    }
    offset_seconds += step.seconds;
  }
  std::ofstream file(path);
  file << nlohmann::json{{"traceEvents", std::move(events)}, {"displayTimeUnit", "ms"}}.dump() << '\n';
  file.close();
  if (!file) throw std::runtime_error(fmt::format("cannot write the trace file {}", path));
}

}  // namespace skua
