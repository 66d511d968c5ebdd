// What the constraints on layers mean for tasks.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string_view>
#include <utility>

#include "skua/scheduler/task_graph.h"

namespace skua {

struct TaskGraph::Demands {
  TaskGraph& result;
  const Graph& graph = result.graph_;
  const Constraints& constraints = result.constraints_;
  std::vector<std::pair<std::string_view, std::size_t>> by_name = {};  // nodes
  std::vector<std::vector<std::size_t>> tasks_of = {};                 // by node

  void resolve() {
    if (!constraints.on_layers()) return;
    result.demands_.resize(result.tasks_.size());
    for (std::size_t n = 0; n < graph.node_count(); ++n) by_name.emplace_back(graph.nodes()[n].name, n);
    std::sort(by_name.begin(), by_name.end());
    tasks_of.resize(graph.node_count());
    for (std::size_t i = 0; i < result.tasks_.size(); ++i) tasks_of[node_of(task_id(i)).index()].push_back(i);
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

  // Throws where `what` names a layer that there is not.
  std::vector<std::size_t> nodes_of(const std::string& layer, const char* what) const {
    std::vector<std::size_t> nodes;
    const auto at = [&](const std::string& name) {
      return std::lower_bound(by_name.begin(), by_name.end(), std::pair<std::string_view, std::size_t>(name, 0));
    };
    for (auto it = at(layer); it != by_name.end() && it->first == layer; ++it) nodes.push_back(it->second);
    const std::string prefix = layer + ".";
    for (auto it = at(prefix); it != by_name.end() && it->first.starts_with(prefix); ++it) nodes.push_back(it->second);
    if (!nodes.empty()) return nodes;
    throw std::invalid_argument(fmt::format("[{}] expected a layer of the graph, got '{:.80}'", what, layer));
  }

  template <class Action>
  void for_each_demand(const std::string& layer, const char* what, Action action) {
    for (const std::size_t node : nodes_of(layer, what)) {
      for (const std::size_t task : tasks_of[node]) action(result.demands_[task]);
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
        for (const std::size_t n : nodes_of(layer, "colocation")) {
          const std::size_t before = std::exchange(colocation[n], c);
          if (before != kNone && before != c) std::replace(colocation.begin(), colocation.end(), before, c);
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
