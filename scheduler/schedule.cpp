#include "skua/scheduler/schedule.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <stdexcept>

#include "schedule_rules.h"

namespace skua {

TaskId home_task(const TaskGraph& graph, DatumId id) {
  const Datum& datum = graph.datum(graph.datum(id).storage);  // a sum stays in the place of its left operand
  const ValueKind kind = graph.graph().value(datum.value).kind;
  if (kind != ValueKind::kParameter && kind != ValueKind::kState) return datum.producer;
  const auto readers = graph.consumers(graph.datum(id).storage);
  const auto update =
      std::find_if(readers.begin(), readers.end(), [&](TaskId t) { return graph.task(t).kind == TaskKind::kUpdate; });
  if (update != readers.end()) return *update;
  return readers.empty() ? datum.producer : readers.front();
}

DeviceId copy_device(const Cluster& cluster, MemoryId from, MemoryId to) {
  const auto& devices = cluster.devices();
  for (const MemoryId memory : {to, from}) {
    const auto it = std::find_if(devices.begin(), devices.end(),
                                 [&](const DeviceSpec& d) { return d.memory == memory && d.copy_engine; });
    if (it != devices.end()) return DeviceId(it - devices.begin());
  }
  return {};
}

bool is_parallel_link(const Cluster& cluster, MemoryId from, MemoryId to) {
  const auto& links = cluster.links();
  return std::any_of(links.begin(), links.end(),
                     [&](const LinkSpec& link) { return link.from == from && link.to == to && link.parallel; });
}

Schedule::Schedule(const TaskGraph& graph, const Cluster& cluster, const Plan& plan)
    : graph_(&graph), cluster_(&cluster) {
  for (std::size_t d = 0; d < cluster.device_count(); ++d) {
    const DeviceId device(static_cast<std::int64_t>(d));
    lanes_.push_back({device, false, false, cluster.device(device).name});
  }
  const std::size_t count = graph.task_count();
  tasks_.resize(count);
  successors_.resize(count);
  predecessor_counts_.resize(count);
  for (std::size_t i = 0; i < count; ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    const Placement& placement = plan.placements[i];
    tasks_[i].task = id;
    tasks_[i].lane = LaneId(placement.device.value);
    tasks_[i].priority = placement.priority;
    predecessor_counts_[i] = static_cast<int>(graph.predecessors(id).size());
    for (TaskId successor : graph.successors(id)) successors_[i].push_back(StepTaskId(successor.value));
  }
  place_data();
  add_copies();
  if (plan.strict_order) chain_lanes();
}

void Schedule::place_data() {
  homes_.assign(graph_->datum_count(), kHostMemory);
  for (std::size_t i = 0; i < homes_.size(); ++i) {
    const TaskId owner = home_task(*graph_, DatumId(static_cast<std::int64_t>(i)));
    if (owner.valid()) homes_[i] = memory_of(tasks_[owner.index()].lane);
  }
}

void Schedule::add_copies() {
  std::map<MemoryId, std::vector<StepTaskId>> readers;
  for (std::size_t i = 0; i < homes_.size(); ++i) {
    const DatumId id(static_cast<std::int64_t>(i));
    readers.clear();
    for (TaskId reader : graph_->consumers(id)) {
      const MemoryId memory = memory_of(tasks_[reader.index()].lane);
      if (memory != homes_[i]) readers[memory].push_back(StepTaskId(reader.value));
    }
    for (const auto& [memory, tasks] : readers) add_copy(id, memory, tasks);
  }
}

// Copies that a device does itself come before their first reader.
void Schedule::chain_lanes() {
  std::vector<std::vector<StepTaskId>> orders(lanes_.size());
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    const StepTaskId id(static_cast<std::int64_t>(i));
    if (!lanes_[tasks_[i].lane.index()].copies_only) orders[tasks_[i].lane.index()].push_back(id);
  }
  for (std::vector<StepTaskId>& order : orders) {
    std::stable_sort(order.begin(), order.end(), [&](StepTaskId a, StepTaskId b) {
      const StepTask& x = task(a);
      const StepTask& y = task(b);
      return x.priority != y.priority ? x.priority > y.priority : x.is_copy() && !y.is_copy();
    });
    for (std::size_t i = 1; i < order.size(); ++i) add_dependency(order[i - 1], order[i]);
  }
}

void Schedule::add_copy(DatumId datum, MemoryId to, const std::vector<StepTaskId>& readers) {
  StepTask copy;
  copy.datum = datum;
  copy.from = homes_[datum.index()];
  copy.to = to;
  copy.lane = copy_lane(copy.from, to, tasks_[readers.front().index()].lane);
  copy.priority = tasks_[readers.front().index()].priority;
  for (StepTaskId reader : readers) copy.priority = std::max(copy.priority, tasks_[reader.index()].priority);

  const StepTaskId id(static_cast<std::int64_t>(tasks_.size()));
  tasks_.push_back(copy);
  successors_.emplace_back();
  predecessor_counts_.push_back(0);
  const TaskId producer = graph_->datum(datum).producer;
  if (producer.valid()) add_dependency(StepTaskId(producer.value), id);
  for (StepTaskId reader : readers) add_dependency(id, reader);
}

LaneId Schedule::copy_lane(MemoryId from, MemoryId to, LaneId fallback) {
  const DeviceId device = copy_device(*cluster_, from, to);
  if (!device.valid()) return fallback;
  const std::string name = fmt::format("copy {}>{}", cluster_->memory(from).name, cluster_->memory(to).name);
  const auto it = std::find_if(lanes_.begin(), lanes_.end(), [&](const Lane& lane) { return lane.name == name; });
  if (it != lanes_.end()) return LaneId(it - lanes_.begin());
  lanes_.push_back({device, true, is_parallel_link(*cluster_, from, to), name});
  return LaneId(static_cast<std::int64_t>(lanes_.size()) - 1);
}

std::string Schedule::name(StepTaskId id) const {
  const StepTask& step_task = task(id);
  if (!step_task.is_copy()) return graph_->name(step_task.task);
  const Datum& datum = graph_->datum(step_task.datum);
  const std::string& value = graph_->graph().value(datum.value).name;
  const std::string instance = datum.micro_batch == kWholeStep || graph_->micro_batches() == 1
                                   ? value
                                   : fmt::format("{} [mb {}]", value, datum.micro_batch);
  return fmt::format("copy {} {}>{}", instance, cluster_->memory(step_task.from).name,
                     cluster_->memory(step_task.to).name);
}

void Schedule::add_dependency(StepTaskId before, StepTaskId after) {
  auto& list = successors_[before.index()];
  if (std::find(list.begin(), list.end(), after) != list.end()) return;
  list.push_back(after);
  ++predecessor_counts_[after.index()];
}

std::vector<StepTaskId> Schedule::topological_order() const {
  std::vector<int> pending = predecessor_counts_;
  std::vector<StepTaskId> order;
  order.reserve(tasks_.size());
  for (std::size_t i = 0; i < tasks_.size(); ++i) {
    if (pending[i] == 0) order.push_back(StepTaskId(static_cast<std::int64_t>(i)));
  }
  for (std::size_t next = 0; next < order.size(); ++next) {
    for (StepTaskId successor : successors(order[next])) {
      if (--pending[successor.index()] == 0) order.push_back(successor);
    }
  }
  if (order.size() != tasks_.size()) {
    throw std::invalid_argument(
        fmt::format("the schedule's dependencies have a cycle: {} of {} tasks can run", order.size(), tasks_.size()));
  }
  return order;
}

double estimated_seconds(const Schedule& schedule, const CostTable& costs, StepTaskId id, LaneId lane) {
  const StepTask& task = schedule.task(id);
  if (task.is_copy()) return costs.copy_seconds(task.datum, task.from, task.to);
  return costs.seconds(task.task, schedule.lanes()[lane.index()].device);
}

}  // namespace skua
