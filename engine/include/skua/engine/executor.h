// Runs a schedule on oneTBB: a ready queue per lane, a pump task per lane that runs its own queue in order and, when
// idle, steals what the steal rule allows. Owns its arenas; reusable step after step; steady state allocates nothing.
// run() is called by one thread at a time, which sleeps until the step has ended.
#pragma once

#include <memory>
#include <stdexcept>
#include <stop_token>

#include "skua/engine/device.h"
#include "skua/scheduler/simulator.h"

namespace skua {

// Starts a task's work on a lane (its planned one or a thief's). Called from the lane's pump, never twice at once for
// one lane. Must call completion.done exactly once, unless it throws.
class Launcher {
 public:
  virtual void launch(StepTaskId task, LaneId lane, Completion& completion) = 0;
  // How many tasks a lane may have under way: more than one where it runs them in the order of their launches. What is
  // launched is no longer there to be stolen.
  [[nodiscard]] virtual int window(LaneId /*lane*/) const { return 1; }
  // Whether launch() only submits work, on all lanes, to something that keeps the order of dependencies by itself: then
  // what follows a task is launched as soon as the task has been, and the completion may be told long after.
  [[nodiscard]] virtual bool only_submits() const { return false; }

 protected:
  ~Launcher() = default;
};

// A step that was stopped before its end.
class Cancelled : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class Executor {
 public:
  // `costs` gives the steal rule its times; no stealing where the rule is null. Everything must outlive the executor.
  Executor(const Schedule& schedule, const CostTable& costs, const StealRule* steal_rule, std::uint64_t seed = 0);
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Runs every task once and overwrites `trace`. Rethrows the first error, led by its task's name
  // (std::invalid_argument and DeviceLost stay that, all else becomes std::runtime_error), after everything that was
  // under way has ended; tasks that had not started are skipped. Throws Cancelled where tasks were skipped because a
  // stop was requested. The executor stays usable.
  void run(Launcher& launcher, StepTrace& trace, const std::stop_token& stop = {});

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace skua
