#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "twins.h"

namespace skua {
namespace {

constexpr std::size_t kMostTasks = 10'000;  // the search goes as deep
constexpr double kVisitsPerSecond = 5e6;    // of tasks, in all nodes of the search tree: the same plan on any machine

// Branch and bound over the orders in which tasks can start: each is appended to a device's order, never before the
// task appended last, so that every schedule without needless idle time is met once. Copies run beside everything else,
// and parameters are wherever they are read: the optimum found is a lower bound for devices that copy one datum at a
// time, and the makespan itself where links take any number of copies.
class Search {
 public:
  Search(const CostTable& costs, double most_visits)
      : costs_(costs),
        graph_(costs.graph()),
        devices_(costs.cluster().device_count()),
        most_nodes_(most_visits / static_cast<double>(costs.graph().task_count() + 1)),
        plan_(blank_plan(costs)),
        free_(devices_, 0),
        busy_(devices_, 0),
        used_(devices_, false),
        twins_(twins(costs)),
        finish_(graph_.task_count(), kNotPlaced),
        earliest_(graph_.task_count(), 0),
        tails_(graph_.task_count(), 0),
        waits_(graph_.task_count()) {
    plan_.strict_order = true;
    for (std::size_t i = graph_.task_count(); i-- > 0;) {
      for (TaskId next : graph_.successors(task(i))) tails_[i] = std::max(tails_[i], tails_[next.index()]);
      tails_[i] += costs.fastest_seconds(task(i));
      work_ += costs.fastest_seconds(task(i));
      waits_[i] = graph_.predecessors(task(i)).size();
    }
  }

  // Plans below `least_seconds` are looked for, starting from `best`, which takes that long.
  void run(Plan best, double least_seconds) {
    best_ = std::move(best);
    least_ = least_seconds;
    visit(0, 0);
  }

  [[nodiscard]] bool complete() const { return nodes_ <= most_nodes_; }
  [[nodiscard]] const Plan& best() const { return best_; }
  [[nodiscard]] double least_seconds() const { return least_; }

 private:
  static constexpr double kNotPlaced = -1;
  static TaskId task(std::size_t i) { return TaskId(static_cast<std::int64_t>(i)); }
  [[nodiscard]] MemoryId memory_of(DeviceId device) const { return costs_.cluster().device(device).memory; }

  [[nodiscard]] bool allows(TaskId id, DeviceId device) const {
    if (twins_[device.index()].valid() && !used_[device.index()] && !used_[twins_[device.index()].index()])
      return false;
    const double busy = busy_[device.index()] + costs_.seconds(id, device);
    if (!std::isfinite(busy) || busy > costs_.cluster().device(device).most_busy_seconds) return false;
    if (const GroupId group = graph_.demand(id).group; group.valid()) {
      for (const TaskId other : graph_.groups()[group.index()]) {
        if (finish_[other.index()] != kNotPlaced && plan_.placements[other.index()].device != device) return false;
      }
    }
    if (graph_.task(id).kind != TaskKind::kReduce) return true;
    return memory_of(left_operand_device(graph_, plan_, id)) == memory_of(device);
  }

  [[nodiscard]] double start_on(TaskId id, DeviceId device) const {
    double start = free_[device.index()];
    for (TaskId before : graph_.predecessors(id)) start = std::max(start, finish_[before.index()]);
    for (DatumId input : graph_.inputs(id)) {
      const Datum& datum = graph_.datum(input);
      if (datum.producer.valid()) {
        const MemoryId home = memory_of(plan_.placements[datum.producer.index()].device);
        start = std::max(start, finish_[datum.producer.index()] + costs_.copy_seconds(input, home, memory_of(device)));
      } else if (graph_.graph().value(datum.value).kind == ValueKind::kInput) {
        start = std::max(start, costs_.copy_seconds(input, kHostMemory, memory_of(device)));
      }
    }
    return start;
  }

  // No schedule that goes on from here, with nothing to start before `now`, is shorter.
  double bound(double now) {
    double longest = 0;
    for (std::size_t i = 0; i < graph_.task_count(); ++i) {
      if (finish_[i] != kNotPlaced) {
        earliest_[i] = finish_[i];
        longest = std::max(longest, finish_[i]);
        continue;
      }
      double start = now;
      for (TaskId before : graph_.predecessors(task(i))) start = std::max(start, earliest_[before.index()]);
      earliest_[i] = start + costs_.fastest_seconds(task(i));
      longest = std::max(longest, start + tails_[i]);
    }
    double load = work_;
    for (const double free : free_) load += std::max(free, now);
    return std::max(longest, load / static_cast<double>(devices_));
  }

  void visit(std::size_t placed, double now) {
    ++nodes_;
    if (!complete()) return;
    if (placed == graph_.task_count()) return accept();
    struct Choice {
      double finish;
      double start;
      TaskId task;
      DeviceId device;
    };
    std::vector<Choice> choices;
    for (std::size_t i = 0; i < graph_.task_count(); ++i) {
      if (waits_[i] > 0 || finish_[i] != kNotPlaced) continue;
      for (std::size_t d = 0; d < devices_; ++d) {
        const DeviceId device(static_cast<std::int64_t>(d));
        if (!allows(task(i), device)) continue;
        const double start = start_on(task(i), device);
        const double finish = start + costs_.seconds(task(i), device);
        if (finish > graph_.demand(task(i)).deadline_seconds) continue;
        if (start >= now && finish < least_) choices.push_back({finish, start, task(i), device});
      }
    }
    std::stable_sort(choices.begin(), choices.end(),
                     [](const Choice& a, const Choice& b) { return a.finish < b.finish; });
    for (const Choice& choice : choices) {
      if (!complete()) return;
      const double was_free = free_[choice.device.index()];
      const double was_busy = busy_[choice.device.index()];
      const bool was_used = used_[choice.device.index()];
      place(choice.task, choice.device, placed, choice.finish);
      if (bound(choice.start) < least_ * kLess) visit(placed + 1, choice.start);
      finish_[choice.task.index()] = kNotPlaced;
      for (TaskId next : graph_.successors(choice.task)) ++waits_[next.index()];
      work_ += costs_.fastest_seconds(choice.task);
      free_[choice.device.index()] = was_free;
      busy_[choice.device.index()] = was_busy;
      used_[choice.device.index()] = was_used;
    }
  }

  void place(TaskId id, DeviceId device, std::size_t position, double finish) {
    plan_.placements[id.index()] = {device, -static_cast<double>(position)};
    finish_[id.index()] = finish;
    for (TaskId next : graph_.successors(id)) --waits_[next.index()];
    work_ -= costs_.fastest_seconds(id);
    free_[device.index()] = finish;
    busy_[device.index()] += costs_.seconds(id, device);
    used_[device.index()] = true;
  }

  void accept() {
    const double seconds = *std::max_element(finish_.begin(), finish_.end());
    if (seconds >= least_) return;
    if (seconds_if_it_fits(plan_, costs_) == std::numeric_limits<double>::infinity()) return;
    best_ = plan_;
    least_ = seconds;
  }

  static constexpr double kLess = 1 - 1e-12;  // sums of the same times in another order are not better

  const CostTable& costs_;
  const TaskGraph& graph_;
  std::size_t devices_;
  double most_nodes_;  // of the search tree
  Plan plan_;
  Plan best_;
  double least_ = std::numeric_limits<double>::infinity();
  std::vector<double> free_;      // by device: from when on
  std::vector<double> busy_;      // by device: seconds of its tasks
  std::vector<bool> used_;        // by device
  std::vector<DeviceId> twins_;   // by device
  std::vector<double> finish_;    // by task
  std::vector<double> earliest_;  // by task: least finish
  std::vector<double> tails_;     // by task: the longest way to the end, itself included, by fastest times
  std::vector<std::size_t> waits_;
  double work_ = 0;  // fastest times of the tasks that are not placed
  double nodes_ = 0;
};

class Exact final : public Policy {
 public:
  explicit Exact(double budget_seconds) : budget_seconds_(budget_seconds) {}
  [[nodiscard]] Plan make_plan(const TaskGraph& graph, const Cluster& cluster, const CostModel& model) const override {
    if (graph.task_count() > kMostTasks) {
      throw std::invalid_argument(
          fmt::format("[policy exact] expected at most {} tasks, got {}", kMostTasks, graph.task_count()));
    }
    const CostTable costs(graph, cluster, model);
    return exact_plan(costs, plans_that_fit(costs, model), budget_seconds_);
  }

 private:
  double budget_seconds_;
};

}  // namespace

// A. H. Land, A. G. Doig, "An automatic method of solving discrete programming problems", Econometrica 28(3), 1960.
Plan exact_plan(const CostTable& costs, const std::vector<ScoredPlan>& known, double budget_seconds) {
  auto [best, least] = known.empty() ? ScoredPlan() : known.front();
  Search search(costs, budget_seconds * kVisitsPerSecond);
  search.run(best, least);
  if (search.best().placements.empty()) {
    throw std::invalid_argument(
        "[policy exact] expected a plan that fits in memory and keeps to the constraints, found none");
  }
  // Copies that wait for each other can make the relaxation's optimum worse than where the search began.
  if (least > seconds_if_it_fits(search.best(), costs)) best = search.best();
  if (search.complete()) best.lower_bound_seconds = search.least_seconds();
  return best;
}

std::unique_ptr<Policy> make_exact_policy(const PolicyOptions& options) {
  return std::make_unique<Exact>(options.plan_seconds);
}

}  // namespace skua
