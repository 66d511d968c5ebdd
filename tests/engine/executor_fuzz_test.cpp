// The executor on random tasks without kernels: order, windows, lanes, errors and stop requests in random mixtures.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "engine/background.h"
#include "engine/fuzz_run.h"
#include "scheduler/plans.h"
#include "skua/engine/executor.h"
#include "skua/scheduler/task_file.h"

namespace skua::test {
namespace {

enum class Ending : std::uint8_t { kWithin, kElsewhere, kMixed };

// One case, all of it drawn from its seed.
struct Case {
  std::uint64_t seed;
  Random random;
  TimedGraph timed;
  Cluster cluster;
  TimedProblem problem;
  TaskGraph graph;
  Plan plan;
  Schedule schedule;
  CostTable costs;
  std::string rule;
  std::vector<int> windows;  // by lane
  Ending ending;

  explicit Case(std::uint64_t number)
      : seed(number),
        random(number, 11),
        timed(draw_tasks(random)),
        cluster(draw_cluster(random)),
        problem(timed, cluster),
        graph(problem.graph, 1),
        plan(draw_plan()),
        schedule(graph, cluster, plan),
        costs(graph, cluster, problem.costs),
        rule(steal_rule_names()[random.below(steal_rule_names().size())]),
        ending(static_cast<Ending>(random.below(3))) {
    for (std::size_t i = 0; i < schedule.lanes().size(); ++i) windows.push_back(1 + static_cast<int>(random.below(4)));
  }

  [[nodiscard]] std::string describe() const {
    return fmt::format(
        "{} tasks, {} with copies, on {} lanes, stealing {}; again: SKUA_FUZZ_SEED={} test_executor_fuzz",
        graph.task_count(), schedule.task_count(), schedule.lanes().size(), rule, seed);
  }

 private:
  // Mostly small, some large; edges go to later tasks, near or far.
  static TimedGraph draw_tasks(Random& random) {
    const std::uint64_t count = 1 + random.below(random.below(8) == 0 ? 2000 : 60);
    const std::uint64_t density = random.below(4);  // edges a task
    const std::uint64_t reach = 1 + random.below(count);
    TimedGraph timed;
    for (std::uint64_t i = 0; i < count; ++i) {
      timed.tasks.push_back({fmt::format("t{}", i), {{kAnyDevice, 1e-6 * static_cast<double>(1 + random.below(20))}}});
      TimedEdge edge{i, {}, 4};
      for (std::uint64_t e = 0; e < density; ++e) {
        const std::uint64_t to = i + 1 + random.below(reach);
        if (to < count && std::ranges::count(edge.to, to) == 0) edge.to.push_back(to);
      }
      if (!edge.to.empty()) timed.edges.push_back(edge);
    }
    return timed;
  }
  // In memories of their own, or in one.
  static Cluster draw_cluster(Random& random) {
    const int devices = 1 + static_cast<int>(random.below(6));
    return random.below(2) == 0 ? timed_cluster(devices) : make_cluster(fmt::format("cpu:{}", devices));
  }
  Plan draw_plan() {
    Plan drawn = random_plan(graph, cluster, random);
    const std::uint64_t levels = 1 + random.below(10);
    for (Placement& placement : drawn.placements) {
      placement.priority = std::floor(placement.priority * static_cast<double>(levels));
      if (levels == 10) placement.device = DeviceId(0);
    }
    return drawn;
  }
};

// What may go wrong in one step.
struct Faults {
  explicit Faults(std::size_t tasks) : fails(tasks) {}

  std::vector<bool> fails;  // by task
  StepTaskId stops_at;      // a stop is requested when it starts
  bool stops_before = false;
};

// Checks each start, and ends tasks as the case and the seed say.
class Checker final : public Launcher {
 public:
  Checker(Case& fuzz_case, const Faults& faults, std::uint64_t step, Background& background, std::stop_source& stop)
      : case_(fuzz_case),
        faults_(faults),
        step_(step),
        background_(background),
        stop_(stop),
        predecessors_(fuzz_case.schedule.task_count()),
        started_(fuzz_case.schedule.task_count()),
        ended_(fuzz_case.schedule.task_count()),
        under_way_(fuzz_case.schedule.lanes().size()) {
    for (std::size_t i = 0; i < predecessors_.size(); ++i) {
      for (StepTaskId next : case_.schedule.successors(StepTaskId(static_cast<std::int64_t>(i)))) {
        predecessors_[next.index()].push_back(i);
      }
    }
    order.reserve(predecessors_.size());
  }

  int window(LaneId lane) const override { return case_.windows[lane.index()]; }

  void launch(StepTaskId task, LaneId lane, Completion& completion) override {
    check(started_[task.index()].fetch_add(1) == 0, "a task started twice");
    check(under_way_[lane.index()].fetch_add(1) < window(lane), "a window was exceeded");
    for (const std::size_t before : predecessors_[task.index()]) {
      check(ended_[before] == 1 && !faults_.fails[before], "a task started before a predecessor had succeeded");
    }
    if (case_.schedule.lanes().size() == 1) order.push_back(task);
    if (task == faults_.stops_at) stop_.request_stop();
    Random random(case_.seed ^ step_ << 32, 1000 + task.index());
    const bool fails = faults_.fails[task.index()];
    const bool elsewhere =
        case_.ending == Ending::kElsewhere || (case_.ending == Ending::kMixed && random.below(2) == 0);
    const auto end = [this, task, lane, fails, &completion] {
      end_record(task, lane);
      completion.done(fails ? error_of(task) : nullptr);
    };
    if (elsewhere) return background_.post(end);
    if (!fails || random.below(2) == 0) return end();
    end_record(task, lane);
    std::rethrow_exception(error_of(task));
  }

  [[nodiscard]] std::size_t count_ended() const {
    return static_cast<std::size_t>(std::ranges::count_if(ended_, [](const auto& ended) { return ended == 1; }));
  }
  [[nodiscard]] bool is_idle() const {
    return std::ranges::all_of(under_way_, [](const auto& count) { return count == 0; });
  }
  [[nodiscard]] bool has_ended(StepTaskId task) const { return ended_[task.index()] == 1; }
  [[nodiscard]] std::string violation() const {
    const std::scoped_lock lock(mutex_);
    return violation_;
  }

  std::vector<StepTaskId> order;  // of one lane

 private:
  void end_record(StepTaskId task, LaneId lane) {
    ended_[task.index()].fetch_add(1);
    under_way_[lane.index()].fetch_sub(1);
  }
  static std::exception_ptr error_of(StepTaskId task) {
    if (task.index() % 3 == 0) return std::make_exception_ptr(std::invalid_argument("bad"));
    if (task.index() % 3 == 1) return std::make_exception_ptr(DeviceLost("lost"));
    return std::make_exception_ptr(std::logic_error("odd"));
  }
  void check(bool holds, const char* what) {
    if (holds) return;
    const std::scoped_lock lock(mutex_);
    violation_ = what;
  }

  Case& case_;
  const Faults& faults_;
  const std::uint64_t step_;
  Background& background_;
  std::stop_source& stop_;
  std::vector<std::vector<std::size_t>> predecessors_;
  std::vector<std::atomic<int>> started_;
  std::vector<std::atomic<int>> ended_;
  std::vector<std::atomic<int>> under_way_;  // by lane
  mutable std::mutex mutex_;
  std::string violation_;
};

// The order of one lane that does one task after another: again and again the first ready one.
std::vector<StepTaskId> lane_order(const Schedule& schedule) {
  std::vector<int> pending;
  std::vector<StepTaskId> order;
  for (std::size_t i = 0; i < schedule.task_count(); ++i) {
    pending.push_back(schedule.predecessor_count(StepTaskId(static_cast<std::int64_t>(i))));
  }
  while (order.size() < pending.size()) {
    StepTaskId best;
    for (std::size_t i = 0; i < pending.size(); ++i) {
      const StepTaskId id(static_cast<std::int64_t>(i));
      const bool better = !best.valid() || schedule.task(id).priority > schedule.task(best).priority;
      if (pending[i] == 0 && better) best = id;
    }
    order.push_back(best);
    pending[best.index()] = -1;
    for (const StepTaskId next : schedule.successors(best)) --pending[next.index()];
  }
  return order;
}

Faults draw_faults(const Schedule& schedule, Random& random) {
  Faults faults(schedule.task_count());
  const auto any_task = [&] { return StepTaskId(static_cast<std::int64_t>(random.below(schedule.task_count()))); };
  const std::uint64_t kind = random.below(5);  // 0: none
  for (std::uint64_t i = kind == 1 || kind == 3 ? 1 + random.below(3) : 0; i > 0; --i) {
    faults.fails[any_task().index()] = true;
  }
  if (kind == 2 || kind == 3) faults.stops_at = any_task();
  faults.stops_before = kind == 4;
  return faults;
}

// What run() threw, checked against what the faults allow; empty where that is right.
std::string run_step(Executor& executor, Checker& checker, const Case& c, const Faults& faults,
                     std::stop_source& stop) {
  const Schedule& schedule = c.schedule;
  const std::size_t count = schedule.task_count();
  std::optional<std::string> error;
  bool cancelled = false;
  StepTrace trace;
  try {
    executor.run(checker, trace, stop.get_token());
  } catch (const Cancelled&) {
    cancelled = true;
  } catch (const DeviceLost& e) {
    error = fmt::format("lost {} {}", e.device().value, e.what());
  } catch (const std::invalid_argument& e) {
    error = fmt::format("invalid {}", e.what());
  } catch (const std::runtime_error& e) {
    error = fmt::format("error {}", e.what());
  }
  if (!checker.violation().empty()) return checker.violation();
  if (!checker.is_idle()) return "returned while something was under way";
  bool any_failed = false;
  bool fits = false;
  for (std::size_t i = 0; i < count; ++i) {
    const StepTaskId id(static_cast<std::int64_t>(i));
    if (!faults.fails[i] || !checker.has_ended(id)) continue;
    any_failed = true;
    const std::string name = schedule.name(id);
    const DeviceId device = schedule.lanes()[trace.records[i].lane.index()].device;
    fits = fits || error == (i % 3 == 0   ? fmt::format("invalid {}: bad", name)
                             : i % 3 == 1 ? fmt::format("lost {} {}: lost", device.value, name)
                                          : fmt::format("error {}: odd", name));
  }
  if (any_failed) return fits ? "" : fmt::format("no task's error: {}", error.value_or("none"));
  if (error) return "an error without a cause: " + *error;
  const bool all = checker.count_ended() == count;
  if (cancelled != !all) return cancelled ? "cancelled though nothing was skipped" : "tasks were skipped in silence";
  if (cancelled && !faults.stops_before && !faults.stops_at.valid()) return "cancelled without a request";
  if (faults.stops_before && checker.count_ended() != 0) return "tasks ran after a stop request";
  const bool in_order = schedule.lanes().size() == 1 && c.rule == "none" && c.windows[0] == 1 && all;
  if (in_order && checker.order != lane_order(schedule)) return "one lane left its order";
  return "";
}

TEST(ExecutorFuzz, EachTaskOnceInOrderWhateverHappens) {
  Background background(2);
  Watchdog watchdog;
  const std::uint64_t count = for_each_seed([&](std::uint64_t seed) {
    Case c(seed);
    watchdog.begin(c.describe());
    const auto steal_rule = make_steal_rule(c.rule);
    Executor executor(c.schedule, c.costs, steal_rule.get(), seed);
    constexpr std::uint64_t kSteps = 6;
    for (std::uint64_t step = 0; step < kSteps; ++step) {
      const bool last = step + 1 == kSteps;  // after whatever came before, a step without faults
      const Faults faults = last ? Faults(c.schedule.task_count()) : draw_faults(c.schedule, c.random);
      std::stop_source stop;
      if (faults.stops_before) stop.request_stop();
      Checker checker(c, faults, step, background, stop);
      const std::string wrong = run_step(executor, checker, c, faults, stop);
      EXPECT_EQ(wrong, "") << "step " << step << ": " << c.describe();
      if (!wrong.empty()) return false;
    }
    return true;
  });
  fmt::print("{} cases\n", count);
}

}  // namespace
}  // namespace skua::test
