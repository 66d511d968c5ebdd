#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <queue>
#include <set>
#include <stdexcept>

#include "skua/graph/op_registry.h"
#include "skua/scheduler/task_file.h"

namespace skua {
namespace {

constexpr const char* kTaskOp = "task";
constexpr double kMostBytes = 1e17;  // of one datum: sums of a million of them are exact

void register_task_op() {
  OpDefinition definition;
  definition.type = kTaskOp;
  definition.infer = [](const Op& op, TypeSpan) {
    std::vector<ValueType> outputs;
    for (const std::int64_t elements : op.attributes.integers("outputs")) outputs.push_back({Shape({elements})});
    return outputs;
  };
  register_op(std::move(definition));
}

void check_number(const std::string& owner, const char* what, double number, double most) {
  if (std::isfinite(number) && number >= 0 && number <= most) return;
  throw std::invalid_argument(fmt::format("[{}] expected {} from 0 to {:g}, got {}", owner, what, most, number));
}

void check_tasks(const TimedGraph& timed) {
  if (timed.tasks.empty()) throw std::invalid_argument("[task graph] expected 1 task or more, got none");
  std::set<std::string> names;
  for (const TimedTask& task : timed.tasks) {
    if (!names.insert(task.name).second || task.name.empty()) {
      throw std::invalid_argument(fmt::format("[task graph] expected a name that is new, got '{}'", task.name));
    }
    const std::string owner = "task " + task.name;
    if (task.seconds.empty()) {
      throw std::invalid_argument(fmt::format("[{}] expected a time on one kind of device or more, got none", owner));
    }
    for (const auto& [kind, seconds] : task.seconds) check_number(owner, "seconds", seconds, 1e15);
    check_number(owner, "resident bytes", task.resident_bytes, kMostBytes);
  }
}

void check_edges(const TimedGraph& timed) {
  for (const TimedEdge& edge : timed.edges) {
    if (edge.from >= timed.tasks.size()) {
      throw std::invalid_argument(
          fmt::format("[edge] expected a task in [0,{}), got {}", timed.tasks.size(), edge.from));
    }
    const std::string owner = "edge from " + timed.tasks[edge.from].name;
    check_number(owner, "bytes", edge.bytes, kMostBytes);
    if (edge.to.empty()) throw std::invalid_argument(fmt::format("[{}] expected a reader, got none", owner));
    for (const std::size_t to : edge.to) {
      if (to < timed.tasks.size()) continue;
      throw std::invalid_argument(fmt::format("[{}] expected a task in [0,{}), got {}", owner, timed.tasks.size(), to));
    }
  }
}

// Positions, every task after those that it reads from.
std::vector<std::size_t> topological_order(const TimedGraph& timed) {
  const std::size_t count = timed.tasks.size();
  std::vector<std::vector<std::size_t>> readers(count);
  std::vector<std::size_t> waits(count, 0);
  for (const TimedEdge& edge : timed.edges) {
    for (const std::size_t to : edge.to) {
      readers[edge.from].push_back(to);
      ++waits[to];
    }
  }
  std::priority_queue<std::size_t, std::vector<std::size_t>, std::greater<>> ready;
  for (std::size_t i = 0; i < count; ++i) {
    if (waits[i] == 0) ready.push(i);
  }
  std::vector<std::size_t> order;
  while (!ready.empty()) {
    const std::size_t task = ready.top();
    ready.pop();
    order.push_back(task);
    for (const std::size_t reader : readers[task]) {
      if (--waits[reader] == 0) ready.push(reader);
    }
  }
  if (order.size() == count) return order;
  // From a task that never gets ready, back along those that it waits for, a task comes twice.
  std::vector<std::size_t> waits_for(count, count);
  for (const TimedEdge& edge : timed.edges) {
    for (const std::size_t to : edge.to) {
      if (waits[edge.from] > 0) waits_for[to] = edge.from;
    }
  }
  std::size_t at = static_cast<std::size_t>(
      std::find_if(waits.begin(), waits.end(), [](std::size_t n) { return n > 0; }) - waits.begin());
  for (std::size_t i = 0; i < count; ++i) at = waits_for[at];
  std::vector<std::string> cycle{timed.tasks[at].name};
  for (std::size_t i = waits_for[at]; i != at && cycle.size() < 10; i = waits_for[i])
    cycle.push_back(timed.tasks[i].name);
  throw std::invalid_argument(
      fmt::format("[task graph] expected no cycle, got one: {} wait for each other", fmt::join(cycle, ", ")));
}

std::int64_t elements_of(double bytes) {
  return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(bytes / sizeof(float))));
}

}  // namespace

Cluster timed_cluster(int devices) {
  if (devices < 1 || devices > 1024) {
    throw std::invalid_argument(fmt::format("[devices] expected 1 to 1024, got {}", devices));
  }
  std::vector<DeviceSpec> specs;
  std::vector<MemorySpec> memories{{"host", 1e18}};
  std::vector<LinkSpec> links;
  for (int d = 1; d <= devices; ++d) {
    const std::string name = fmt::format("device:{}", d - 1);
    specs.push_back({name, "device", MemoryId(d), 1, 1, 0, true});
    memories.push_back({name, 1e18});
  }
  for (int from = 0; from <= devices; ++from) {
    for (int to = 0; to <= devices; ++to) {
      if (from != to) links.push_back({MemoryId(from), MemoryId(to), kTimedBytesPerSecond, 0, true});
    }
  }
  return Cluster(fmt::format("{} devices", devices), std::move(specs), std::move(memories), std::move(links));
}

double TimedTask::seconds_on(const std::string& device_kind) const {
  const auto here = seconds.find(device_kind);
  const auto any = here != seconds.end() ? here : seconds.find(kAnyDevice);
  return any != seconds.end() ? any->second : std::numeric_limits<double>::infinity();
}

TimedProblem::TimedProblem(const TimedGraph& timed, const Cluster& cluster) {
  static const bool registered = (register_task_op(), true);
  (void)registered;
  check_tasks(timed);
  check_edges(timed);
  std::vector<std::vector<std::size_t>> reads(timed.tasks.size());  // edges
  std::vector<std::vector<std::size_t>> makes(timed.tasks.size());
  for (std::size_t e = 0; e < timed.edges.size(); ++e) {
    makes[timed.edges[e].from].push_back(e);
    for (const std::size_t to : timed.edges[e].to) reads[to].push_back(e);
  }
  std::vector<ValueId> values(timed.edges.size());
  for (const std::size_t i : topological_order(timed)) {
    const TimedTask& task = timed.tasks[i];
    std::vector<ValueId> inputs;
    std::vector<std::int64_t> outputs;
    for (const std::size_t edge : reads[i]) inputs.push_back(values[edge]);
    for (const std::size_t edge : makes[i]) outputs.push_back(elements_of(timed.edges[edge].bytes));
    if (task.resident_bytes > 0) {
      inputs.push_back(graph.add_parameter(task.name + ".resident", Shape({elements_of(task.resident_bytes)})));
    }
    const Op op{kTaskOp, {{"outputs", outputs}, {"task", static_cast<std::int64_t>(i)}}};
    const std::vector<ValueId> made = graph.add_node(op, inputs, task.name);
    for (std::size_t e = 0; e < makes[i].size(); ++e) values[makes[i][e]] = made[e];
  }
  constraints = timed.constraints;
  std::map<int, Constraints::Colocation> groups;
  for (const TimedTask& task : timed.tasks) {
    if (task.group >= 0) groups[task.group].layers.push_back(task.name);
  }
  for (auto& [number, group] : groups) {
    if (group.layers.size() > 1) constraints.colocations.push_back(std::move(group));
  }
  const TaskGraph tasks(graph, 1);
  for (std::size_t i = 0; i < tasks.task_count(); ++i) {
    const Task& task = tasks.task(TaskId(static_cast<std::int64_t>(i)));
    const auto position = static_cast<std::size_t>(graph.node(task.node).op.attributes.integer("task"));
    positions.push_back(position);
    const std::string& signature = tasks.cost_keys()[task.cost_key.index()].signature;
    for (const DeviceSpec& device : cluster.devices()) {
      costs.set(signature, device.kind, timed.tasks[position].seconds_on(device.kind));
    }
  }
}

}  // namespace skua
