// What the constraints on layers mean for tasks.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <utility>

#include "skua/scheduler/task_graph.h"

namespace skua {

struct TaskGraph::Demands {
  TaskGraph& result;
  const Graph& graph = result.graph_;
  const Constraints& constraints = result.constraints_;

  void resolve() {
    if (constraints.pins.empty() && constraints.colocations.empty() && constraints.priorities.empty() &&
        constraints.deadlines.empty()) {
      return;
    }
    result.demands_.resize(result.tasks_.size());
    resolve_pins();
    resolve_colocations();
    resolve_priorities();
    resolve_deadlines();
  }

 private:
  static TaskId task_id(std::size_t i) { return TaskId(static_cast<std::int64_t>(i)); }

  // Whose layer the task is of.
  NodeId node_of(TaskId id) const {
    const Task& task = result.task(id);
    return task.kind == TaskKind::kReduce ? graph.value(task.value).producer : task.node;
  }

  // By node. Throws where `what` names a layer that there is not.
  std::vector<bool> nodes_of(const std::string& layer, const char* what) const {
    std::vector<bool> nodes;
    for (const Node& node : graph.nodes()) nodes.push_back(node.name == layer || node.name.starts_with(layer + "."));
    if (std::find(nodes.begin(), nodes.end(), true) != nodes.end()) return nodes;
    throw std::invalid_argument(fmt::format("[{}] expected a layer of the graph, got '{}'", what, layer));
  }

  template <class Action>
  void for_each_demand(const std::string& layer, const char* what, Action action) {
    const std::vector<bool> nodes = nodes_of(layer, what);
    for (std::size_t i = 0; i < result.demands_.size(); ++i) {
      if (nodes[node_of(task_id(i)).index()]) action(result.demands_[i]);
    }
  }

  void resolve_pins() {
    for (std::size_t p = 0; p < constraints.pins.size(); ++p) {
      const Constraints::Pin& pin = constraints.pins[p];
      if (pin.devices.empty()) {
        throw std::invalid_argument(fmt::format("[pin {}] expected 1 device or more, got none", pin.layer));
      }
      for_each_demand(pin.layer, "pin", [&](TaskDemand& demand) { demand.pins.push_back(p); });
    }
  }

  // Colocations that share a node are one. Sums stay with their left operand.
  void resolve_colocations() {
    constexpr std::size_t kNone = static_cast<std::size_t>(-1);
    std::vector<std::size_t> colocation(graph.node_count(), kNone);  // by node
    for (std::size_t c = 0; c < constraints.colocations.size(); ++c) {
      const std::vector<std::string>& layers = constraints.colocations[c].layers;
      if (layers.empty()) throw std::invalid_argument("[colocation] expected 1 layer or more, got none");
      for (const std::string& layer : layers) {
        const std::vector<bool> nodes = nodes_of(layer, "colocation");
        for (std::size_t n = 0; n < nodes.size(); ++n) {
          if (!nodes[n]) continue;
          const std::size_t before = std::exchange(colocation[n], c);
          if (before != kNone) std::replace(colocation.begin(), colocation.end(), before, c);
        }
      }
    }
    std::map<std::pair<std::size_t, int>, GroupId> groups;  // by colocation and micro-batch
    for (std::size_t i = 0; i < result.tasks_.size(); ++i) {
      const Task& task = result.tasks_[i];
      if (task.kind == TaskKind::kReduce || colocation[task.node.index()] == kNone) continue;
      const GroupId next(static_cast<std::int64_t>(result.groups_.size()));
      const auto [group, is_new] = groups.emplace(std::pair(colocation[task.node.index()], task.micro_batch), next);
      if (is_new) result.groups_.emplace_back();
      result.groups_[group->second.index()].push_back(task_id(i));
      result.demands_[i].group = group->second;
    }
  }

  void resolve_priorities() {
    for (const Constraints::Priority& priority : constraints.priorities) {
      if (!std::isfinite(priority.priority)) {
        throw std::invalid_argument(
            fmt::format("[priority {}] expected a finite number, got {}", priority.layer, priority.priority));
      }
      for_each_demand(priority.layer, "priority", [&](TaskDemand& demand) { demand.priority = priority.priority; });
    }
    for (std::size_t i = result.tasks_.size(); i-- > 0;) {
      double& priority = result.demands_[i].priority;
      for (const TaskId next : result.successors(task_id(i))) {
        priority = std::max(priority, result.demands_[next.index()].priority);
      }
    }
  }

  void resolve_deadlines() {
    for (const Constraints::Deadline& deadline : constraints.deadlines) {
      if (!(std::isfinite(deadline.seconds) && deadline.seconds > 0)) {
        throw std::invalid_argument(
            fmt::format("[deadline {}] expected seconds above 0, got {}", deadline.layer, deadline.seconds));
      }
      for_each_demand(deadline.layer, "deadline", [&](TaskDemand& demand) {
        demand.deadline_seconds = std::min(demand.deadline_seconds, deadline.seconds);
      });
    }
  }
};

void TaskGraph::resolve_demands() {
  Demands{*this}.resolve();
}

}  // namespace skua
