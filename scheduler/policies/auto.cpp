#include <cmath>
#include <limits>
#include <stdexcept>

#include "repair.h"

namespace skua {
namespace {

// A plan on more devices, or a less regular one, must be better by so much.
constexpr double kWorthwhile = 0.999;
// A search gets so much of the budget, where the best plan is further from the lower bound.
constexpr double kSearchShare = 0.05;
constexpr double kNearBound = 1.01;
constexpr double kPlacesPerSecond = 5e5;  // devices looked at for a task, about, the simulation of the plan included

class Auto final : public Policy {
 public:
  explicit Auto(double budget_seconds) : budget_seconds_(budget_seconds) {}

  // Single and data_parallel on all devices are always tried, the others while time is left, a search last.
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    double spent_seconds = 0;
    double best_seconds = std::numeric_limits<double>::infinity();
    const auto in_time = [&] { return spent_seconds < budget_seconds_ || std::isinf(best_seconds); };
    const std::vector<DeviceId> devices = fastest_devices(costs);
    Plan best = single_plan(costs, devices.front());
    repair(best, costs);
    best.policy = "auto (single)";
    best_seconds = seconds_if_it_fits(best, costs);
    const auto consider = [&](Plan plan, const std::string& name) {
      repair(plan, costs);
      spent_seconds += static_cast<double>(graph.task_count() * devices.size()) / kPlacesPerSecond;
      const double seconds = seconds_if_it_fits(plan, costs);
      if (seconds >= best_seconds * kWorthwhile) return;
      best = std::move(plan);
      best.policy = "auto (" + name + ")";
      best_seconds = seconds;
    };
    for (std::size_t d = 1; d < devices.size() && std::isinf(best_seconds); ++d) {
      consider(single_plan(costs, devices[d]), "single");
    }
    for (std::size_t k = 2; k <= devices.size(); ++k) {
      if (k < devices.size() && !in_time()) continue;
      const std::vector<DeviceId> some(devices.begin(), devices.begin() + static_cast<std::ptrdiff_t>(k));
      consider(data_parallel_plan(costs, some), "data_parallel on " + std::to_string(k));
    }
    for (const char* name : {"heft", "peft", "cpop", "etf", "greedy", "1f1b", "gpipe"}) {
      if (devices.size() == 1 || !in_time()) continue;
      try {
        consider(make_policy(name)->make_plan(graph, cluster, model), name);
      } catch (const std::invalid_argument&) {  // a policy that does not serve this graph
      }
    }
    if (devices.size() > 1 && in_time() && best_seconds > lower_bound_seconds(costs) * kNearBound) {
      const PolicyOptions options{"", budget_seconds_ * kSearchShare};
      try {
        consider(make_policy("genetic", options)->make_plan(graph, cluster, model), "genetic");
      } catch (const std::invalid_argument&) {  // nothing to begin with: `best` says what is wrong
      }
    }
    return best;
  }

 private:
  double budget_seconds_;
};

}  // namespace

std::unique_ptr<Policy> make_auto_policy(const PolicyOptions& options) {
  return std::make_unique<Auto>(options.plan_seconds);
}

}  // namespace skua
