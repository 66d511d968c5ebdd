#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "anchors.h"

namespace skua {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// starts[k][b]: where the k-th stage begins, if the first k devices have the forward nodes before border b so that the
// slowest stage or border takes least; the first of equal ones. `before`: work by device before each border.
std::vector<std::vector<std::size_t>> stage_starts(const CostTable& costs, const std::vector<DeviceId>& devices,
                                                   const std::vector<std::vector<double>>& before,
                                                   const std::vector<double>& border_bytes) {
  const Cluster& cluster = costs.cluster();
  const std::size_t count = before.front().size() - 1;
  // What it takes: it grows with b, and the work of the last stage falls with its start, so that the best start is near
  // where the two meet.
  std::vector<std::vector<double>> least(devices.size() + 1, std::vector<double>(count + 1, kInfinity));
  std::vector<std::vector<std::size_t>> starts(devices.size() + 1, std::vector<std::size_t>(count + 1, 0));
  least[0][0] = 0;
  for (std::size_t k = 1; k <= devices.size(); ++k) {
    for (std::size_t b = 0; b <= count; ++b) {
      const auto work = [&](std::size_t start) { return before[k - 1][b] - before[k - 1][start]; };
      const auto slowest = [&](std::size_t start) {
        const double border = k > 1 && start < b && start > 0
                                  ? cluster.copy_seconds(border_bytes[start], cluster.device(devices[k - 2]).memory,
                                                         cluster.device(devices[k - 1]).memory)
                                  : 0;
        return std::max({least[k - 1][start], work(start), border});
      };
      std::size_t meeting = 0;
      for (std::size_t far = b; meeting < far;) {
        const std::size_t middle = (meeting + far) / 2;
        least[k - 1][middle] < work(middle) ? meeting = middle + 1 : far = middle;
      }
      for (std::size_t start = meeting; start <= b && least[k - 1][start] < least[k][b]; ++start) {
        if (slowest(start) >= least[k][b]) continue;
        least[k][b] = slowest(start);
        starts[k][b] = start;
      }
      for (std::size_t start = meeting; start-- > 0 && work(start) <= least[k][b];) {  // the first of equal ones
        if (slowest(start) > least[k][b] || std::isinf(slowest(start))) continue;
        least[k][b] = slowest(start);
        starts[k][b] = start;
      }
    }
  }
  return starts;
}

// Runs of forward nodes on the devices in turn, so that the slowest stage or border between two takes least for one
// micro-batch, forward and backward. By forward node its stage. The dynamic programme over borders is that of
// PipeDream (Narayanan et al., SOSP 2019, section 3.1) without replicas.
std::vector<std::size_t> balanced_stages(const CostTable& costs, const Anchors& anchors,
                                         const std::vector<DeviceId>& devices) {
  const TaskGraph& tasks = costs.graph();
  const Graph& graph = tasks.graph();
  const std::size_t count = anchors.count();
  double step_seconds = 0;
  for (std::size_t i = 0; i < tasks.task_count(); ++i) {
    step_seconds += costs.fastest_seconds(TaskId(static_cast<std::int64_t>(i)));
  }
  std::vector<std::vector<double>> before(devices.size(), std::vector<double>(count + 1, 0));  // work before a border
  std::vector<double> border_bytes(count + 2, 0);  // until summed, what comes to it and goes at a border
  for (std::size_t i = 0; i < tasks.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    const Task& task = tasks.task(id);
    if (task.kind != TaskKind::kCompute || task.micro_batch != 0) continue;
    const std::size_t anchor = anchors.of(task.node);
    for (std::size_t d = 0; d < devices.size(); ++d) {  // a task that the device may not run is dearer than all others
      before[d][anchor + 1] += std::min(costs.seconds(id, devices[d]), step_seconds);
    }
    if (graph.node(task.node).phase != Phase::kForward) continue;
    for (const DatumId output : tasks.outputs(id)) {
      std::size_t last = anchor;
      for (const TaskId reader : tasks.consumers(output)) {
        const NodeId node = tasks.task(reader).node;
        if (node.valid() && graph.node(node).phase == Phase::kForward) last = std::max(last, anchors.of(node));
      }
      if (last == anchor) continue;
      border_bytes[anchor + 1] += tasks.datum(output).bytes;  // whole numbers: sums of them are exact
      border_bytes[last + 1] -= tasks.datum(output).bytes;
    }
  }
  for (std::size_t b = 1; b <= count; ++b) border_bytes[b] += border_bytes[b - 1];
  for (auto& work : before) {
    for (std::size_t b = 1; b <= count; ++b) work[b] += work[b - 1];
  }
  const auto starts = stage_starts(costs, devices, before, border_bytes);
  std::vector<std::size_t> stages(count);
  std::size_t end = count;
  for (std::size_t k = devices.size(); k > 0; --k) {
    for (std::size_t i = starts[k][end]; i < end; ++i) stages[i] = k - 1;
    end = starts[k][end];
  }
  return stages;
}

// When a stage of `stages` does a forward or backward pass of a micro-batch, as a position in its order.
// GPipe: all forward passes, then all backward ones. Huang et al., NeurIPS 2019.
double gpipe_turn(bool backward, int micro_batch, int micro_batches, std::size_t, std::size_t) {
  return backward ? micro_batches + micro_batch : micro_batch;
}

// 1F1B: as many forward passes as stages follow, then one forward and one backward pass in turn. Narayanan et al.,
// "Memory-efficient pipeline-parallel DNN training", ICML 2021 (PipeDream-Flush).
double one_f_one_b_turn(bool backward, int micro_batch, int micro_batches, std::size_t stage, std::size_t stages) {
  const int ahead = std::min(static_cast<int>(stages - 1 - stage), micro_batches);
  if (!backward) return micro_batch < ahead ? micro_batch : ahead + 2 * (micro_batch - ahead);
  const int forwards_left = micro_batches - ahead;  // after the first ones
  return micro_batch < forwards_left ? ahead + 2 * micro_batch + 1 : ahead + forwards_left + micro_batch;
}

using Turn = double (*)(bool backward, int micro_batch, int micro_batches, std::size_t stage, std::size_t stages);

// Forward nodes in contiguous stages, one a device; the rest of a node's work where the node is.
class Pipeline final : public Policy {
 public:
  explicit Pipeline(Turn turn) : turn_(turn) {}

  [[nodiscard]] Plan make_plan(const TaskGraph& tasks, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(tasks, cluster, model);
    Plan plan = blank_plan(costs);
    plan.strict_order = true;
    const Graph& graph = tasks.graph();
    const Anchors anchors(graph);
    const std::vector<DeviceId> devices = fastest_devices(costs);
    std::vector<std::size_t> stages = balanced_stages(costs, anchors, devices);
    const std::size_t used = drop_empty(stages);
    const double after_all = 2.0 * tasks.micro_batches();
    for (std::size_t i = 0; i < tasks.task_count(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      const Task& task = tasks.task(id);
      Placement& placement = plan.placements[i];
      const double within_turn = static_cast<double>(i) / static_cast<double>(tasks.task_count());
      if (task.kind != TaskKind::kCompute) {
        const std::size_t anchor = task.kind == TaskKind::kUpdate ? anchors.of_update(tasks, id) : Anchors::kNone;
        placement = {
            anchor != Anchors::kNone ? devices[stages[anchor]] : producer_device(tasks, plan, id, devices.front()),
            -after_all - within_turn};
        continue;
      }
      const std::size_t stage = stages[anchors.of(task.node)];
      const bool backward = graph.node(task.node).phase == Phase::kBackward;
      placement = {devices[stage],
                   -turn_(backward, task.micro_batch, tasks.micro_batches(), stage, used) - within_turn};
    }
    return plan;
  }

 private:
  // Numbers the stages that have nodes without gaps; gives how many they are. Devices without nodes come last.
  static std::size_t drop_empty(std::vector<std::size_t>& stages) {
    std::map<std::size_t, std::size_t> numbers;
    for (std::size_t& stage : stages) stage = numbers.emplace(stage, numbers.size()).first->second;
    return numbers.size();
  }

  Turn turn_;
};

}  // namespace

std::unique_ptr<Policy> make_gpipe_policy(const PolicyOptions&) {
  return std::make_unique<Pipeline>(gpipe_turn);
}

std::unique_ptr<Policy> make_1f1b_policy(const PolicyOptions&) {
  return std::make_unique<Pipeline>(one_f_one_b_turn);
}

}  // namespace skua
