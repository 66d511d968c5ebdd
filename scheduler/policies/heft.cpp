#include <algorithm>
#include <limits>
#include <map>

#include "builtin.h"

namespace skua {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Mean seconds of a copy between two different devices' memories, as a line over bytes.
struct MeanCopy {
  double latency_seconds = 0;
  double seconds_per_byte = 0;

  explicit MeanCopy(const Cluster& cluster) {
    const auto pairs = static_cast<double>(cluster.device_count() * (cluster.device_count() - 1));
    for (const DeviceSpec& a : cluster.devices()) {
      for (const DeviceSpec& b : cluster.devices()) {
        if (&a == &b) continue;
        const double latency = cluster.copy_seconds(0, a.memory, b.memory);
        latency_seconds += latency / pairs;
        seconds_per_byte += (cluster.copy_seconds(1, a.memory, b.memory) - latency) / pairs;
      }
    }
  }
};

// The longest way from the task to the end of the step, by mean times: eq. 5 of the paper.
std::vector<double> upward_ranks(const CostTable& costs) {
  const TaskGraph& graph = costs.graph();
  const MeanCopy copy(costs.cluster());
  std::vector<double> ranks(graph.task_count(), 0);
  for (std::size_t i = graph.task_count(); i-- > 0;) {
    const TaskId id(static_cast<std::int64_t>(i));
    double longest = 0;
    for (TaskId next : graph.successors(id)) longest = std::max(longest, ranks[next.index()]);
    for (DatumId output : graph.outputs(id)) {
      const double seconds = copy.latency_seconds + graph.datum(output).bytes * copy.seconds_per_byte;
      for (TaskId next : graph.consumers(output)) longest = std::max(longest, seconds + ranks[next.index()]);
    }
    ranks[i] = costs.mean_seconds(id) + longest;
  }
  return ranks;
}

// A device's idle times so far, the last one without end.
class Gaps {
 public:
  // The earliest start of a task that is ready at `ready`, not before.
  [[nodiscard]] double start(double ready, double seconds) const {
    for (auto gap = by_end_.upper_bound(ready); gap != by_end_.end(); ++gap) {
      const double start = std::max(ready, gap->second);
      if (start + seconds <= gap->first) return start;
    }
    return std::max(ready, by_end_.rbegin()->second);
  }
  // Takes [start, start + seconds]. Gaps shorter than `shortest` are of no use and are forgotten.
  void take(double start, double seconds, double shortest) {
    const auto gap = by_end_.lower_bound(start + seconds);
    const auto [end, begin] = *gap;
    by_end_.erase(gap);
    if (start - begin >= shortest) by_end_.emplace(start, begin);
    if (end - (start + seconds) >= shortest) by_end_.emplace(end, start + seconds);
  }

 private:
  std::map<double, double> by_end_{{kInfinity, 0}};  // end -> begin
};

class Heft final : public Policy {
 public:
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    const std::vector<double> ranks = upward_ranks(costs);
    std::vector<TaskId> order;
    double shortest = kInfinity;
    for (std::size_t i = 0; i < graph.task_count(); ++i) {
      order.push_back(TaskId(static_cast<std::int64_t>(i)));
      shortest = std::min(shortest, costs.fastest_seconds(order.back()));
    }
    std::stable_sort(order.begin(), order.end(),
                     [&](TaskId a, TaskId b) { return ranks[a.index()] > ranks[b.index()]; });

    Plan plan = blank_plan(costs);
    Arrivals arrivals(costs, plan);
    std::vector<Gaps> gaps(cluster.device_count());
    for (TaskId id : order) {
      double best_start = 0;
      double best_finish = kInfinity;
      DeviceId best;
      for (std::size_t d = 0; d < gaps.size(); ++d) {
        const DeviceId device(static_cast<std::int64_t>(d));
        if (!arrivals.allows(id, device)) continue;
        const double seconds = costs.seconds(id, device);
        const double start = gaps[d].start(arrivals.ready_seconds(id, device), seconds);
        if (start + seconds >= best_finish) continue;
        best_start = start;
        best_finish = start + seconds;
        best = device;
      }
      gaps[best.index()].take(best_start, best_finish - best_start, shortest);
      arrivals.place(id, best, best_finish);
      plan.placements[id.index()] = {best, -best_start};
    }
    return plan;
  }
};

}  // namespace

std::unique_ptr<Policy> make_heft_policy(const PolicyOptions&) {
  return std::make_unique<Heft>();
}

}  // namespace skua
