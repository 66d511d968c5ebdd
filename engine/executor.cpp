#include "skua/engine/executor.h"

#include <fmt/format.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <stdexcept>
#include <vector>

#include "skua/graph/random.h"
#include "skua/scheduler/ready_queue.h"

namespace skua {
namespace {

using Clock = std::chrono::steady_clock;

// Lets oneTBB run `threads` threads at a time: one for each lane, also on a machine with fewer cores, and the caller's.
void allow_threads(std::size_t threads) {
  using oneapi::tbb::global_control;
  static std::mutex mutex;
  static std::unique_ptr<global_control> control;
  const std::scoped_lock lock(mutex);
  if (threads <= global_control::active_value(global_control::max_allowed_parallelism)) return;
  control.reset();  // of several controls the smallest counts
  control = std::make_unique<global_control>(global_control::max_allowed_parallelism, threads);
}

[[noreturn]] void rethrow_led_by(const std::string& name, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::invalid_argument& e) {
    throw std::invalid_argument(fmt::format("{}: {}", name, e.what()));
  } catch (const std::exception& e) {
    throw std::runtime_error(fmt::format("{}: {}", name, e.what()));
  }
}

}  // namespace

class Executor::Impl {
 public:
  Impl(const Schedule& schedule, const CostTable& costs, const StealRule* steal_rule, std::uint64_t seed)
      : schedule_(schedule), costs_(costs), steal_rule_(steal_rule), seed_(seed), pending_(schedule.task_count()) {
    allow_threads(schedule.lanes().size() + 1);
    for (std::size_t i = 0; i < schedule.lanes().size(); ++i) {
      lanes_.emplace_back(*this, LaneId(static_cast<std::int64_t>(i)));
      lanes_.back().ready.reserve(schedule.task_count());
      lanes_.back().arena.initialize();
    }
  }

  void run(Launcher& launcher, StepTrace& trace) {
    launcher_ = &launcher;
    trace_ = &trace;
    trace.records.assign(schedule_.task_count(), {});
    trace.seconds = 0;
    failed_ = StepTaskId();
    error_ = nullptr;
    stopping_ = false;
    remaining_ = schedule_.task_count();
    for (std::size_t i = 0; i < pending_.size(); ++i) {
      pending_[i].store(schedule_.predecessor_count(StepTaskId(static_cast<std::int64_t>(i))),
                        std::memory_order_relaxed);
    }
    start_ = Clock::now();
    for (std::size_t i = 0; i < pending_.size(); ++i) {  // no pump runs yet: what is armed below sees all of it
      const StepTaskId id(static_cast<std::int64_t>(i));
      if (schedule_.predecessor_count(id) == 0) push(id);
    }
    for (Lane& lane : lanes_) {
      if (has_work(lane)) arm(lane);
    }
    {
      std::unique_lock lock(mutex_);
      ended_.wait(lock, [&] { return remaining_ == 0 && active_ == 0; });
    }
    group_.wait();  // the last pumps' closures
    for (const TaskRecord& record : trace.records) trace.seconds = std::max(trace.seconds, record.finish_seconds);
    if (error_ != nullptr) rethrow_led_by(schedule_.name(failed_), error_);
  }

 private:
  struct Lane final : Completion {
    Lane(Impl& impl, LaneId lane_id) : owner(impl), id(lane_id) {}
    // What was done before arming is seen from here on. oneTBB sees to that; the load says it to tools as well.
    void operator()() {
      (void)armed.load();
      owner.pump(*this);
    }
    void done(std::exception_ptr error) noexcept override { owner.end_task(*this, std::move(error)); }

    Impl& owner;
    const LaneId id;
    oneapi::tbb::task_arena arena{1, 0};  // one worker, no place for other threads
    std::mutex mutex;                     // guards ready
    ReadyQueue ready;
    std::atomic<bool> armed{false};  // a pump runs or is about to
    std::atomic<bool> busy{false};   // a task is under way
    std::atomic<double> expected_finish{0};
    StepTaskId current;  // what is under way
  };

  struct Offer {
    LaneId victim;
    double gain = 0;
  };

  // A pump and a lane's work hand over through `armed`: the pump clears it and then looks for work once more; whoever
  // makes work ready, or ends the task that kept the lane busy, does so first and then arms. Both are sequentially
  // consistent, so one of the two sees the other and no work is left lying.
  void arm(Lane& lane) {
    if (lane.armed.exchange(true)) return;
    {
      const std::scoped_lock lock(mutex_);
      ++active_;
    }
    lane.arena.enqueue(group_.defer(std::ref(lane)));
  }

  void pump(Lane& lane) {
    do {
      while (!lane.busy && start_next(lane)) {
      }
      lane.armed = false;
    } while (has_work(lane) && !lane.armed.exchange(true));
    leave();
  }

  void leave() {
    const std::scoped_lock lock(mutex_);  // held while waking the caller, who may destroy the executor next
    if (--active_ == 0 && remaining_ == 0) ended_.notify_all();
  }

  bool has_work(Lane& lane) {
    if (lane.busy) return false;
    {
      const std::scoped_lock lock(lane.mutex);
      if (!lane.ready.empty()) return true;
    }
    return best_offer(lane).gain > 0;
  }

  bool start_next(Lane& lane) {
    ReadyEntry entry;
    {
      const std::scoped_lock lock(lane.mutex);
      if (!lane.ready.empty()) {
        entry = lane.ready.pop();
        lane.expected_finish = seconds_since_start() + entry.estimated_seconds;
      }
    }
    if (!entry.id.valid() && !steal(lane, entry)) return false;
    start(lane, entry.id);
    return true;
  }

  Offer best_offer(Lane& thief) {
    Offer best;
    if (steal_rule_ == nullptr || thief.id.index() >= schedule_.device_lane_count()) return best;
    for (std::size_t v = 0; v < schedule_.device_lane_count(); ++v) {
      if (v == thief.id.index()) continue;
      const std::scoped_lock lock(lanes_[v].mutex);
      const double gain = gain_of(thief, lanes_[v]).first;
      if (gain > best.gain) best = {lanes_[v].id, gain};
    }
    return best;
  }

  // The gain of taking what the victim offers, and how long the thief will be busy. REQUIRES: the victim's lock.
  std::pair<double, double> gain_of(Lane& thief, Lane& victim) {
    if (victim.ready.empty() || !stealable(schedule_, costs_, victim.ready.offered().id, thief.id)) return {0, 0};
    const ReadyEntry& entry = victim.ready.offered();
    const double wait = victim.ready.offered_wait_seconds(victim.expected_finish - seconds_since_start());
    const StealQuery query =
        make_steal_query(schedule_, costs_, entry.id, victim.id, thief.id, wait, Random(seed_, draws_++).bits());
    return {steal_rule_->gain(query), query.thief_seconds()};
  }

  bool steal(Lane& thief, ReadyEntry& entry) {
    const Offer offer = best_offer(thief);
    if (offer.gain <= 0) return false;
    Lane& victim = lanes_[offer.victim.index()];
    const std::scoped_lock lock(victim.mutex);
    const auto [gain, busy_seconds] = gain_of(thief, victim);  // the victim may have gone on meanwhile
    if (gain <= 0) return false;
    entry = victim.ready.pop_offered();
    thief.expected_finish = seconds_since_start() + busy_seconds;
    return true;
  }

  void start(Lane& lane, StepTaskId id) {
    lane.busy = true;
    lane.current = id;
    TaskRecord& record = trace_->records[id.index()];
    record.lane = lane.id;
    record.start_seconds = seconds_since_start();
    record.copied_bytes = moved_bytes(schedule_, id, lane.id);
    if (stopping_) return end_task(lane, nullptr);
    try {
      launcher_->launch(id, lane.id, lane);
    } catch (...) {
      end_task(lane, std::current_exception());
    }
  }

  // From any thread; inside the pump where the device works synchronously.
  void end_task(Lane& lane, std::exception_ptr error) noexcept {
    const StepTaskId id = lane.current;
    trace_->records[id.index()].finish_seconds = seconds_since_start();
    {
      const std::scoped_lock lock(mutex_);
      ++active_;  // run() must not return while this function is still at work
      if (error != nullptr && error_ == nullptr) {
        error_ = std::move(error);
        failed_ = id;
        stopping_ = true;
      }
    }
    for (StepTaskId successor : schedule_.successors(id)) {
      if (pending_[successor.index()].fetch_sub(1) != 1) continue;
      push(successor);
      if (Lane& home = lanes_[schedule_.task(successor).lane.index()]; !home.busy) arm(home);
    }
    lane.busy = false;
    remaining_.fetch_sub(1);
    arm(lane);
    wake_thieves();
    leave();
  }

  void push(StepTaskId id) {
    const StepTask& task = schedule_.task(id);
    Lane& lane = lanes_[task.lane.index()];
    const std::scoped_lock lock(lane.mutex);
    lane.ready.push({task.priority, id, estimated_seconds(schedule_, costs_, id, task.lane)});
  }

  void wake_thieves() {
    if (steal_rule_ == nullptr) return;
    for (Lane& lane : lanes_) {
      if (!lane.armed && has_work(lane)) arm(lane);
    }
  }

  [[nodiscard]] double seconds_since_start() const {
    return std::chrono::duration<double>(Clock::now() - start_).count();
  }

  const Schedule& schedule_;
  const CostTable& costs_;
  const StealRule* steal_rule_;
  const std::uint64_t seed_;
  std::atomic<std::uint64_t> draws_{0};
  std::vector<std::atomic<int>> pending_;  // predecessors that have not ended, by task
  std::deque<Lane> lanes_;
  oneapi::tbb::task_group group_;

  Launcher* launcher_ = nullptr;  // of the step under way, as are all below
  StepTrace* trace_ = nullptr;
  Clock::time_point start_;
  std::atomic<std::size_t> remaining_{0};
  std::atomic<bool> stopping_{false};  // after an error: what has not started is skipped
  std::mutex mutex_;                   // guards the next four
  std::condition_variable ended_;
  int active_ = 0;  // pumps and end_task calls
  std::exception_ptr error_;
  StepTaskId failed_;
};

Executor::Executor(const Schedule& schedule, const CostTable& costs, const StealRule* steal_rule, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(schedule, costs, steal_rule, seed)) {}

Executor::~Executor() = default;

void Executor::run(Launcher& launcher, StepTrace& trace) {
  impl_->run(launcher, trace);
}

}  // namespace skua
