// The executor on a launcher that only submits, to threads that work in order like an accelerator's streams.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <latch>
#include <optional>

#include "engine/background.h"
#include "graph/small_graphs.h"
#include "scheduler/plans.h"
#include "skua/engine/executor.h"

namespace skua::test {
namespace {

class Submitter final : public Launcher {
 public:
  Submitter(const Schedule& schedule, int window)
      : window_(window),
        predecessors_(schedule.task_count()),
        submitted_(schedule.task_count()),
        ended_(schedule.task_count()),
        under_way_(schedule.lanes().size()) {
    for (std::size_t i = 0; i < schedule.task_count(); ++i) {
      for (const StepTaskId next : schedule.successors(StepTaskId(static_cast<std::int64_t>(i)))) {
        predecessors_[next.index()].push_back(i);
      }
    }
    for (std::size_t i = 0; i < schedule.lanes().size(); ++i) streams_.emplace_back(1);
  }

  int window(LaneId) const override { return window_; }
  bool only_submits() const override { return true; }

  void launch(StepTaskId task, LaneId lane, Completion& completion) override {
    for (const std::size_t before : predecessors_[task.index()]) {
      if (!submitted_[before]) ++violations;
      if (!ended_[before]) ++early;
    }
    if (++under_way_[lane.index()] > window_) ++violations;
    if (submitted_[task.index()].exchange(true)) ++violations;
    if (++launches == launches_before_work) enough_launched.count_down();
    streams_[lane.index()].post([this, task, lane, &completion] { work(task, lane, completion); });
  }

  void reset() {
    for (auto& submitted : submitted_) submitted = false;
    for (auto& ended : ended_) ended = false;
    launches = 0;
  }
  [[nodiscard]] bool all_ended() const {
    return std::ranges::all_of(ended_, [](const auto& ended) { return ended.load(); });
  }

  std::atomic<int> violations{0};
  std::atomic<int> early{0};  // submissions before what they wait for has ended
  std::atomic<int> launches{0};
  int launches_before_work = 0;  // until then nothing ends
  std::latch enough_launched{1};
  StepTaskId failing;
  std::optional<std::pair<double, double>> measured;  // told for every task

 private:
  void work(StepTaskId task, LaneId lane, Completion& completion) {
    if (launches_before_work > 0) enough_launched.wait();
    for (const std::size_t before : predecessors_[task.index()]) ended_[before].wait(false);
    ended_[task.index()] = true;
    ended_[task.index()].notify_all();
    --under_way_[lane.index()];
    if (measured) completion.measured(measured->first, measured->second);
    completion.done(task == failing ? std::make_exception_ptr(std::runtime_error("burnt")) : nullptr);
  }

  const int window_;
  std::vector<std::vector<std::size_t>> predecessors_;
  std::vector<std::atomic<bool>> submitted_;
  std::vector<std::atomic<bool>> ended_;
  std::vector<std::atomic<int>> under_way_;  // by lane
  std::deque<Background> streams_;
};

struct Fixture {
  TaskGraph graph{training_graph(adam()), 6};
  Cluster cluster;
  Schedule schedule;
  CostTable costs;

  explicit Fixture(int devices, std::uint64_t seed = 1)
      : cluster(make_cluster(fmt::format("cpu:{}", devices))),
        schedule(graph, cluster, plan(seed)),
        costs(graph, cluster, CostModel()) {}

 private:
  [[nodiscard]] Plan plan(std::uint64_t seed) const {
    Random random(seed);
    return random_plan(graph, cluster, random);
  }
};

TEST(Submission, EachTaskIsSubmittedOnceAfterItsPredecessorsAndWithinTheWindow) {
  for (const std::string rule : {"none", "random", "cost"}) {
    for (const int window : {1, 2, 16}) {
      for (int devices = 1; devices <= 3; ++devices) {
        const Fixture fixture(devices);
        const auto steal_rule = make_steal_rule(rule);
        Submitter submitter(fixture.schedule, window);
        Executor executor(fixture.schedule, fixture.costs, steal_rule.get());
        for (int step = 0; step < 20; ++step) {
          submitter.reset();
          StepTrace trace;
          executor.run(submitter, trace);
          ASSERT_TRUE(submitter.all_ended());
          ASSERT_EQ(submitter.violations, 0) << rule << ", window " << window << ", " << devices << " devices";
        }
        if (window == 1 && devices == 1) {
          EXPECT_EQ(submitter.early, 0);
        }
      }
    }
  }
}

// Nothing ends before a window full of tasks, most of which depend on others of them, has been submitted.
TEST(Submission, WhatFollowsIsSubmittedBeforeWhatItWaitsForHasEnded) {
  constexpr int kWindow = 12;
  const Fixture fixture(1);
  Submitter submitter(fixture.schedule, kWindow);
  submitter.launches_before_work = kWindow;
  Executor executor(fixture.schedule, fixture.costs, nullptr);
  StepTrace trace;
  executor.run(submitter, trace);
  EXPECT_TRUE(submitter.all_ended());
  EXPECT_EQ(submitter.violations, 0);
  EXPECT_GT(submitter.early, 0);
}

TEST(Submission, MeasuredTimesAreTheTraces) {
  const Fixture fixture(2);
  Submitter submitter(fixture.schedule, 4);
  submitter.measured.emplace(3e-3, 1e-3);  // ago
  Executor executor(fixture.schedule, fixture.costs, nullptr);
  StepTrace trace;
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  executor.run(submitter, trace);
  double last = 0;
  for (const TaskRecord& record : trace.records) {
    EXPECT_GE(record.start_seconds, 0);
    EXPECT_GE(record.finish_seconds, record.start_seconds);
    const double seconds = record.finish_seconds - record.start_seconds;
    if (record.start_seconds > 0) {
      EXPECT_NEAR(seconds, 2e-3, 1e-9);
    }
    EXPECT_LT(seconds, 2.0001e-3);
    last = std::max(last, record.finish_seconds);
  }
  EXPECT_EQ(trace.seconds, last);
}

TEST(Submission, AnErrorToldLateReachesTheCallerWhenAllHasEnded) {
  const Fixture fixture(2);
  for (const char* const rule : {"none", "random"}) {
    const auto steal_rule = make_steal_rule(rule);
    Submitter submitter(fixture.schedule, 8);
    Executor executor(fixture.schedule, fixture.costs, steal_rule.get());
    for (std::size_t i = 0; i < fixture.schedule.task_count(); ++i) {
      submitter.reset();
      submitter.failing = StepTaskId(static_cast<std::int64_t>(i));
      StepTrace trace;
      try {
        executor.run(submitter, trace);
        ADD_FAILURE() << "expected an error";
      } catch (const std::runtime_error& error) {
        EXPECT_EQ(error.what(), fixture.schedule.name(submitter.failing) + ": burnt");
      }
      submitter.failing = StepTaskId();
      submitter.reset();
      executor.run(submitter, trace);
      ASSERT_TRUE(submitter.all_ended());
      ASSERT_EQ(submitter.violations, 0);
    }
  }
}

}  // namespace
}  // namespace skua::test
