// The executor by itself, on launchers that only record: order, lanes, errors, work that ends on other threads.
#include "skua/engine/executor.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>

#include "engine/background.h"
#include "graph/small_graphs.h"
#include "scheduler/plans.h"
#include "skua/scheduler/task_file.h"

namespace skua::test {
namespace {

// Checks at each start that the lane was idle and that all predecessors have ended.
class Recorder final : public Launcher {
 public:
  Recorder(const Schedule& schedule, Background* background)
      : background_(background),
        predecessors_(schedule.task_count()),
        ended_(schedule.task_count()),
        lane_busy_(schedule.lanes().size()) {
    for (std::size_t i = 0; i < schedule.task_count(); ++i) {
      for (StepTaskId next : schedule.successors(StepTaskId(static_cast<std::int64_t>(i)))) {
        predecessors_[next.index()].push_back(i);
      }
    }
  }

  void reset() {
    for (auto& ended : ended_) ended = 0;
  }

  void launch(StepTaskId task, LaneId lane, Completion& completion) override {
    if (lane_busy_[lane.index()].exchange(true)) ++violations;
    for (std::size_t before : predecessors_[task.index()]) {
      if (ended_[before] != 1) ++violations;
    }
    ++started;
    if (on_start) on_start(task);
    if (task == throwing) {
      lane_busy_[lane.index()] = false;
      ++ended_[task.index()];
      throw std::invalid_argument("too hot");
    }
    const auto end = [this, task, lane, &completion] {
      ++ended_[task.index()];
      lane_busy_[lane.index()] = false;
      completion.done(task == failing ? std::make_exception_ptr(std::runtime_error("broken")) : nullptr);
    };
    background_ != nullptr ? background_->post(end) : end();
  }

  [[nodiscard]] bool each_ended_once() const {
    return std::all_of(ended_.begin(), ended_.end(), [](const auto& ended) { return ended == 1; });
  }

  std::atomic<int> started{0};
  std::atomic<int> violations{0};
  std::function<void(StepTaskId)> on_start;
  StepTaskId failing;
  StepTaskId throwing;

 private:
  Background* background_;
  std::vector<std::vector<std::size_t>> predecessors_;
  std::vector<std::atomic<int>> ended_;
  std::vector<std::atomic<bool>> lane_busy_;
};

struct Fixture {
  TaskGraph graph;
  Cluster cluster;
  Plan plan;
  Schedule schedule;
  CostTable costs;

  explicit Fixture(int devices, std::uint64_t seed = 1)
      : graph(training_graph(adam()), 6),
        cluster(make_cluster("cpu:" + std::to_string(devices))),
        plan(make(seed)),
        schedule(graph, cluster, plan),
        costs(graph, cluster, CostModel()) {}

 private:
  Plan make(std::uint64_t seed) const {
    Random random(seed);
    return random_plan(graph, cluster, random);
  }
};

TEST(Executor, RunsEachTaskOnceAfterItsPredecessors) {
  Background background(2);
  for (const std::string rule : {"none", "random", "locality", "cost"}) {
    for (Background* const threads : {static_cast<Background*>(nullptr), &background}) {
      for (int devices = 1; devices <= 4; ++devices) {
        const Fixture fixture(devices);
        const auto steal_rule = make_steal_rule(rule);
        Recorder recorder(fixture.schedule, threads);
        Executor executor(fixture.schedule, fixture.costs, steal_rule.get());
        for (int step = 0; step < 25; ++step) {
          recorder.reset();
          StepTrace trace;
          executor.run(recorder, trace);
          ASSERT_TRUE(recorder.each_ended_once()) << rule << " on " << devices;
          ASSERT_EQ(recorder.violations, 0) << rule << " on " << devices;
          ASSERT_EQ(trace.records.size(), fixture.schedule.task_count());
        }
      }
    }
  }
}

TEST(Executor, WithoutStealingTasksRunWhereAndInTheOrderPlanned) {
  const Fixture fixture(1);
  Recorder recorder(fixture.schedule, nullptr);
  Executor executor(fixture.schedule, fixture.costs, nullptr);
  StepTrace trace;
  executor.run(recorder, trace);
  const StepTrace simulated = simulate(fixture.schedule, fixture.costs);
  for (std::size_t i = 0; i < trace.records.size(); ++i) {
    for (std::size_t j = 0; j < trace.records.size(); ++j) {
      ASSERT_EQ(trace.records[i].start_seconds < trace.records[j].start_seconds,
                simulated.records[i].start_seconds < simulated.records[j].start_seconds);
    }
  }
}

// All tasks planned on one of two devices: the other has only what it steals.
TEST(Executor, IdleLanesSteal) {
  const Fixture fixture(2);
  const Schedule schedule(fixture.graph, fixture.cluster, one_device_plan(fixture.graph, fixture.cluster));
  const auto rule = make_steal_rule("random");
  Background background(2);
  Recorder recorder(schedule, &background);
  Executor executor(schedule, fixture.costs, rule.get());
  int steals = 0;
  for (int step = 0; step < 5000 && steals == 0; ++step) {
    recorder.reset();
    StepTrace trace;
    executor.run(recorder, trace);
    EXPECT_TRUE(recorder.each_ended_once());
    steals += summarize(schedule, trace).steals;
  }
  EXPECT_GT(steals, 0);
}

TEST(Executor, TheFirstErrorReachesTheCallerAndTheRestIsSkipped) {
  Background background(2);
  for (Background* const threads : {static_cast<Background*>(nullptr), &background}) {
    const Fixture fixture(3);
    Recorder recorder(fixture.schedule, threads);
    const auto rule = make_steal_rule("random");
    Executor executor(fixture.schedule, fixture.costs, rule.get());
    StepTrace trace;
    const StepTaskId task(3);

    recorder.failing = task;
    try {
      executor.run(recorder, trace);
      FAIL() << "no error";
    } catch (const std::runtime_error& error) {
      EXPECT_EQ(std::string(error.what()), fixture.schedule.name(task) + ": broken");
    }
    EXPECT_LT(recorder.started, static_cast<int>(fixture.schedule.task_count()));
    EXPECT_EQ(recorder.violations, 0);

    recorder.failing = StepTaskId();
    recorder.throwing = task;
    recorder.reset();
    EXPECT_EQ(message_of([&] { executor.run(recorder, trace); }), fixture.schedule.name(task) + ": too hot");

    recorder.throwing = StepTaskId();
    recorder.reset();
    executor.run(recorder, trace);
    EXPECT_TRUE(recorder.each_ended_once());
  }
}

// Holds back what it is given until the lane's window is full, or nothing more can come.
class FillsWindows final : public Launcher {
 public:
  FillsWindows(int window, Background& background) : window_(window), background_(background) {}
  int window(LaneId) const override { return window_; }
  void launch(StepTaskId, LaneId, Completion& completion) override {
    std::vector<Completion*> ending;
    {
      const std::scoped_lock lock(mutex_);
      held_.push_back(&completion);
      most = std::max(most, static_cast<int>(held_.size()));
      if (++started % window_ == 0) ending.swap(held_);
    }
    for (Completion* one : ending) background_.post([one] { one->done(nullptr); });
  }

  int started = 0;
  int most = 0;

 private:
  const int window_;
  Background& background_;
  std::mutex mutex_;
  std::vector<Completion*> held_;
};

// Tasks without order on one lane: exactly a window of them is under way each time before one ends.
TEST(Executor, AsManyAsTheWindowAreUnderWay) {
  constexpr int kWindow = 3;
  TimedGraph timed;
  for (int i = 0; i < 10 * kWindow; ++i) timed.tasks.push_back({fmt::format("t{}", i), {{kAnyDevice, 1}}});
  const Cluster cluster = timed_cluster(1);
  const TimedProblem problem(timed, cluster);
  const TaskGraph graph(problem.graph, 1);
  const Schedule schedule(graph, cluster, one_device_plan(graph, cluster));
  const CostTable costs(graph, cluster, problem.costs);
  Background background(2);
  for (const std::string rule : {"none", "random"}) {
    const auto steal_rule = make_steal_rule(rule);
    Executor executor(schedule, costs, steal_rule.get());
    for (int step = 0; step < 50; ++step) {
      FillsWindows launcher(kWindow, background);
      StepTrace trace;
      executor.run(launcher, trace);
      ASSERT_EQ(launcher.most, kWindow) << rule;
      ASSERT_EQ(launcher.started, 10 * kWindow) << rule;
    }
  }
}

TEST(Executor, AStopRequestSkipsWhatHasNotStarted) {
  Background background(2);
  for (Background* const threads : {static_cast<Background*>(nullptr), &background}) {
    const Fixture fixture(2);
    Recorder recorder(fixture.schedule, threads);
    Executor executor(fixture.schedule, fixture.costs, nullptr);
    StepTrace trace;

    std::stop_source before;
    before.request_stop();
    EXPECT_THROW(executor.run(recorder, trace, before.get_token()), Cancelled);
    EXPECT_EQ(recorder.started, 0);

    std::stop_source within;
    recorder.on_start = [&](StepTaskId task) {
      if (task == StepTaskId(3)) within.request_stop();
    };
    EXPECT_THROW(executor.run(recorder, trace, within.get_token()), Cancelled);
    EXPECT_GT(recorder.started, 0);
    EXPECT_LT(recorder.started, static_cast<int>(fixture.schedule.task_count()));
    EXPECT_EQ(recorder.violations, 0);

    // Where nothing is left to be skipped, there is nothing to tell.
    for (const bool requested : {false, true}) {
      std::stop_source late;
      std::atomic<std::size_t> left{fixture.schedule.task_count()};
      recorder.on_start = [&](StepTaskId) {
        if (--left == 0 && requested) late.request_stop();
      };
      recorder.reset();
      executor.run(recorder, trace, late.get_token());
      EXPECT_TRUE(recorder.each_ended_once());
    }
  }
}

}  // namespace
}  // namespace skua::test
