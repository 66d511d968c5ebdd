// Skua's side of `skua bench overhead`.
#include <fmt/format.h>

#include <chrono>
#include <memory>

#include "overhead.h"
#include "placed_step.h"
#include "skua/engine/executor.h"
#include "skua/scheduler/median.h"

namespace skua::cli {
namespace {

TimedGraph timed_graph(const BenchTasks& tasks) {
  TimedGraph graph;
  for (std::size_t task = 0; task < tasks.count(); ++task) {
    graph.tasks.push_back({fmt::format("t{}", task), {{kAnyDevice, 0}}});
    const auto after = tasks.successors(task);
    if (!after.empty()) graph.edges.push_back({task, {after.begin(), after.end()}});
  }
  return graph;
}

// A device that does a task at once, in its lane's thread, as the CPU's do.
class TaskLauncher final : public Launcher {
 public:
  explicit TaskLauncher(BenchTasks& tasks) : tasks_(tasks) {}
  void launch(StepTaskId task, LaneId, Completion& completion) override {
    tasks_.run_task(task.index());
    completion.done(nullptr);
  }

 private:
  BenchTasks& tasks_;
};

struct SkuaSide {
  SkuaSide(BenchTasks& tasks, int workers, int block)
      : launcher(tasks),
        step(timed_graph(tasks), workers, [=](std::size_t task) { return static_cast<int>(task) / block % workers; }) {
    make_executors();
  }

  void make_executors() {
    stealing = std::make_unique<Executor>(step.schedule(), step.costs(), rule.get());
    fixed = std::make_unique<Executor>(step.schedule(), step.costs(), nullptr);
  }

  // The steal rule's times are measured ones, as in training.
  void tune() {
    fixed->run(launcher, trace);
    fixed->run(launcher, trace);
    std::vector<double> seconds;
    for (const TaskTime& time : task_times(step.schedule(), trace)) seconds.push_back(time.run_seconds);
    stealing.reset();
    fixed.reset();
    step.set_estimate(median_of(seconds));
    make_executors();
  }

  TaskLauncher launcher;
  PlacedStep step;
  StepTrace trace;
  std::unique_ptr<StealRule> rule = make_steal_rule("cost");
  std::unique_ptr<Executor> stealing;
  std::unique_ptr<Executor> fixed;
};

}  // namespace

std::vector<OverheadSide> skua_sides(BenchTasks& tasks, int workers, int block) {
  const auto start = std::chrono::steady_clock::now();
  const auto side = std::make_shared<SkuaSide>(tasks, workers, block);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  OverheadSide stealing{"skua, stealing cost", seconds, [side] { side->stealing->run(side->launcher, side->trace); }};
  stealing.tune = [side] { side->tune(); };
  OverheadSide fixed{"skua, stealing none", seconds, [side] { side->fixed->run(side->launcher, side->trace); }};
  return {std::move(stealing), std::move(fixed)};
}

}  // namespace skua::cli
