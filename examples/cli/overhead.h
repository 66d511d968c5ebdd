// What `skua bench overhead` measures: small tasks with dependencies, and the sides that run them: Skua's executor and
// its peers. Owned by the benchmark; only run_task may be called by several threads.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace skua::cli {

// A random task graph: each task waits for 0 to 3 of the 256 tasks before it. The same for the same count.
class BenchTasks {
 public:
  explicit BenchTasks(std::size_t count);

  [[nodiscard]] std::size_t count() const { return stamps_.size(); }
  [[nodiscard]] std::span<const std::uint32_t> predecessors(std::size_t task) const { return before_.of(task); }
  [[nodiscard]] std::span<const std::uint32_t> successors(std::size_t task) const { return after_.of(task); }
  [[nodiscard]] const std::vector<std::uint32_t>& roots() const { return roots_; }  // tasks that wait for none

  // Arithmetic in each task. It takes about so long; what it takes at a moment, a run in order tells.
  void set_work(double microseconds);
  [[nodiscard]] double work_microseconds() const { return work_microseconds_; }

  // Before each run, by the thread that starts it. In a checked run every task looks whether it may run.
  void begin_run(bool checked);
  // After a checked run: whether each task ran exactly once, and after all that it waits for.
  [[nodiscard]] bool ran_right() const;

  // A task's body, which is all that the sides have in common: the work, and a store that others can wait for.
  void run_task(std::size_t task) {
    const std::uint32_t run = run_.load(std::memory_order_acquire);
    if (checked_) check(task, run);
    std::uint64_t x = odd_;
    for (std::int64_t i = loops_; i > 0; --i) x *= kFactor;
    stamps_[task].store(x != 0 ? run : 0, std::memory_order_release);  // a product of odd numbers is never 0
  }

 private:
  struct Lists {  // of numbers by task, one after the other
    explicit Lists(const std::vector<std::vector<std::uint32_t>>& rows);
    [[nodiscard]] std::span<const std::uint32_t> of(std::size_t task) const {
      return {items.data() + begin[task], begin[task + 1] - begin[task]};
    }
    std::vector<std::uint32_t> items;
    std::vector<std::size_t> begin;
  };
  static constexpr std::uint64_t kFactor = 6364136223846793005;  // odd; of no other meaning here

  void check(std::size_t task, std::uint32_t run);
  [[nodiscard]] double loops_per_microsecond();

  Lists before_;
  Lists after_;
  std::vector<std::uint32_t> roots_;
  std::vector<std::atomic<std::uint32_t>> stamps_;  // the run that a task ended in last
  std::atomic<std::uint32_t> run_{0};
  double work_microseconds_ = 0;
  std::int64_t loops_ = 0;
  std::uint64_t odd_ = 1;
  bool checked_ = false;
  std::vector<std::atomic<int>> times_ran_;  // in the checked run, as is the next
  std::atomic<int> too_early_{0};
};

// One way to run all tasks. What is empty is not needed.
struct OverheadSide {
  std::string name;
  double build_seconds = 0;          // paid once, however often the graph is run
  std::function<void()> run;         // every task once; returns when all have ended
  std::function<void()> tidy = {};   // after each run
  std::function<void()> tune = {};   // once the tasks' work has changed
  std::function<void()> enter = {};  // before its turn
  std::function<void()> leave = {};  // after its turn: it must not burden the others
};

// The tasks outlive the sides. Skua's: stealing by cost, which is what training does, and none; `block` consecutive
// tasks on each device in turn.
[[nodiscard]] std::vector<OverheadSide> skua_sides(BenchTasks& tasks, int workers, int block);
[[nodiscard]] std::vector<OverheadSide> tbb_sides(BenchTasks& tasks, int workers);
[[nodiscard]] std::vector<OverheadSide> starpu_sides(BenchTasks& tasks, int workers);  // with SKUA_BENCH_PEERS

}  // namespace skua::cli
