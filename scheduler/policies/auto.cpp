#include <algorithm>
#include <limits>
#include <set>

#include "twins.h"

namespace skua {
namespace {

// What candidates take on one thread, about: by places, which are tasks times devices.
constexpr double kPlacesPerSecond = 1e6;         // list schedulers, the simulation of the plan included
constexpr double kSquaredPlacesPerSecond = 5e6;  // `linear`
constexpr double kSquaredTasksPerSecond = 1e7;   // `m_sct`, of the tasks of one micro-batch
// Of the budget: for each of those that go on as long as they may, and what `linear` may take.
constexpr double kShare = 0.05;
constexpr double kLinearShare = 0.1;
constexpr std::size_t kMostExactTasks = 12;
constexpr double kNearBound = 1.01;  // a search begins where the best plan is further from the lower bound
constexpr double kEqual = 1 + 1e-9;  // makespans that differ by less are sums of the same times in other orders

std::size_t used_devices(const Plan& plan) {
  std::set<DeviceId> devices;
  for (const Placement& placement : plan.placements) devices.insert(placement.device);
  return devices.size();
}

// Candidates within a budget of work, and the plans that they have made.
class Portfolio {
 public:
  Portfolio(const CostTable& costs, double budget_seconds) : costs_(costs), left_seconds_(budget_seconds) {}

  // A candidate that takes longer than what is left of the budget is passed over, unless it is `always` there.
  void add(const std::string& name, double seconds, std::function<Plan()> make, bool always = false) {
    if (seconds > left_seconds_ && !always) return;
    left_seconds_ -= seconds;
    waiting_.push_back({name, std::move(make)});
  }
  // Makes the plans of the candidates that were added since the last time.
  void run() {
    for (ScoredPlan& scored : make_plans(costs_, waiting_)) plans_.push_back(std::move(scored));
    for (Candidate& candidate : waiting_) names_.push_back(std::move(candidate.name));
    waiting_.clear();
  }
  [[nodiscard]] std::vector<ScoredPlan> known() const { return best_first(plans_); }

  // The shortest plan; of equal ones that on the fewest devices, of these the first. With the best bound of all.
  [[nodiscard]] Plan best() const {
    double least = std::numeric_limits<double>::infinity();
    double bound = 0;
    for (const ScoredPlan& scored : plans_) {
      least = std::min(least, scored.seconds);
      bound = std::max(bound, scored.plan.lower_bound_seconds);
    }
    std::size_t best = 0;
    std::size_t fewest = std::numeric_limits<std::size_t>::max();
    for (std::size_t i = 0; i < plans_.size(); ++i) {
      if (plans_[i].plan.placements.empty() || plans_[i].seconds > least * kEqual) continue;
      const std::size_t used = used_devices(plans_[i].plan);
      if (used >= fewest) continue;
      best = i;
      fewest = used;
    }
    Plan plan = plans_[best].plan;
    plan.policy = "auto (" + names_[best] + ")";
    plan.lower_bound_seconds = bound;
    return plan;
  }

 private:
  const CostTable& costs_;
  double left_seconds_;
  std::vector<Candidate> waiting_;
  std::vector<std::string> names_;  // by plan
  std::vector<ScoredPlan> plans_;
};

// A portfolio: `single` on every kind of device, `data_parallel` on the k fastest, the list schedulers and pipelines;
// then `convex`, `linear` where its program is small, `exact` where the graph is tiny; then, away from the lower bound,
// both searches, which begin with all those plans. What is in it depends on the graph, the cluster and the budget
// alone.
class Auto final : public Policy {
 public:
  explicit Auto(double budget_seconds) : budget_seconds_(budget_seconds) {}

  // `single` and `data_parallel` on all devices are always tried, the others as far as the budget goes.
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    const CostTable costs(graph, cluster, model);
    (void)blank_plan(costs);  // throws where no device can run a task
    Portfolio portfolio(costs, budget_seconds_);
    add_placements(portfolio, costs);
    add_policies(portfolio, costs, model);
    portfolio.run();
    std::vector<ScoredPlan> known = portfolio.known();
    if (known.empty()) {  // memory or constraints are tight: all of them, whatever they take
      add_policies(portfolio, costs, model, true);
      portfolio.run();
      known = portfolio.known();
    }
    const double bound = lower_bound_seconds(costs);
    if (known.empty() || known.front().seconds <= bound * kEqual) return portfolio.best();
    add_programs(portfolio, costs, model, known);
    portfolio.run();
    known = portfolio.known();
    if (known.front().seconds > bound * kNearBound) {
      const double share = share_seconds();
      portfolio.add("genetic", share, [&] { return genetic_plan(costs, known, share); });
      portfolio.add("annealing", share, [&] { return annealing_plan(costs, known, share); });
      portfolio.run();
    }
    return portfolio.best();
  }

 private:
  [[nodiscard]] double share_seconds() const { return budget_seconds_ * kShare; }
  static double places(const CostTable& costs) {
    return static_cast<double>(costs.graph().task_count() * costs.cluster().device_count());
  }

  // `single` on each device that is not like another one, `data_parallel` on the fastest ones.
  static void add_placements(Portfolio& portfolio, const CostTable& costs) {
    const double seconds = places(costs) / kPlacesPerSecond;
    const std::vector<DeviceId> devices = fastest_devices(costs);
    const std::vector<DeviceId> like = twins(costs);
    for (const DeviceId device : devices) {
      if (like[device.index()].valid()) continue;
      portfolio.add(
          "single", seconds, [&costs, device] { return single_plan(costs, device); }, device == devices.front());
    }
    for (std::size_t k = devices.size(); k > 1; --k) {
      const bool all = k == devices.size();
      const std::vector<DeviceId> some(devices.begin(), devices.begin() + static_cast<std::ptrdiff_t>(k));
      portfolio.add(
          all ? "data_parallel" : "data_parallel on " + std::to_string(k), seconds,
          [&costs, some] { return data_parallel_plan(costs, some); }, all);
    }
  }

  static void add_policies(Portfolio& portfolio, const CostTable& costs, const CostModel& model, bool always = false) {
    const TaskGraph& graph = costs.graph();
    const double seconds = places(costs) / kPlacesPerSecond;
    const auto add = [&](const char* name, double program_seconds) {
      portfolio.add(
          name, seconds + program_seconds,
          [&, name] { return make_policy(name)->make_plan(graph, costs.cluster(), model); }, always);
    };
    for (const char* name : kQuickPolicies) add(name, 0);
    const auto part = static_cast<double>(graph.task_count()) / graph.micro_batches();
    add("m_sct", part * part / kSquaredTasksPerSecond);
  }

  // Those that solve programs, and the best plan there is where it is quickly found.
  void add_programs(Portfolio& portfolio, const CostTable& costs, const CostModel& model,
                    const std::vector<ScoredPlan>& known) const {
    const double share = share_seconds();
    const double linear = places(costs) * places(costs) / kSquaredPlacesPerSecond;
    if (linear <= budget_seconds_ * kLinearShare) {
      portfolio.add("linear", linear, [&, share] { return linear_plan(costs, known, share); });
    }
    portfolio.add("convex", share + places(costs) / kPlacesPerSecond, [&, share] {
      return make_policy("convex", {"", share})->make_plan(costs.graph(), costs.cluster(), model);
    });
    if (costs.graph().task_count() > kMostExactTasks) return;
    portfolio.add("exact", share, [&, share] { return exact_plan(costs, known, share); });
  }

  double budget_seconds_;
};

}  // namespace

std::unique_ptr<Policy> make_auto_policy(const PolicyOptions& options) {
  return std::make_unique<Auto>(options.plan_seconds);
}

}  // namespace skua
