#include "placed_step.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace skua::cli {
namespace {

Plan placed(const TaskGraph& tasks, const std::function<int(std::size_t)>& device_of) {
  Plan plan;
  for (std::size_t i = 0; i < tasks.task_count(); ++i) {
    plan.placements.push_back({DeviceId(device_of(i)), -static_cast<double>(i)});
  }
  return plan;
}

}  // namespace

PlacedStep::PlacedStep(const TimedGraph& timed, int devices, const std::function<int(std::size_t)>& device_of)
    : cluster_(make_cluster(fmt::format("cpu:{}", devices))),
      problem_(timed, cluster_),
      tasks_(problem_.graph, 1),
      schedule_(tasks_, cluster_, placed(tasks_, device_of)),
      costs_(std::make_unique<CostTable>(tasks_, cluster_, problem_.costs)) {
  assert(std::ranges::is_sorted(problem_.positions));
}

void PlacedStep::set_estimate(double seconds) {
  const std::string& kind = cluster_.device(DeviceId(0)).kind;  // all devices are of it
  for (const CostKey& key : tasks_.cost_keys()) problem_.costs.set(key.signature, kind, seconds);
  costs_ = std::make_unique<CostTable>(tasks_, cluster_, problem_.costs);
}

}  // namespace skua::cli
