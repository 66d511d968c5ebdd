#include "dynamic_plan.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <limits>
#include <queue>
#include <tuple>
#include <vector>

namespace skua::cli {
namespace {

class DynamicRun {
 public:
  DynamicRun(const CostTable& costs, const SimulationOptions& options)
      : costs_(costs),
        graph_(costs.graph()),
        cluster_(costs.cluster()),
        options_(options),
        devices_(cluster_.device_count()),
        waits_(graph_.task_count()),
        ready_at_(graph_.task_count(), 0),
        memories_(graph_.datum_count()) {
    plan_.placements.resize(graph_.task_count());
    plan_.micro_batches = graph_.micro_batches();
    plan_.policy = "dynamic";
    plan_.graph_fingerprint = graph_.fingerprint();
    for (const DeviceSpec& device : cluster_.devices()) plan_.device_names.push_back(device.name);
  }

  Plan run() {
    for (std::size_t i = 0; i < graph_.task_count(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      waits_[i] = graph_.predecessors(id).size();
      if (waits_[i] == 0) ready_.emplace(0.0, id);
    }
    while (!ready_.empty()) {
      const auto [now, task] = ready_.top();
      ready_.pop();
      place(task, now);
    }
    return std::move(plan_);
  }

 private:
  struct Device {
    std::deque<std::pair<double, double>> queue;  // of what has not ended: real finish, expected seconds
    double free_at = 0;                           // really
  };
  using Ready = std::pair<double, TaskId>;  // since when; the smaller id first

  void place(TaskId task, double now) {
    double earliest = std::numeric_limits<double>::infinity();
    DeviceId best;
    for (std::size_t d = 0; d < devices_.size(); ++d) {
      const DeviceId device(static_cast<std::int64_t>(d));
      if (!allowed(task, device)) continue;
      const double finish =
          std::max(expected_free(devices_[d], now), now + fetch_seconds(task, device)) + costs_.seconds(task, device);
      if (finish < earliest) std::tie(earliest, best) = std::pair(finish, device);
    }
    start(task, best, now);
  }

  // A sum is made in place of its left operand, an update where its parameter lies: there is no choice.
  [[nodiscard]] bool allowed(TaskId task, DeviceId device) const {
    if (!std::isfinite(costs_.seconds(task, device))) return false;
    if (graph_.task(task).kind == TaskKind::kCompute) return true;
    const auto& places = memories_[graph_.datum(graph_.inputs(task)[0]).storage.index()];
    return places.empty() || places.front() == memory(device);
  }

  // By what it knows: what has ended until now, and estimates of the rest.
  static double expected_free(Device& device, double now) {
    while (!device.queue.empty() && device.queue.front().first <= now) device.queue.pop_front();
    double seconds = now;
    for (const auto& [finish, expected] : device.queue) seconds += expected;
    return seconds;
  }

  [[nodiscard]] double fetch_seconds(TaskId task, DeviceId device) const {
    double seconds = 0;
    for (const DatumId input : graph_.inputs(task)) {
      const auto& places = memories_[graph_.datum(input).storage.index()];
      if (std::ranges::find(places, memory(device)) != places.end()) continue;
      const bool is_new = places.empty();  // of the caller, or a parameter, which is at home where it is first read
      if (is_new && graph_.graph().value(graph_.datum(input).value).kind != ValueKind::kInput) continue;
      seconds += costs_.copy_seconds(input, is_new ? kHostMemory : places.front(), memory(device));
    }
    return seconds;
  }

  void start(TaskId task, DeviceId id, double now) {
    Device& device = devices_[id.index()];
    const double start = std::max(device.free_at, now + options_.copy_factor * fetch_seconds(task, id));
    double seconds = (options_.truth != nullptr ? *options_.truth : costs_).seconds(task, id);
    for (const Straggler& slow : options_.stragglers) {
      if (slow.device == id && slow.from_seconds <= start && start < slow.until_seconds) seconds *= slow.factor;
    }
    device.free_at = start + seconds;
    device.queue.emplace_back(device.free_at, costs_.seconds(task, id));
    for (const DatumId input : graph_.inputs(task)) {
      auto& places = memories_[graph_.datum(input).storage.index()];
      if (std::ranges::find(places, memory(id)) == places.end()) places.push_back(memory(id));
    }
    for (const DatumId output : graph_.outputs(task)) memories_[graph_.datum(output).storage.index()] = {memory(id)};
    plan_.placements[task.index()] = {id, static_cast<double>(graph_.task_count() - placed_++)};
    for (const TaskId next : graph_.successors(task)) {
      ready_at_[next.index()] = std::max(ready_at_[next.index()], device.free_at);
      if (--waits_[next.index()] == 0) ready_.emplace(ready_at_[next.index()], next);
    }
  }

  [[nodiscard]] MemoryId memory(DeviceId device) const { return cluster_.device(device).memory; }

  const CostTable& costs_;
  const TaskGraph& graph_;
  const Cluster& cluster_;
  const SimulationOptions& options_;
  std::vector<Device> devices_;
  std::vector<std::size_t> waits_;               // by task
  std::vector<double> ready_at_;                 // by task
  std::vector<std::vector<MemoryId>> memories_;  // by datum: where its storage is, home first; none: not used yet
  std::priority_queue<Ready, std::vector<Ready>, std::greater<>> ready_;
  std::size_t placed_ = 0;
  Plan plan_;
};

}  // namespace

Plan dynamic_plan(const CostTable& costs, const SimulationOptions& options) {
  return DynamicRun(costs, options).run();
}

}  // namespace skua::cli
