#include "repair.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "skua/scheduler/simulator.h"

namespace skua {
namespace {

constexpr double kRounding = 1e-9;  // of a limit

TaskId task_id(std::size_t i) {
  return TaskId(static_cast<std::int64_t>(i));
}
DeviceId device_id(std::size_t d) {
  return DeviceId(static_cast<std::int64_t>(d));
}

bool is_sum(const CostTable& costs, TaskId id) {
  return costs.graph().task(id).kind == TaskKind::kReduce;
}

// By device, the seconds of what it may run.
std::vector<double> loads_of(const Plan& plan, const CostTable& costs) {
  std::vector<double> loads(costs.cluster().device_count(), 0);
  for (std::size_t i = 0; i < plan.placements.size(); ++i) {
    const DeviceId device = plan.placements[i].device;
    const double seconds = costs.seconds(task_id(i), device);
    if (std::isfinite(seconds)) loads[device.index()] += seconds;
  }
  return loads;
}

void move_to_allowed_devices(Plan& plan, const CostTable& costs) {
  std::vector<double> loads;
  for (std::size_t i = 0; i < plan.placements.size(); ++i) {
    DeviceId& device = plan.placements[i].device;
    if (std::isfinite(costs.seconds(task_id(i), device)) || is_sum(costs, task_id(i))) continue;
    if (loads.empty()) loads = loads_of(plan, costs);
    const auto end = [&](std::size_t d) { return loads[d] + costs.seconds(task_id(i), device_id(d)); };
    std::size_t best = 0;
    for (std::size_t d = 1; d < loads.size(); ++d) {
      if (end(d) < end(best)) best = d;
    }
    loads[best] = end(best);
    device = device_id(best);
  }
}

void gather_groups(Plan& plan, const CostTable& costs) {
  for (const std::vector<TaskId>& group : costs.graph().groups()) {
    std::vector<double> work(costs.cluster().device_count(), -1);  // less than nothing: none of the group's
    for (const TaskId id : group) {
      const DeviceId device = plan.placements[id.index()].device;
      work[device.index()] = std::max(0.0, work[device.index()]) + costs.seconds(id, device);
    }
    const DeviceId most(std::max_element(work.begin(), work.end()) - work.begin());
    for (const TaskId id : group) plan.placements[id.index()].device = most;
  }
}

void keep_sums_in_place(Plan& plan, const CostTable& costs) {
  const Cluster& cluster = costs.cluster();
  for (std::size_t i = 0; i < plan.placements.size(); ++i) {
    if (!is_sum(costs, task_id(i))) continue;
    const DeviceId left = left_operand_device(costs.graph(), plan, task_id(i));
    DeviceId& device = plan.placements[i].device;
    const bool in_place = cluster.device(device).memory == cluster.device(left).memory;
    if (!in_place || std::isinf(costs.seconds(task_id(i), device))) device = left;
  }
}

// Tasks of smaller keys first, in the plan's order among equals. New priorities only where the order is another one.
template <class Key>
void put_in_order(Plan& plan, Key key) {
  std::vector<TaskId> order;
  for (std::size_t i = 0; i < plan.placements.size(); ++i) order.push_back(task_id(i));
  std::stable_sort(order.begin(), order.end(), [&](TaskId a, TaskId b) {
    return plan.placements[a.index()].priority > plan.placements[b.index()].priority;
  });
  const auto by_key = [&](TaskId a, TaskId b) { return key(a) < key(b); };
  if (std::is_sorted(order.begin(), order.end(), by_key)) return;
  std::stable_sort(order.begin(), order.end(), by_key);
  for (std::size_t i = 0; i < order.size(); ++i) plan.placements[order[i].index()].priority = -static_cast<double>(i);
}

bool is_late(const TaskGraph& graph, TaskId id, const StepTrace& predicted) {
  return predicted.records[id.index()].finish_seconds > graph.demand(id).deadline_seconds * (1 + kRounding);
}

// Earliest due date first (Jackson, "Scheduling a production line to minimize maximum tardiness", 1955), where the
// plan's own order misses a deadline. What a task waits for is due before it.
void keep_deadlines(Plan& plan, const CostTable& costs) {
  const TaskGraph& graph = costs.graph();
  const StepTrace predicted = simulate(Schedule(graph, costs.cluster(), plan), costs);
  std::vector<double> due(graph.task_count());
  bool late = false;
  for (std::size_t i = graph.task_count(); i-- > 0;) {
    late = late || is_late(graph, task_id(i), predicted);
    due[i] = graph.demand(task_id(i)).deadline_seconds;
    for (const TaskId next : graph.successors(task_id(i))) {
      due[i] = std::min(due[i], due[next.index()] - costs.fastest_seconds(next));
    }
  }
  if (late) put_in_order(plan, [&](TaskId id) { return std::pair(-graph.demand(id).priority, due[id.index()]); });
}

std::string breach_of_device(const Plan& plan, const CostTable& costs, TaskId id) {
  const TaskGraph& graph = costs.graph();
  const std::string& device = costs.cluster().device(plan.placements[id.index()].device).name;
  for (const std::size_t p : graph.demand(id).pins) {
    const std::vector<std::string>& pinned = graph.constraints().pins[p].devices;
    if (std::find(pinned.begin(), pinned.end(), device) != pinned.end()) continue;
    return fmt::format("expected {} on {}, where it is pinned, got {}", graph.name(id), fmt::join(pinned, " or "),
                       device);
  }
  const char* others = graph.demand(id).group.valid() ? " and what is colocated with it" : "";
  return fmt::format("expected a device that can run {}{}, got {}", graph.name(id), others, device);
}

}  // namespace

void repair(Plan& plan, const CostTable& costs) {
  move_to_allowed_devices(plan, costs);
  gather_groups(plan, costs);
  keep_sums_in_place(plan, costs);
  const TaskGraph& graph = costs.graph();
  if (!graph.constraints().priorities.empty())
    put_in_order(plan, [&](TaskId id) { return -graph.demand(id).priority; });
  if (!graph.constraints().deadlines.empty()) keep_deadlines(plan, costs);
}

std::string breach_of(const Plan& plan, const CostTable& costs, const StepTrace& predicted) {
  const TaskGraph& graph = costs.graph();
  const Cluster& cluster = costs.cluster();
  const auto device_of = [&](TaskId id) { return plan.placements[id.index()].device; };
  for (std::size_t i = 0; i < plan.placements.size(); ++i) {
    if (std::isinf(costs.seconds(task_id(i), device_of(task_id(i))))) return breach_of_device(plan, costs, task_id(i));
  }
  for (const std::vector<TaskId>& group : graph.groups()) {
    for (const TaskId id : group) {
      if (device_of(id) == device_of(group.front())) continue;
      return fmt::format("expected {} and {} on one device, got {} and {}", graph.name(group.front()), graph.name(id),
                         cluster.device(device_of(group.front())).name, cluster.device(device_of(id)).name);
    }
  }
  const std::vector<double> loads = loads_of(plan, costs);
  for (std::size_t d = 0; d < loads.size(); ++d) {
    const DeviceSpec& device = cluster.devices()[d];
    if (loads[d] <= device.most_busy_seconds * (1 + kRounding)) continue;
    return fmt::format("expected {} to be busy for {:g} s of the step at most, got {:g} s", device.name,
                       device.most_busy_seconds, loads[d]);
  }
  for (std::size_t i = 0; graph.has_demands() && i < plan.placements.size(); ++i) {
    if (!is_late(graph, task_id(i), predicted)) continue;
    return fmt::format("expected {} to end within {:g} s of the step's start, got {:g} s (simulated)",
                       graph.name(task_id(i)), graph.demand(task_id(i)).deadline_seconds,
                       predicted.records[i].finish_seconds);
  }
  return "";
}

}  // namespace skua
