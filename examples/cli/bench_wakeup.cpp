// skua bench wakeup: how soon idle devices of the executor begin, and what they cost while they wait.
#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>

#include "command.h"
#include "placed_step.h"
#include "skua/engine/executor.h"
#include "skua/scheduler/median.h"

namespace skua::cli {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;

struct WakeupOptions {
  int samples = 200;
  double seconds = 2;
  bool json = false;
};

void spin_until(Clock::time_point end) {
  while (Clock::now() < end) {
  }
}

struct CpuSeconds {
  double process = 0;
  double thread = 0;  // of the calling thread

  static CpuSeconds now() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
    };
    return {seconds(usage.ru_utime) + seconds(usage.ru_stime),
            static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec)};
  }
};

constexpr int kFirst = 0;  // on one device, and after it
constexpr int kLong = 1;   // on the other, and after it
constexpr int kLast = 2;   // on the first one again, which is idle while the other works

TimedGraph chain() {
  TimedGraph graph;
  for (const char* name : {"first", "long", "last"}) graph.tasks.push_back({name, {{kAnyDevice, 1e-6}}});
  graph.edges = {{kFirst, {kLong}}, {kLong, {kLast}}};
  return graph;
}

// An executor of two devices and a step that goes from one to the other and back.
class Chain {
 public:
  explicit Chain(const std::string& stealing)
      : step_(chain(), 2, [](std::size_t task) { return task == kLong ? 0 : 1; }),
        rule_(make_steal_rule(stealing)),
        executor_(step_.schedule(), step_.costs(), rule_.get()) {}

  void run(Launcher& launcher) { executor_.run(launcher, trace_); }

 private:
  PlacedStep step_;
  std::unique_ptr<StealRule> rule_;
  Executor executor_;
  StepTrace trace_;
};

// The long task works until the other device has been idle for some time.
class IdleFor final : public Launcher {
 public:
  explicit IdleFor(Clock::duration idle) : idle_(idle) {}

  void launch(StepTaskId task, LaneId, Completion& completion) override {
    begin[task.index()] = Clock::now();
    if (task.index() == kLong) {
      const CpuSeconds before = CpuSeconds::now();
      spin_until(end[kFirst] + idle_);
      const CpuSeconds after = CpuSeconds::now();
      others_cpu_seconds = (after.process - before.process) - (after.thread - before.thread);
    }
    end[task.index()] = Clock::now();
    completion.done(nullptr);
  }

  Clock::time_point begin[3];
  Clock::time_point end[3];
  double others_cpu_seconds = 0;  // of all other threads while the long task worked

 private:
  Clock::duration idle_;
};

// A device that works by itself: its thread only waits.
class Asynchronous final : public Launcher {
 public:
  explicit Asynchronous(Clock::duration each) : each_(each) {}

  void launch(StepTaskId task, LaneId, Completion& completion) override {
    threads_[task.index()] = std::jthread([this, &completion] {
      std::this_thread::sleep_for(each_);
      completion.done(nullptr);
    });
  }

 private:
  Clock::duration each_;
  std::jthread threads_[3];
};

// What any hand-over between two sleeping threads costs: a mutex and a condition variable.
class ConditionVariable {
 public:
  ConditionVariable() : partner_([this] { serve(); }) {}
  ~ConditionVariable() {
    hand_to(Turn::kNobody);
    partner_.join();
  }

  // When the partner began. Returns when it has handed back.
  Clock::time_point hand_over() {
    hand_to(Turn::kPartner);
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return turn_ == Turn::kCaller; });
    return began_;
  }

 private:
  enum class Turn { kCaller, kPartner, kNobody };

  void hand_to(Turn turn) {
    {
      const std::scoped_lock lock(mutex_);
      turn_ = turn;
    }
    changed_.notify_one();
  }

  void serve() {
    for (;;) {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return turn_ != Turn::kCaller; });
      if (turn_ == Turn::kNobody) return;
      began_ = Clock::now();
      lock.unlock();
      hand_to(Turn::kCaller);
    }
  }

  std::mutex mutex_;  // guards the next two
  Turn turn_ = Turn::kCaller;
  Clock::time_point began_;
  std::condition_variable changed_;
  std::thread partner_;
};

struct Latencies {
  std::vector<double> us;

  void add(Clock::duration latency) { us.push_back(std::chrono::duration<double, std::micro>(latency).count()); }
  [[nodiscard]] double median() const { return median_of(us); }
  // The least that nine of ten do not exceed.
  [[nodiscard]] double percentile_90() const {
    std::vector<double> sorted = us;
    std::ranges::sort(sorted);
    return sorted[(sorted.size() * 9 + 9) / 10 - 1];
  }
  [[nodiscard]] nlohmann::json json() const { return {{"median_us", median()}, {"p90_us", percentile_90()}}; }
};

// One way in which something that was idle for a time is woken: by the executor, and by a condition variable.
struct Waking {
  std::string what;
  Clock::duration idle;
  Latencies skua = {};
  Latencies floor = {};

  [[nodiscard]] double idle_us() const { return std::chrono::duration<double, std::micro>(idle).count(); }
};

// From run() to the first task's start.
void wake_by_run(Chain& chain, ConditionVariable& floor, Waking& waking) {
  IdleFor launcher{Clock::duration::zero()};
  std::this_thread::sleep_for(waking.idle);
  const auto called = Clock::now();
  chain.run(launcher);
  waking.skua.add(launcher.begin[kFirst] - called);
  std::this_thread::sleep_for(waking.idle);
  const auto handed = Clock::now();
  waking.floor.add(floor.hand_over() - handed);
}

// From a task's end to its successor's start on the other device.
void wake_by_task(Chain& chain, ConditionVariable& floor, Waking& waking) {
  IdleFor launcher(waking.idle);
  chain.run(launcher);
  waking.skua.add(launcher.begin[kLast] - launcher.end[kLong]);
  spin_until(floor.hand_over() + waking.idle);
  const auto handed = Clock::now();
  waking.floor.add(floor.hand_over() - handed);
}

// All of them, and both sides of each, take turns.
std::vector<Waking> measure_waking(int samples) {
  std::vector<Waking> result{{"run", microseconds(5000)}};
  for (const int idle : {0, 100, 1000, 20'000}) result.push_back({"task", microseconds(idle)});
  Chain chain("none");
  ConditionVariable floor;
  for (int sample = -1; sample < samples; ++sample) {
    for (Waking& waking : result) {
      (waking.what == "run" ? wake_by_run : wake_by_task)(chain, floor, waking);
      if (sample < 0) waking.skua.us.clear(), waking.floor.us.clear();  // the first time does not count
    }
  }
  return result;
}

struct IdleCost {
  std::string state;
  double seconds = 0;  // wall clock
  double cpu_seconds = 0;

  [[nodiscard]] double percent() const { return cpu_seconds / seconds * 100; }  // of one core
};

// What the process uses while `action` goes on, which takes no processor time itself.
IdleCost cost_of(const std::string& state, const std::function<void()>& action) {
  const auto start = Clock::now();
  const double before = CpuSeconds::now().process;
  action();
  const double cpu_seconds = CpuSeconds::now().process - before;
  return {state, std::chrono::duration<double>(Clock::now() - start).count(), cpu_seconds};
}

// With the steal rule of training, by which an idle device looks for work of others.
std::vector<IdleCost> measure_idling(double seconds) {
  const auto duration = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  Chain chain("cost");
  IdleFor busy(duration);
  Asynchronous asynchronous(duration / 3);
  chain.run(busy);
  const double worked = std::chrono::duration<double>(busy.end[kLong] - busy.begin[kLong]).count();
  return {{"beside a busy device", worked, busy.others_cpu_seconds},
          cost_of("between steps", [&] { std::this_thread::sleep_for(duration); }),
          cost_of("waiting for an asynchronous device", [&] { chain.run(asynchronous); })};
}

void wakeup(const WakeupOptions& options) {
  constexpr double kMostSeconds = 3600;
  if (!(options.seconds > 0 && options.seconds <= kMostSeconds)) {
    throw std::invalid_argument(
        fmt::format("[--seconds] expected more than 0 and {} at most, got {}", kMostSeconds, options.seconds));
  }
  const std::vector<Waking> wakings = measure_waking(options.samples);
  const std::vector<IdleCost> costs = measure_idling(options.seconds);
  std::vector<std::vector<std::string>> rows{
      {"woken by", "idle before", "skua, median", "90 of 100", "condition variable, median", "90 of 100"}};
  std::vector<std::vector<std::string>> cost_rows{{"waiting", "processor time, of one core"}};
  nlohmann::json object = {{"bench", "wakeup"},
                           {"samples", options.samples},
                           {"wakings", nlohmann::json::array()},
                           {"idling", nlohmann::json::array()},
                           {"machine", machine_description()}};
  for (const Waking& waking : wakings) {
    object["wakings"].push_back({{"by", waking.what},
                                 {"idle_us", waking.idle_us()},
                                 {"skua", waking.skua.json()},
                                 {"condition_variable", waking.floor.json()}});
    rows.push_back({waking.what, fmt::format("{} us", waking.idle_us())});
    for (const Latencies* side : {&waking.skua, &waking.floor}) {
      rows.back().push_back(fmt::format("{:.1f} us", side->median()));
      rows.back().push_back(fmt::format("{:.1f} us", side->percentile_90()));
    }
  }
  for (const IdleCost& cost : costs) {
    object["idling"].push_back({{"state", cost.state},
                                {"seconds", cost.seconds},
                                {"cpu_seconds", cost.cpu_seconds},
                                {"percent", cost.percent()}});
    cost_rows.push_back({cost.state, fmt::format("{:.3f} %", cost.percent())});
  }
  if (options.json) return print_json(object);
  fmt::print("2 devices of one thread, {} samples\n", options.samples);
  print_machine();
  print_table(rows);
  fmt::print("\n");
  print_table(cost_rows);
}

}  // namespace

void add_bench_wakeup_command(CLI::App& bench) {
  CLI::App& command = *bench.add_subcommand("wakeup", "How soon idle devices begin, and what waiting costs");
  const auto options = std::make_shared<WakeupOptions>();
  command.add_option("--samples", options->samples, "Of each latency")->check(at_least(1))->capture_default_str();
  command.add_option("--seconds", options->seconds, "Of waiting in each state")->capture_default_str();
  add_json_option(command, options->json);
  command.callback([options] { wakeup(*options); });
}

}  // namespace skua::cli
