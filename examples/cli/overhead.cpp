#include "overhead.h"

#include <algorithm>
#include <chrono>

#include "skua/graph/random.h"

namespace skua::cli {
namespace {

using Rows = std::vector<std::vector<std::uint32_t>>;

Rows random_predecessors(std::size_t count) {
  constexpr std::size_t kReach = 256;
  Rows rows(count);
  Random random(1);
  for (std::size_t task = 1; task < count; ++task) {
    std::vector<std::uint32_t>& row = rows[task];
    for (std::uint64_t left = random.below(4); left > 0; --left) {
      row.push_back(static_cast<std::uint32_t>(task - 1 - random.below(std::min(task, kReach))));
    }
    std::ranges::sort(row);
    row.erase(std::unique(row.begin(), row.end()), row.end());
  }
  return rows;
}

Rows inverted(const Rows& rows) {
  Rows result(rows.size());
  for (std::size_t task = 0; task < rows.size(); ++task) {
    for (const std::uint32_t before : rows[task]) result[before].push_back(static_cast<std::uint32_t>(task));
  }
  return result;
}

}  // namespace

BenchTasks::Lists::Lists(const std::vector<std::vector<std::uint32_t>>& rows) : begin{0} {
  for (const auto& row : rows) {
    items.insert(items.end(), row.begin(), row.end());
    begin.push_back(items.size());
  }
}

BenchTasks::BenchTasks(std::size_t count)
    : before_(random_predecessors(count)),
      after_(inverted(random_predecessors(count))),
      stamps_(count),
      times_ran_(count) {
  for (std::uint32_t task = 0; task < count; ++task) {
    if (predecessors(task).empty()) roots_.push_back(task);
  }
}

void BenchTasks::set_work(double microseconds) {
  work_microseconds_ = microseconds;
  loops_ = microseconds > 0 ? static_cast<std::int64_t>(microseconds * loops_per_microsecond() + 0.5) : 0;
}

// The fastest of some measurements: whatever else runs here only makes them slower.
double BenchTasks::loops_per_microsecond() {
  constexpr std::int64_t kLoops = 100'000;
  double best = 0;
  for (int i = 0; i < 20; ++i) {
    loops_ = kLoops;
    const auto start = std::chrono::steady_clock::now();
    run_task(0);
    const std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - start;
    best = std::max(best, kLoops / time.count());
  }
  return best;
}

void BenchTasks::begin_run(bool checked) {
  checked_ = checked;
  too_early_ = 0;
  if (checked) std::ranges::for_each(times_ran_, [](std::atomic<int>& times) { times = 0; });
  run_.fetch_add(1, std::memory_order_release);
}

void BenchTasks::check(std::size_t task, std::uint32_t run) {
  times_ran_[task].fetch_add(1, std::memory_order_relaxed);
  for (const std::uint32_t before : predecessors(task)) {
    if (stamps_[before].load(std::memory_order_relaxed) != run) too_early_.fetch_add(1, std::memory_order_relaxed);
  }
}

bool BenchTasks::ran_right() const {
  return too_early_ == 0 && std::ranges::all_of(times_ran_, [](const std::atomic<int>& times) { return times == 1; });
}

}  // namespace skua::cli
