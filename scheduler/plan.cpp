#include "skua/scheduler/plan.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cmath>
#include <stdexcept>

#include "graph/message_file.h"
#include "scheduler.pb.h"
#include "skua/scheduler/schedule.h"

namespace skua {
namespace {

void check_devices(const Plan& plan, const Cluster& cluster) {
  std::vector<std::string> names;
  for (const DeviceSpec& device : cluster.devices()) names.push_back(device.name);
  if (plan.device_names != names) {
    throw std::invalid_argument(fmt::format("[plan] expected a plan for the devices {}, got one for {}",
                                            fmt::join(names, ", "), fmt::join(plan.device_names, ", ")));
  }
}

void check_memory(const Plan& plan, const TaskGraph& graph, const Cluster& cluster, TaskId id, TaskId with,
                  const char* what) {
  const auto memory_of = [&](TaskId task) {
    return cluster.memory(cluster.device(plan.placements[task.index()].device).memory).name;
  };
  if (memory_of(id) == memory_of(with)) return;
  throw std::invalid_argument(fmt::format("[plan] task {} must be planned in the memory of its {}, {}, got {}",
                                          graph.name(id), what, memory_of(with), memory_of(id)));
}

void check_placement(const Plan& plan, const TaskGraph& graph, const Cluster& cluster, TaskId id) {
  const Placement& placement = plan.placements[id.index()];
  if (!placement.device.valid() || placement.device.index() >= cluster.device_count()) {
    throw std::invalid_argument(fmt::format("[plan] task {} expected a device in [0,{}), got {}", graph.name(id),
                                            cluster.device_count(), placement.device.value));
  }
  if (!std::isfinite(placement.priority)) {
    throw std::invalid_argument(
        fmt::format("[plan] task {} expected a finite priority, got {}", graph.name(id), placement.priority));
  }
  const Task& task = graph.task(id);
  if (task.kind == TaskKind::kReduce) {
    const TaskId first = graph.datum(graph.datum(graph.inputs(id)[0]).storage).producer;  // smaller than id
    check_memory(plan, graph, cluster, id, first, "left operand");
  } else if (task.part.index > 0) {
    check_memory(plan, graph, cluster, id, TaskId(id.value - 1), "first part");
  }
}

}  // namespace

void validate(const Plan& plan, const TaskGraph& graph, const Cluster& cluster) {
  if (plan.micro_batches != graph.micro_batches()) {
    throw std::invalid_argument(fmt::format("[plan] expected a plan for {} micro-batches, got one for {}",
                                            graph.micro_batches(), plan.micro_batches));
  }
  if (plan.graph_fingerprint != graph.fingerprint()) {
    throw std::invalid_argument(
        fmt::format("[plan] expected a plan of this graph ({:.12}), got one of another ({:.12})", graph.fingerprint(),
                    plan.graph_fingerprint));
  }
  check_devices(plan, cluster);
  if (plan.placements.size() != graph.task_count()) {
    throw std::invalid_argument(
        fmt::format("[plan] expected {} placed tasks, got {}", graph.task_count(), plan.placements.size()));
  }
  for (std::size_t i = 0; i < plan.placements.size(); ++i) {
    check_placement(plan, graph, cluster, TaskId(static_cast<std::int64_t>(i)));
  }
  if (!(std::isfinite(plan.lower_bound_seconds) && plan.lower_bound_seconds >= 0)) {
    throw std::invalid_argument(
        fmt::format("[plan] expected a lower bound of 0 s or more, got {}", plan.lower_bound_seconds));
  }
  if (plan.strict_order)
    (void)Schedule(graph, cluster, plan).topological_order();  // throws where tasks wait in a circle
}

void save_plan(const Plan& plan, const std::string& path) {
  proto::Plan file;
  file.set_policy(plan.policy);
  file.set_micro_batches(plan.micro_batches);
  file.set_strict_order(plan.strict_order);
  file.set_predicted_seconds(plan.predicted_seconds);
  file.set_lower_bound_seconds(plan.lower_bound_seconds);
  file.set_graph_fingerprint(plan.graph_fingerprint);
  for (const std::string& name : plan.device_names) file.add_device_names(name);
  for (const Placement& placement : plan.placements) {
    file.add_devices(placement.device.value);
    file.add_priorities(placement.priority);
  }
  const FileForm form = form_of(path);
  if (form == FileForm::kBinary) file.set_checksum(checksum_of(file));
  write_message(file, path, form, "save_plan");
}

Plan load_plan(const std::string& path) {
  const FileForm form = form_of(path);
  return load_message<proto::Plan>(path, form, "plan", "a plan", [&](const proto::Plan& file) {
    if (form == FileForm::kBinary && file.checksum() != checksum_of(file)) {
      throw std::invalid_argument("expected a plan, got damaged bytes");
    }
    if (file.devices_size() != file.priorities_size()) {
      throw std::invalid_argument(fmt::format("expected as many devices as priorities, got {} and {}",
                                              file.devices_size(), file.priorities_size()));
    }
    Plan plan;
    plan.policy = file.policy();
    plan.micro_batches = file.micro_batches();
    plan.strict_order = file.strict_order();
    plan.predicted_seconds = file.predicted_seconds();
    plan.lower_bound_seconds = file.lower_bound_seconds();
    plan.graph_fingerprint = file.graph_fingerprint();
    plan.device_names.assign(file.device_names().begin(), file.device_names().end());
    for (int i = 0; i < file.devices_size(); ++i) {
      plan.placements.push_back({DeviceId(file.devices(i)), file.priorities(i)});
    }
    return plan;
  });
}

}  // namespace skua
