#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "placement_program.h"
#include "rounding.h"

namespace skua {
namespace {

constexpr double kStepsPerSecond = 1e8;  // terms of a gradient, about
constexpr double kGap = 0.005;           // of the value: solved

// Least over shares x of units on devices, which sum to 1 for each unit,
//   1/2 sum over devices of load^2 + weight * sum over edges of copy_seconds * 1/2 |X(from) - X(to)|^2,
// X: shares by memory. At a placement the second sum is that of the copies between different memories. By conditional
// gradients with exact line search; the linear subproblem's value certifies how far the least can be (Frank, Wolfe, "An
// algorithm for quadratic programming", Naval Research Logistics 3, 1956; Jaggi, "Revisiting Frank-Wolfe", ICML 2013).
// Squared loads are the convex relaxation of Azar and Epstein, "Convex programming for scheduling unrelated parallel
// machines", STOC 2005.
class QuadraticProgram {
 private:
  template <class Vector>
  [[nodiscard]] auto row(Vector& values, std::size_t unit) const {
    return values.begin() + static_cast<std::ptrdiff_t>(unit * devices_);
  }

 public:
  explicit QuadraticProgram(const CostTable& costs)
      : costs_(costs),
        devices_(costs.cluster().device_count()),
        memories_(costs.cluster().memory_count()),
        units_(costs.graph().task_count()) {
    find_units();
    find_edges();
    shares_.assign(unit_count_ * devices_, 0);
    for (std::size_t unit = 0; unit < unit_count_; ++unit) {
      const auto allowed = static_cast<double>(std::count_if(row(seconds_, unit), row(seconds_, unit + 1),
                                                             [](double seconds) { return std::isfinite(seconds); }));
      for (std::size_t d = 0; d < devices_; ++d) shares_[unit * devices_ + d] = possible(unit, d) ? 1 / allowed : 0;
    }
    fixed_.assign(unit_count_, false);
  }

  void set_weight(double weight) { weight_ = weight; }

  // Until the gap is small, or so many steps have been made. Returns what the least value is at least.
  double solve(int most_steps) {
    double value = 0;
    double gap = std::numeric_limits<double>::infinity();
    for (int step = 0; step < most_steps; ++step) {
      value = evaluate();
      gap = choose_corners();
      if (gap <= kGap * value) break;
      const double curvature = curvature_to_corners();
      const double length = curvature > 0 ? std::min(1.0, gap / curvature) : 1;
      for (std::size_t i = 0; i < shares_.size(); ++i) {
        shares_[i] += length * ((corners_[i / devices_] == i % devices_ ? 1 : 0) - shares_[i]);
      }
    }
    return std::max(0.0, value - gap);
  }

  // Fixes so many more units, those with the clearest shares first, where these are largest.
  void fix(std::size_t count) {
    std::vector<std::size_t> open;
    for (std::size_t unit = 0; unit < unit_count_; ++unit) {
      if (!fixed_[unit]) open.push_back(unit);
    }
    const auto largest = [&](std::size_t unit) {
      return *std::max_element(row(shares_, unit), row(shares_, unit + 1));
    };
    std::stable_sort(open.begin(), open.end(), [&](std::size_t a, std::size_t b) { return largest(a) > largest(b); });
    for (std::size_t i = 0; i < std::min(count, open.size()); ++i) {
      const auto begin = row(shares_, open[i]);
      const auto end = row(shares_, open[i] + 1);
      const auto best = std::max_element(begin, end);
      std::fill(begin, end, 0);
      *best = 1;
      fixed_[open[i]] = true;
    }
  }

  [[nodiscard]] std::size_t unit_count() const { return unit_count_; }
  [[nodiscard]] std::size_t term_count() const { return shares_.size() + edges_.size() * memories_; }
  [[nodiscard]] std::vector<double> shares_by_task() const {
    std::vector<double> shares;
    for (const std::size_t unit : units_) shares.insert(shares.end(), row(shares_, unit), row(shares_, unit + 1));
    return shares;
  }

 private:
  struct Edge {
    std::size_t from;
    std::size_t to;
    double copy_seconds;
  };

  [[nodiscard]] bool possible(std::size_t unit, std::size_t d) const {
    return std::isfinite(seconds_[unit * devices_ + d]);
  }
  [[nodiscard]] std::size_t memory_of(std::size_t d) const { return costs_.cluster().devices()[d].memory.index(); }

  // A task each, sums with their left operand, groups together.
  void find_units() {
    const TaskGraph& graph = costs_.graph();
    for (std::size_t i = 0; i < units_.size(); ++i) {
      const TaskId id(static_cast<std::int64_t>(i));
      const GroupId group = graph.demand(id).group;
      TaskId with;
      if (graph.task(id).kind == TaskKind::kReduce) with = graph.datum(graph.inputs(id)[0]).producer;
      if (group.valid() && graph.groups()[group.index()].front() != id) with = graph.groups()[group.index()].front();
      units_[i] = with.valid() ? units_[with.index()] : unit_count_++;
    }
    seconds_.assign(unit_count_ * devices_, 0);
    for (std::size_t i = 0; i < units_.size(); ++i) {
      for (std::size_t d = 0; d < devices_; ++d) {
        seconds_[units_[i] * devices_ + d] +=
            costs_.seconds(TaskId(static_cast<std::int64_t>(i)), DeviceId(static_cast<std::int64_t>(d)));
      }
    }
  }

  void find_edges() {
    const TaskGraph& graph = costs_.graph();
    const std::vector<MemoryId> memories = device_memories(costs_.cluster());
    if (memories.size() == 1) return;
    for (std::size_t i = 0; i < units_.size(); ++i) {
      for (const DatumId input : graph.inputs(TaskId(static_cast<std::int64_t>(i)))) {
        const TaskId owner = owner_of(graph, input);
        if (!owner.valid() || units_[owner.index()] == units_[i]) continue;
        edges_.push_back({units_[owner.index()], units_[i], least_copy_seconds(costs_, input, memories)});
      }
    }
  }

  [[nodiscard]] std::vector<double> by_memory(const std::vector<double>& shares) const {
    std::vector<double> sums(unit_count_ * memories_, 0);
    for (std::size_t i = 0; i < shares.size(); ++i)
      sums[i / devices_ * memories_ + memory_of(i % devices_)] += shares[i];
    return sums;
  }

  // The value, and its gradient.
  double evaluate() {
    std::vector<double> loads(devices_, 0);
    for (std::size_t i = 0; i < shares_.size(); ++i) {
      if (shares_[i] > 0) loads[i % devices_] += shares_[i] * seconds_[i];
    }
    double value = 0;
    for (const double load : loads) value += load * load / 2;
    const std::vector<double> sums = by_memory(shares_);
    std::vector<double> pulls(unit_count_ * memories_, 0);
    for (const Edge& edge : edges_) {
      for (std::size_t m = 0; m < memories_; ++m) {
        const double difference = sums[edge.from * memories_ + m] - sums[edge.to * memories_ + m];
        const double pull = weight_ * edge.copy_seconds * difference;
        pulls[edge.from * memories_ + m] += pull;
        pulls[edge.to * memories_ + m] -= pull;
        value += pull * difference / 2;
      }
    }
    gradient_.resize(shares_.size());
    for (std::size_t i = 0; i < shares_.size(); ++i) {
      gradient_[i] = loads[i % devices_] * seconds_[i] + pulls[i / devices_ * memories_ + memory_of(i % devices_)];
    }
    return value;
  }

  // For each unit the device that the gradient favours; a fixed one stays. Returns the gap: how much the value would
  // fall if it were linear.
  double choose_corners() {
    corners_.resize(unit_count_);
    double gap = 0;
    for (std::size_t unit = 0; unit < unit_count_; ++unit) {
      double least = std::numeric_limits<double>::infinity();
      for (std::size_t d = 0; d < devices_; ++d) {
        const std::size_t i = unit * devices_ + d;
        if (shares_[i] > 0) gap += shares_[i] * gradient_[i];
        if (!possible(unit, d) || (fixed_[unit] && shares_[i] == 0) || gradient_[i] >= least) continue;
        least = gradient_[i];
        corners_[unit] = d;
      }
      gap -= least;
    }
    return gap;
  }

  // The second derivative along the way to the corners.
  [[nodiscard]] double curvature_to_corners() const {
    std::vector<double> way(shares_.size());
    std::vector<double> loads(devices_, 0);
    for (std::size_t i = 0; i < way.size(); ++i) {
      way[i] = (corners_[i / devices_] == i % devices_ ? 1 : 0) - shares_[i];
      if (way[i] != 0) loads[i % devices_] += way[i] * seconds_[i];
    }
    double curvature = 0;
    for (const double load : loads) curvature += load * load;
    const std::vector<double> sums = by_memory(way);
    for (const Edge& edge : edges_) {
      for (std::size_t m = 0; m < memories_; ++m) {
        const double difference = sums[edge.from * memories_ + m] - sums[edge.to * memories_ + m];
        curvature += weight_ * edge.copy_seconds * difference * difference;
      }
    }
    return curvature;
  }

  const CostTable& costs_;
  std::size_t devices_;
  std::size_t memories_;
  std::vector<std::size_t> units_;  // by task
  std::size_t unit_count_ = 0;
  std::vector<double> seconds_;  // by unit and device; infinity: not possible
  std::vector<Edge> edges_;
  double weight_ = 0;
  std::vector<double> shares_;
  std::vector<bool> fixed_;
  std::vector<double> gradient_;
  std::vector<std::size_t> corners_;
};

// Devices of one kind have the same shares at the least value, which says nothing: units are fixed by and by, and the
// rest is solved again.
class Convex final : public Policy {
 public:
  explicit Convex(double budget_seconds) : budget_seconds_(budget_seconds) {}

  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    constexpr int kRounds = 20;
    constexpr std::array kWeights{0.1, 1.0, 10.0};  // of copies, in mean loads
    const CostTable costs(graph, cluster, model);
    (void)blank_plan(costs);  // throws where no device can run a task
    const QuadraticProgram program(costs);
    const double steps = budget_seconds_ * kStepsPerSecond / static_cast<double>(program.term_count() + 1);
    const int most_steps = static_cast<int>(std::clamp(steps / (kRounds * kWeights.size() + 1), 1.0, 1e6));
    const auto devices = static_cast<double>(cluster.device_count());
    QuadraticProgram loads = program;
    // No device is busy for longer than the makespan T: 1/2 sum of load^2 <= devices * T^2 / 2.
    const double bound = std::sqrt(2 * loads.solve(most_steps) / devices);
    Rounding rounding(costs);
    for (const double weight : kWeights) {
      QuadraticProgram now = program;
      now.set_weight(weight * bound);
      for (int round = 0; round < kRounds; ++round) {
        now.solve(most_steps);
        now.fix(now.unit_count() / kRounds + 1);
      }
      rounding.consider(now.shares_by_task(), {});
    }
    Plan plan = rounding.best();
    plan.lower_bound_seconds = bound;
    return plan;
  }

 private:
  double budget_seconds_;
};

}  // namespace

std::unique_ptr<Policy> make_convex_policy(const PolicyOptions& options) {
  return std::make_unique<Convex>(options.plan_seconds);
}

}  // namespace skua
