#include "skua/engine/executor.h"

#include <fmt/format.h>
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/spin_mutex.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <tuple>
#include <utility>
#include <vector>

#include "inbox.h"
#include "skua/graph/random.h"
#include "skua/scheduler/thefts.h"
#include "step_clock.h"
#include "task_table.h"

namespace skua {
namespace {

using SpinMutex = oneapi::tbb::spin_mutex;

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

[[noreturn]] void rethrow_led_by(const std::string& name, DeviceId device, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const DeviceLost& e) {
    throw DeviceLost(fmt::format("{}: {}", name, e.what()), e.device().valid() ? e.device() : device);
  } catch (const std::invalid_argument& e) {
    throw std::invalid_argument(fmt::format("{}: {}", name, e.what()));
  } catch (const std::exception& e) {
    throw std::runtime_error(fmt::format("{}: {}", name, e.what()));
  } catch (...) {
    throw std::runtime_error(fmt::format("{}: unknown error", name));
  }
}

}  // namespace

class Executor::Impl {
 public:
  Impl(const Schedule& schedule, const CostTable& costs, const StealRule* steal_rule, std::uint64_t seed)
      : schedule_(schedule),
        costs_(costs),
        steal_rule_(steal_rule),
        seed_(seed),
        table_(schedule, costs),
        pending_(table_.size()),
        started_(table_.size()),
        after_(table_.size()) {
    allow_threads(schedule.lanes().size() + 1);
    if (steal_rule != nullptr) thefts_.emplace(schedule, costs);
    for (std::size_t i = 0; i < schedule.lanes().size(); ++i) {
      lanes_.emplace_back(*this, LaneId(static_cast<std::int64_t>(i)));
      lanes_.back().arena.initialize();
    }
    for (std::uint32_t task = 0; task < table_.size(); ++task) {
      const TaskTable::Row& row = table_.row(task);
      pending_[task].store(row.predecessors, std::memory_order_relaxed);
      if (row.predecessors == 0) lanes_[row.lane].roots.push_back(task);
    }
  }

  void run(Launcher& launcher, StepTrace& trace, const std::stop_token& stop) {
    launcher_ = &launcher;
    trace_ = &trace;
    trace.records.resize(table_.size());
    trace.seconds = 0;
    {
      begin();
      const std::stop_callback on_stop(stop, [this] { stopping_.store(true); });
      arm_all();
      std::unique_lock lock(mutex_);
      over_.wait(lock, [&] { return is_over_; });
    }
    group_.wait();  // the last pumps' closures
    for (const TaskRecord& record : trace.records) trace.seconds = std::max(trace.seconds, record.finish_seconds);
    if (error_ != nullptr) {
      const LaneId lane = trace.records[failed_.index()].lane;
      rethrow_led_by(schedule_.name(failed_), schedule_.lanes()[lane.index()].device, error_);
    }
    if (skipped_.load()) throw Cancelled("cancelled");
  }

 private:
  struct Lane;

  // A task under way. It may end within the launch, on the pump's thread, or later, on any.
  struct Slot final : Completion {
    explicit Slot(Lane& on) : lane(on) {}
    void done(std::exception_ptr failure) noexcept override {
      if (launching_ != this) return lane.owner.end_elsewhere(*this, std::move(failure));
      ended = true;
      error = std::move(failure);
    }
    void measured(double began_seconds_ago, double ended_seconds_ago) noexcept override {
      began_ago = began_seconds_ago;
      ended_ago = ended_seconds_ago;
    }

    Lane& lane;
    std::uint32_t task = 0;
    double expected_seconds = 0;
    bool foreign = false;  // the task's data lie in another memory
    bool ended = false;    // within the launch
    std::exception_ptr error;
    std::optional<double> began_ago;  // seconds, where the device measures
    double ended_ago = 0;
    std::atomic<bool> in_use{false};  // by the pump or by a task under way
  };

  struct alignas(64) Lane {
    Lane(Impl& impl, LaneId lane_id) : owner(impl), id(lane_id), ready(impl.table_.size()), inbox(impl.after_) {
      fresh.reserve(impl.table_.size());
    }
    Impl& owner;
    const LaneId id;
    oneapi::tbb::task_arena arena{1, 0};  // one worker, no place for other threads
    std::vector<std::uint32_t> roots;     // tasks that nothing comes before
    std::vector<std::uint32_t> fresh;     // the pump's: ready for this lane, not yet in the queue
    std::deque<Slot> slots;               // as many as may be under way

    SpinMutex mutex;  // where there is stealing: guards all that follows, but for what is atomic
    RankedQueue ready;
    double expected_finish = 0;
    Pace pace;
    Pace copies;
    std::uint32_t looks_in_vain = 0;  // for a thief
    std::uint32_t looks_skipped = 0;  // until the next one

    alignas(64) Inbox inbox;
    std::atomic<bool> hungry{false};  // found nothing to do
    std::atomic<double> pace_value{1};
    std::atomic<std::uint32_t> next_own{0};  // in the planned order: what it has not begun
  };

  // What oneTBB runs to start a pump. Its one word is only touched atomically, so that what came before it was made is
  // seen by the pump whatever the library does between the threads.
  class Start {
   public:
    explicit Start(Lane& lane) { word().store(&lane, std::memory_order_release); }
    Start(const Start& from) : Start(*from.lane_) {}
    Start& operator=(const Start&) = delete;
    void operator()() const {
      Lane& lane = *word().load(std::memory_order_acquire);
      lane.owner.pump(lane);
    }

   private:
    [[nodiscard]] std::atomic_ref<Lane*> word() const { return std::atomic_ref(lane_); }
    mutable Lane* lane_;
  };

  void begin() {
    failed_ = StepTaskId();
    error_ = nullptr;
    is_over_ = table_.size() == 0;
    stopping_.store(false);
    skipped_.store(false);
    outstanding_.store(table_.size());
    clock_.start();
    ++epoch_;
    hungry_.store(0);
    for (Lane& lane : lanes_) {
      while (lane.slots.size() < static_cast<std::size_t>(launcher_->window(lane.id))) {
        lane.slots.emplace_back(lane);
      }
      lane.inbox.reset(lane.roots.empty());
      lane.next_own.store(0, std::memory_order_relaxed);
      lane.hungry.store(false, std::memory_order_relaxed);
      if (lane.roots.empty() && can_steal(lane)) set_hungry(lane, true);
      lane.fresh = lane.roots;
    }
  }

  void arm_all() {
    for (Lane& lane : lanes_) {
      if (!lane.roots.empty()) arm(lane);
    }
  }

  // REQUIRES: the lane's inbox said so, or has just been reset.
  void arm(Lane& lane) {
    outstanding_.fetch_add(1);
    lane.arena.enqueue(group_.defer(Start(lane)));
  }

  // Tasks that end and pumps that leave count down, each as the last thing that it does here: at 0 the step is over.
  void finish(std::size_t count) {
    if (outstanding_.fetch_sub(count) != count) return;
    const std::scoped_lock lock(mutex_);  // held while waking the caller, who may destroy the executor next
    is_over_ = true;
    over_.notify_all();
  }

  // What a pump goes about with.
  struct Turn {
    double now = 0;
    Slot* slot = nullptr;     // its own, for the next task
    double task_seconds = 0;  // that the last task in it took
    bool ended = false;       // a task has, in it
    Lane* thief = nullptr;    // to be woken
  };
  enum class Found : std::uint8_t { kTask, kNothing, kAsleep };

  void pump(Lane& lane) {
    std::size_t ended = 0;
    Turn turn{.now = clock_.seconds()};
    for (;;) {
      Found found = take(lane, turn, false);
      while (found == Found::kNothing) {
        set_hungry(lane, true);  // before it looks: who adds work later sees it
        steal(lane, turn.now);
        found = take(lane, turn, lane.fresh.empty());
      }
      if (found == Found::kAsleep) break;
      set_hungry(lane, false);
      if (turn.thief != nullptr && turn.thief->inbox.wake()) arm(*turn.thief);
      ended += run_task(lane, turn) ? 1 : 0;
    }
    finish(ended + 1);
  }

  // The lane's next task in the pump's slot. Nothing: its queue is empty, it may look for a theft. The lane falls
  // asleep where it cannot have a task now or, if `sleep`, where nothing has come since.
  Found take(Lane& lane, Turn& turn, bool sleep) {
    const auto lock = locked(lane);
    if (std::exchange(turn.ended, false)) settle(lane, *turn.slot, turn.task_seconds);
    for (const std::uint32_t task : lane.fresh) lane.ready.insert(table_.row(task).rank, expected(lane, task));
    lane.fresh.clear();
    do {
      const bool told = read_inbox(lane);
      if (turn.slot == nullptr) turn.slot = free_slot(lane);
      if (turn.slot != nullptr && pop(lane, *turn.slot, turn.now)) {
        turn.thief = hungry_thief(lane, turn.now);
        return Found::kTask;
      }
      if (may_steal(lane, turn) && (!sleep || told)) return Found::kNothing;
      if (turn.slot != nullptr) turn.slot->in_use.store(false);
      turn.slot = nullptr;
    } while (!lane.inbox.fall_asleep());
    return Found::kAsleep;
  }

  static Slot* free_slot(Lane& lane) {
    for (Slot& slot : lane.slots) {
      if (!slot.in_use.exchange(true)) return &slot;
    }
    return nullptr;
  }
  // Whether no slot but `mine` is in use.
  static bool is_alone(const Lane& lane, const Slot& mine) {
    return std::ranges::none_of(lane.slots, [&](const Slot& slot) { return &slot != &mine && slot.in_use.load(); });
  }

  bool read_inbox(Lane& lane) const {
    return lane.inbox.read([&](std::uint32_t task) {
      const TaskTable::Row& row = table_.row(task);
      lane.ready.insert(row.rank, row.estimated_seconds);
    });
  }

  [[nodiscard]] std::unique_lock<SpinMutex> locked(Lane& lane) const {
    return steal_rule_ != nullptr ? std::unique_lock(lane.mutex) : std::unique_lock<SpinMutex>();
  }

  // REQUIRES: the lane's lock, as do the next five.
  bool pop(Lane& lane, Slot& slot, double now) {
    if (lane.ready.empty()) return false;
    const std::uint32_t rank = lane.ready.first();
    const std::uint32_t task = table_.task_at(rank);
    const bool alone = is_alone(lane, slot);
    slot.foreign = is_foreign(lane, task);
    const auto is_guest = [&](const Slot& other) {
      return &other == &slot || other.in_use.load() ? other.foreign : false;
    };
    if (!alone && std::ranges::any_of(lane.slots, is_guest)) return false;
    slot.task = task;
    slot.expected_seconds = expected(lane, task);
    lane.ready.erase(rank, slot.expected_seconds);
    const double seconds = lane.pace.value() * slot.expected_seconds;
    lane.expected_finish = (alone ? now : std::max(now, lane.expected_finish)) + seconds;
    return true;
  }

  void settle(Lane& lane, const Slot& slot, double task_seconds) {
    if (steal_rule_ == nullptr) return;
    const bool is_copy = slot.task >= schedule_.graph().task_count();
    Pace& pace = is_copy ? lane.copies : lane.pace;
    pace.add(slot.expected_seconds, task_seconds);
    (is_copy ? copy_pace_ : lane.pace_value).store(pace.value(), std::memory_order_relaxed);
  }

  bool may_steal(const Lane& lane, const Turn& turn) const {
    return can_steal(lane) && turn.slot != nullptr && lane.ready.empty() && is_alone(lane, *turn.slot);
  }

  // The lane that gains most by what is left here, of those that found nothing to do. After looks in vain it looks less
  // often.
  Lane* hungry_thief(Lane& victim, double now) {
    if (hungry_.load(std::memory_order_relaxed) == 0 || victim.ready.empty()) return nullptr;
    if (victim.looks_skipped > 0) {
      --victim.looks_skipped;
      return nullptr;
    }
    Lane* best = nullptr;
    double best_gain = 0;
    for (Lane& lane : lanes_) {
      if (&lane == &victim || !lane.hungry.load(std::memory_order_relaxed)) continue;
      const double gain = theft_from(victim, lane, now).gain;
      if (gain > best_gain) std::tie(best_gain, best) = std::tuple(gain, &lane);
    }
    constexpr std::uint32_t kMostSkipped = 63;
    victim.looks_in_vain = best != nullptr ? 0 : std::min(2 * victim.looks_in_vain + 1, kMostSkipped);
    victim.looks_skipped = victim.looks_in_vain;
    return best;
  }

  struct Theft {
    Offer offer;
    StealQuery query;
    double gain = 0;
  };

  Offer offered(const Lane& victim, const Lane& thief) const {
    const auto seconds = [&](StepTaskId id) { return expected(victim, static_cast<std::uint32_t>(id.index())); };
    return thefts_->offer(victim.ready, table_.order(), thief.id, seconds);
  }

  Theft theft_from(const Lane& victim, Lane& thief, double now) {
    Theft theft{offered(victim, thief), {}, 0};
    if (!theft.offer.task.valid()) return theft;
    const LaneOutlook from{victim.id, victim.expected_finish, theft.offer.backlog_seconds, victim.pace.value()};
    const LaneOutlook to{thief.id, 0, 0, thief.pace_value.load(std::memory_order_relaxed)};
    theft.query =
        thefts_->query(theft.offer.task, from, to, next_own(thief), copy_pace_.load(std::memory_order_relaxed), now,
                       Random(seed_, draws_.fetch_add(1)).bits());
    theft.gain = steal_rule_->gain(theft.query);
    return theft;
  }

  // What it takes is fresh for the thief.
  void steal(Lane& thief, double now) {
    Lane* best = nullptr;
    double best_gain = 0;
    for (std::size_t v = 0; v < schedule_.device_lane_count(); ++v) {
      Lane& victim = lanes_[v];
      if (&victim == &thief) continue;
      const auto lock = locked(victim);
      read_inbox(victim);
      const double gain = theft_from(victim, thief, now).gain;
      if (gain > best_gain) std::tie(best_gain, best) = std::tuple(gain, &victim);
    }
    if (best == nullptr) return;
    const auto lock = locked(*best);
    Theft theft = theft_from(*best, thief, now);  // it may have gone on meanwhile
    if (theft.gain <= 0) return;
    double backlog_seconds = 0;
    for (std::size_t most = most_stolen(best->ready.size()); most > 0 && theft.offer.task.valid(); --most) {
      const auto task = static_cast<std::uint32_t>(theft.offer.task.index());
      backlog_seconds += expected(thief, task);
      if (!thief.fresh.empty() && !adds_to_theft(theft.query, backlog_seconds, theft.offer)) break;
      best->ready.erase(theft.offer.rank, expected(*best, task));
      thief.fresh.push_back(task);
      theft.offer = offered(*best, thief);
    }
  }

  // True: the task has ended, and what waited for it is ready. False: it is under way.
  bool run_task(Lane& lane, Turn& turn) {
    Slot& slot = *turn.slot;
    launch(lane, slot, turn.now);
    const double start = std::exchange(turn.now, clock_.seconds());
    turn.ended = slot.ended;
    turn.task_seconds = turn.now - start;
    if (slot.ended) {
      end_task(slot.task, turn.now, std::move(slot.error));
    } else {
      turn.slot = nullptr;
    }
    if (slot.ended || launcher_->only_submits()) release_successors(lane, slot.task, turn.now, &lane.fresh);
    return turn.ended;
  }

  void launch(Lane& lane, Slot& slot, double now) {
    const StepTaskId id(slot.task);
    TaskRecord& record = trace_->records[slot.task];
    const bool is_plain = table_.row(slot.task).lane == lane.id.index() && id.index() < schedule_.graph().task_count();
    record = {lane.id, now, now, is_plain ? 0 : moved_bytes(schedule_, id, lane.id)};
    if (steal_rule_ != nullptr) started_[slot.task].store(epoch_, std::memory_order_relaxed);
    slot.error = nullptr;
    slot.began_ago.reset();
    slot.ended = stopping_.load(std::memory_order_relaxed);
    if (slot.ended) return skipped_.store(true, std::memory_order_relaxed);
    launching_ = &slot;
    try {
      launcher_->launch(id, lane.id, slot);
    } catch (...) {
      slot.ended = true;
      slot.error = std::current_exception();
    }
    launching_ = nullptr;
  }

  // From any thread.
  void end_elsewhere(Slot& slot, std::exception_ptr error) noexcept {
    Lane& lane = slot.lane;
    const double now = clock_.seconds();
    TaskRecord& record = trace_->records[slot.task];
    if (slot.began_ago) record.start_seconds = std::max(0.0, now - *slot.began_ago);
    const double end = slot.began_ago ? std::max(record.start_seconds, now - slot.ended_ago) : now;
    const double task_seconds = end - record.start_seconds;
    end_task(slot.task, end, std::move(error));
    if (!launcher_->only_submits()) release_successors(lane, slot.task, now, nullptr);
    {
      const auto lock = locked(lane);
      settle(lane, slot, task_seconds);
    }
    slot.in_use.store(false);
    if (lane.inbox.wake()) arm(lane);
    finish(1);
  }

  void end_task(std::uint32_t task, double end_seconds, std::exception_ptr error) {
    trace_->records[task].finish_seconds = end_seconds;
    if (error != nullptr) fail(StepTaskId(task), std::move(error));
  }

  // `fresh`: takes what becomes ready for this lane; else that goes into its queue.
  void release_successors(const Lane& lane, std::uint32_t task, double now, std::vector<std::uint32_t>* fresh) {
    for (const std::uint32_t next : table_.successors(task)) {
      if (pending_[next].fetch_sub(1, std::memory_order_acq_rel) != 1) continue;
      const TaskTable::Row& row = table_.row(next);
      pending_[next].store(row.predecessors, std::memory_order_relaxed);  // for the next step
      if (fresh != nullptr && row.lane == lane.id.index()) {
        fresh->push_back(next);
      } else {
        hand_over(lanes_[row.lane], next, now);
      }
    }
  }

  void hand_over(Lane& lane, std::uint32_t task, double now) {
    if (lane.inbox.send(task)) arm(lane);
    if (hungry_.load() == 0) return;
    Lane* thief = nullptr;
    {
      const auto lock = locked(lane);
      read_inbox(lane);
      thief = hungry_thief(lane, now);
    }
    if (thief != nullptr && thief->inbox.wake()) arm(*thief);
  }

  void fail(StepTaskId task, std::exception_ptr error) {
    const std::scoped_lock lock(mutex_);
    if (error_ != nullptr) return;
    error_ = std::move(error);
    failed_ = task;
    stopping_.store(true);
  }

  void set_hungry(Lane& lane, bool hungry) {
    if (lane.hungry.load(std::memory_order_relaxed) == hungry) return;
    lane.hungry.store(hungry, std::memory_order_relaxed);
    hungry_.fetch_add(hungry ? 1 : -1);
  }

  [[nodiscard]] bool can_steal(const Lane& lane) const {
    return steal_rule_ != nullptr && lane.id.index() < schedule_.device_lane_count();
  }
  [[nodiscard]] bool is_foreign(const Lane& lane, std::uint32_t task) const {
    const LaneId planned(table_.row(task).lane);
    return planned != lane.id && schedule_.memory_of(planned) != schedule_.memory_of(lane.id);
  }
  [[nodiscard]] double expected(const Lane& lane, std::uint32_t task) const {
    const TaskTable::Row& row = table_.row(task);
    return row.lane == lane.id.index() ? row.estimated_seconds : thefts_->seconds(StepTaskId(task), lane.id);
  }

  // The lane's own task that it comes to next, by the plan.
  StepTaskId next_own(Lane& lane) {
    const std::vector<StepTaskId>& order = thefts_->planned_order(lane.id);
    std::uint32_t next = lane.next_own.load(std::memory_order_relaxed);
    while (next < order.size() && started_[order[next].index()].load(std::memory_order_relaxed) == epoch_) ++next;
    lane.next_own.store(next, std::memory_order_relaxed);
    return next < order.size() ? order[next] : StepTaskId();
  }

  static thread_local Slot* launching_;

  const Schedule& schedule_;
  const CostTable& costs_;
  const StealRule* steal_rule_;
  const std::uint64_t seed_;
  const TaskTable table_;
  std::optional<Thefts> thefts_;  // where there is a steal rule
  std::atomic<std::uint64_t> draws_{0};
  std::atomic<double> copy_pace_{1};                 // of the lane that copied last
  std::vector<std::atomic<std::int32_t>> pending_;   // predecessors that have not ended, by task
  std::vector<std::atomic<std::uint32_t>> started_;  // the last epoch in which it has, by task
  std::vector<std::uint32_t> after_;                 // for the inboxes
  std::deque<Lane> lanes_;
  oneapi::tbb::task_group group_;

  Launcher* launcher_ = nullptr;  // of the step under way, as are all below
  StepTrace* trace_ = nullptr;
  StepClock clock_;
  std::uint32_t epoch_ = 0;
  std::atomic<bool> stopping_{false};                    // what has not started is skipped
  std::atomic<bool> skipped_{false};                     // something was
  alignas(64) std::atomic<std::size_t> outstanding_{0};  // tasks that have not ended, and pumps
  alignas(64) std::atomic<std::int32_t> hungry_{0};      // lanes that found nothing to do
  alignas(64) std::mutex mutex_;                         // guards the next four
  std::condition_variable over_;
  bool is_over_ = false;
  std::exception_ptr error_;
  StepTaskId failed_;
};

thread_local Executor::Impl::Slot* Executor::Impl::launching_ = nullptr;

Executor::Executor(const Schedule& schedule, const CostTable& costs, const StealRule* steal_rule, std::uint64_t seed)
    : impl_(std::make_unique<Impl>(schedule, costs, steal_rule, seed)) {}

Executor::~Executor() = default;

void Executor::run(Launcher& launcher, StepTrace& trace, const std::stop_token& stop) {
  impl_->run(launcher, trace, stop);
}

}  // namespace skua
