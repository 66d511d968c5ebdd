#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "earliest_task_first.h"
#include "list_scheduling.h"
#include "scheduler/linear_program.h"

namespace skua {
namespace {

// By task the successor that is best started where the task ran, invalid: none; each is the favourite of one task at
// most. From the linear relaxation of a program for any number of devices: x = 0 for the edge to the favourite, which
// then needs no copy. Hanen, Munier, "An approximation algorithm for scheduling dependent tasks on m processors with
// small communication delays", ETFA 1995: below one half an edge is taken.
std::vector<TaskId> favourites_of(const CostTable& costs, double budget_seconds) {
  const TaskGraph& graph = costs.graph();
  const MeanCopy copy(costs.cluster());
  LinearProgram program;
  const int makespan = program.add_variable(0, LinearProgram::kInfinity, 1);
  struct Edge {
    TaskId from;
    TaskId to;
    int away;  // variable
  };
  std::vector<Edge> edges;
  std::vector<std::vector<LinearProgram::Term>> arriving(graph.task_count());
  double scale = 0;  // times of the program are in mean times of all tasks
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    program.add_variable(0, LinearProgram::kInfinity);
    scale += costs.mean_seconds(TaskId(static_cast<std::int64_t>(i)));
  }
  if (scale == 0) scale = 1;
  const auto start = [](TaskId task) { return 1 + static_cast<int>(task.index()); };
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    const double seconds = costs.mean_seconds(id) / scale;
    program.add_row(-LinearProgram::kInfinity, {{start(id), 1}, {makespan, -1}}, -seconds);
    std::vector<LinearProgram::Term> leaving;
    for (const TaskId next : graph.successors(id)) {
      double bytes = 0;
      for (const DatumId input : graph.inputs(next)) {
        if (graph.datum(input).producer == id) bytes = std::max(bytes, graph.datum(input).bytes);
      }
      const double copy_seconds = bytes > 0 ? copy.seconds(bytes) / scale : 0;
      edges.push_back({id, next, program.add_variable(0, 1)});
      const int away = edges.back().away;
      program.add_row(-LinearProgram::kInfinity, {{start(id), 1}, {start(next), -1}, {away, copy_seconds}}, -seconds);
      leaving.push_back({away, 1});
      arriving[next.index()].push_back({away, 1});
    }
    const double others = static_cast<double>(leaving.size()) - 1;
    if (!leaving.empty()) program.add_row(others, leaving, LinearProgram::kInfinity);
  }
  for (const auto& terms : arriving) {
    const double others = static_cast<double>(terms.size()) - 1;
    if (!terms.empty()) program.add_row(others, terms, LinearProgram::kInfinity);
  }
  const LinearProgram::Solution solution = program.relax(budget_seconds);
  if (solution.values.empty()) {
    throw std::invalid_argument(fmt::format(
        "[policy m_sct] expected a program that is solved in {} s, got none: give it more time", budget_seconds));
  }
  std::vector<TaskId> favourites(graph.task_count());
  for (const Edge& edge : edges) {
    if (solution.values[static_cast<std::size_t>(edge.away)] < 0.5) favourites[edge.from.index()] = edge.to;
  }
  return favourites;
}

// Those of one micro-batch in every micro-batch: with any number of devices they do not meet.
std::vector<TaskId> in_all(const TaskGraph& graph, const TaskGraph& one, const std::vector<TaskId>& favourites) {
  std::vector<NodeId> favourite_nodes(graph.graph().node_count());
  for (std::size_t i = 0; i < favourites.size(); ++i) {
    if (!favourites[i].valid()) continue;
    favourite_nodes[one.task(TaskId(static_cast<std::int64_t>(i))).node.index()] = one.task(favourites[i]).node;
  }
  std::vector<TaskId> all(graph.task_count());
  for (std::size_t i = 0; i < all.size(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    if (graph.task(id).kind == TaskKind::kReduce) continue;
    const NodeId favourite = favourite_nodes[graph.task(id).node.index()];
    for (const TaskId next : graph.successors(id)) {
      if (favourite.valid() && graph.task(next).node == favourite) all[i] = next;
    }
  }
  return all;
}

// Small communication time scheduling within memory limits: Jeon et al., "Baechi: fast device placement of machine
// learning graphs", SoCC 2020, m-SCT.
class MSct final : public Policy {
 public:
  explicit MSct(double budget_seconds) : budget_seconds_(budget_seconds) {}
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    (void)blank_plan(costs);  // throws where no device can run a task
    const TaskGraph one(graph.graph(), 1);
    const CostTable costs_of_one(one, cluster, model);
    return earliest_task_first_in_memory(costs, in_all(graph, one, favourites_of(costs_of_one, budget_seconds_)));
  }

 private:
  double budget_seconds_;
};

}  // namespace

std::unique_ptr<Policy> make_m_sct_policy(const PolicyOptions& options) {
  return std::make_unique<MSct>(options.plan_seconds);
}

}  // namespace skua
