// Small task graphs, and all their schedules, one by one.
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <vector>

#include "skua/graph/random.h"
#include "skua/scheduler/task_file.h"

namespace skua::test {

inline constexpr double kRounding = 1e-6;  // copies last whole multiples of 4 ns

// All orders in which the tasks can be appended to devices, every one walked to its end.
class AllSchedules {
 public:
  AllSchedules(const TimedGraph& graph, int devices)
      : graph_(graph), devices_(devices), device_(graph.tasks.size(), -1), finish_(graph.tasks.size(), 0) {
    free_.assign(static_cast<std::size_t>(devices), 0);
  }
  // Whether a task may be appended, by its device and finish: `places` are those of the tasks before it, and its own.
  using Allows = std::function<bool(std::size_t task, double finish, const std::vector<int>& places)>;
  Allows allows = [](std::size_t, double, const std::vector<int>&) { return true; };
  // Times differ by the device where `slow` says so: odd devices take so many times as long.
  double least_makespan(double slow) {
    slow_ = slow;
    walk(0, 0);
    return least_;
  }
  // How many of them there are, as far as `most`.
  static double count(const TimedGraph& graph, int devices) {
    const std::size_t n = graph.tasks.size();
    std::vector<double> orders(std::size_t{1} << n, 0);
    orders[0] = 1;
    for (std::size_t set = 0; set < orders.size(); ++set) {
      for (std::size_t i = 0; orders[set] > 0 && i < n; ++i) {
        if ((set >> i & 1) == 0 && ready(graph, i, [&](std::size_t j) { return (set >> j & 1) != 0; })) {
          orders[set | std::size_t{1} << i] += orders[set] * devices;
        }
      }
    }
    return orders.back();
  }

 private:
  template <class Done>
  static bool ready(const TimedGraph& graph, std::size_t task, Done done) {
    return std::all_of(graph.edges.begin(), graph.edges.end(), [&](const TimedEdge& edge) {
      return std::find(edge.to.begin(), edge.to.end(), task) == edge.to.end() || done(edge.from);
    });
  }

  void walk(std::size_t placed, double makespan) {
    if (placed == graph_.tasks.size()) {
      least_ = std::min(least_, makespan);
      return;
    }
    for (std::size_t i = 0; i < graph_.tasks.size(); ++i) {
      if (device_[i] >= 0 || !ready(graph_, i, [&](std::size_t j) { return device_[j] >= 0; })) continue;
      for (int d = 0; d < devices_; ++d) {
        double start = free_[static_cast<std::size_t>(d)];
        for (const TimedEdge& edge : graph_.edges) {
          if (std::find(edge.to.begin(), edge.to.end(), i) == edge.to.end()) continue;
          const double copy = device_[edge.from] == d ? 0 : edge.bytes / kTimedBytesPerSecond;
          start = std::max(start, finish_[edge.from] + copy);
        }
        const double was_free = free_[static_cast<std::size_t>(d)];
        const double seconds = graph_.tasks[i].seconds.begin()->second * (d % 2 == 1 ? slow_ : 1);
        device_[i] = d;
        finish_[i] = free_[static_cast<std::size_t>(d)] = start + seconds;
        if (allows(i, finish_[i], device_)) walk(placed + 1, std::max(makespan, finish_[i]));
        free_[static_cast<std::size_t>(d)] = was_free;
        device_[i] = -1;
      }
    }
  }

  const TimedGraph& graph_;
  int devices_;
  double slow_ = 1;
  std::vector<int> device_;
  std::vector<double> finish_;
  std::vector<double> free_;
  double least_ = std::numeric_limits<double>::infinity();
};

// 2 to 10 tasks, some of which take no time, with copies that take up to a few times as long as tasks.
inline TimedGraph random_timed_graph(Random& random) {
  TimedGraph graph;
  const std::size_t count = 2 + random.below(9);
  const double copy_ratio = static_cast<double>(random.below(4));
  for (std::size_t i = 0; i < count; ++i) {
    graph.tasks.push_back({fmt::format("t{}", i), {{"device", static_cast<double>(random.below(10))}}});
    TimedEdge edge{i, {}, static_cast<double>(random.below(10)) * copy_ratio * kTimedBytesPerSecond};
    for (std::size_t to = i + 1; to < count; ++to) {
      if (random.below(3) == 0) edge.to.push_back(to);
    }
    if (!edge.to.empty()) graph.edges.push_back(edge);
  }
  return graph;
}

// Odd devices are of another kind, on which everything takes `slow` times as long.
struct SmallProblem {
  SmallProblem(TimedGraph graph, int devices, double slow) : timed(std::move(graph)), cluster(timed_cluster(devices)) {
    for (TimedTask& task : timed.tasks) task.seconds["odd"] = task.seconds.at("device") * slow;
    std::vector<DeviceSpec> specs = cluster.devices();
    for (std::size_t d = 1; d < specs.size(); d += 2) specs[d].kind = "odd";
    cluster = Cluster(cluster.name(), specs, cluster.memories(), cluster.links());
  }
  TimedGraph timed;
  Cluster cluster;
};

}  // namespace skua::test
