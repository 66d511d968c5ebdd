// skua bench overhead: what running a task costs beside its work, in Skua's executor and in other task runtimes.
#include <fmt/format.h>
#include <oneapi/tbb/global_control.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <optional>
#include <stdexcept>

#include "command.h"
#include "overhead.h"
#include "skua/scheduler/median.h"

namespace skua::cli {
namespace {

struct OverheadOptions {
  std::vector<int> tasks = {10'000, 100'000};
  std::vector<double> work_us = {0, 2};
  int workers = 2;
  int metg_tasks = 10'000;
  int rounds = 5;
  int runs = 10;
  int block = 384;
  bool json = false;
};

struct Measured {
  std::string side;
  double build_ns = 0;           // per task, as are the next two
  std::vector<double> run_ns;    // by round: the median of its runs
  std::vector<double> order_ns;  // by round: all tasks in order on one thread, which is their work
  bool verified = false;

  [[nodiscard]] double run() const { return median_of(run_ns); }
  // Of the workers' time, the share that is work.
  [[nodiscard]] double efficiency(int workers) const {
    std::vector<double> shares;
    for (std::size_t r = 0; r < run_ns.size(); ++r) shares.push_back(order_ns[r] / (workers * run_ns[r]));
    return median_of(shares);
  }
  [[nodiscard]] double ratio_to(const Measured& other) const {
    std::vector<double> ratios;
    for (std::size_t r = 0; r < run_ns.size(); ++r) ratios.push_back(run_ns[r] / other.run_ns[r]);
    return median_of(ratios);
  }
};

// What a checked run finds, and how long runs take.
class Stopwatch {
 public:
  Stopwatch(BenchTasks& tasks, const OverheadOptions& options) : tasks_(tasks), options_(options) {}

  // Each round gives every side its turn, so that a slower moment of the machine meets all of them.
  std::vector<Measured> compare(const std::vector<OverheadSide>& sides) {
    const double per_task = 1e9 / static_cast<double>(tasks_.count());
    std::vector<Measured> result;
    for (const OverheadSide& side : sides) result.push_back({side.name, side.build_seconds * per_task, {}, {}});
    const auto in_order = [this] {
      for (std::size_t task = 0; task < tasks_.count(); ++task) tasks_.run_task(task);
    };
    for (int round = 0; round < options_.rounds; ++round) {
      const double order_seconds = turn({"in order", 0, in_order}).first;
      for (std::size_t s = 0; s < sides.size(); ++s) {
        const auto [seconds, verified] = turn(sides[s]);
        result[s].run_ns.push_back(seconds * per_task);
        result[s].order_ns.push_back(order_seconds * per_task);
        result[s].verified = verified && (round == 0 || result[s].verified);
      }
    }
    return result;
  }

 private:
  // Seconds of a run, and whether the first one, which is checked and does not count, was right.
  std::pair<double, bool> turn(const OverheadSide& side) {
    if (side.enter) side.enter();
    run(side, true);
    const bool verified = tasks_.ran_right();
    std::vector<double> seconds;
    for (int i = 0; i < options_.runs; ++i) seconds.push_back(run(side, false));
    if (side.leave) side.leave();
    return {median_of(seconds), verified};
  }

  double run(const OverheadSide& side, bool checked) {
    tasks_.begin_run(checked);
    const auto start = std::chrono::steady_clock::now();
    side.run();
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (side.tidy) side.tidy();
    return seconds;
  }

  BenchTasks& tasks_;
  const OverheadOptions& options_;
};

std::vector<OverheadSide> all_sides(BenchTasks& tasks, const OverheadOptions& options) {
  std::vector<OverheadSide> sides = skua_sides(tasks, options.workers, options.block);
  for (OverheadSide& side : tbb_sides(tasks, options.workers)) sides.push_back(std::move(side));
#ifdef SKUA_BENCH_PEERS
  for (OverheadSide& side : starpu_sides(tasks, options.workers)) sides.push_back(std::move(side));
#endif
  return sides;
}

void set_work(BenchTasks& tasks, const std::vector<OverheadSide>& sides, double microseconds) {
  tasks.set_work(microseconds);
  for (const OverheadSide& side : sides) {
    if (side.tune) side.tune();
  }
}

// The minimum effective task granularity: the least work per task at which half of the workers' time is work.
// Slaughter et al., "Task Bench", SC 2020.
struct Granularity {
  std::string side;
  std::optional<double> microseconds = std::nullopt;  // none: above the largest that was tried
  double less_us = 0;                                 // the largest below, and its efficiency
  double less_efficiency = 0;
};

// Where the efficiency passes one half between two sizes, taken as a straight line over the logarithm of the work.
void pass(Granularity& found, double work_us, double efficiency) {
  if (efficiency < 0.5) {
    found.less_us = work_us;
    found.less_efficiency = efficiency;
  } else if (found.less_us == 0) {
    found.microseconds = work_us;
  } else {
    const double share = (0.5 - found.less_efficiency) / (efficiency - found.less_efficiency);
    found.microseconds = found.less_us * std::pow(work_us / found.less_us, share);
  }
}

// Doubles the work until every side has passed; those that have are left out.
std::vector<Granularity> granularities(const OverheadOptions& options, bool& verified) {
  constexpr double kLeastMicroseconds = 1.0 / 64;
  constexpr double kMostMicroseconds = 128;
  BenchTasks tasks(static_cast<std::size_t>(options.metg_tasks));
  std::vector<OverheadSide> sides = all_sides(tasks, options);
  std::vector<Granularity> result;
  for (const OverheadSide& side : sides) result.push_back({side.name});
  for (double work = kLeastMicroseconds; work <= kMostMicroseconds && !sides.empty(); work *= 2) {
    fmt::print(stderr, "granularity: {:.3f} us, {} sides\n", work, sides.size());
    set_work(tasks, sides, work);
    for (const Measured& side : Stopwatch(tasks, options).compare(sides)) {
      Granularity& found = *std::ranges::find(result, side.side, &Granularity::side);
      pass(found, median_of(side.order_ns) * 1e-3, side.efficiency(options.workers));
      verified = verified && side.verified;
      if (found.microseconds) std::erase_if(sides, [&](const OverheadSide& s) { return s.name == side.side; });
    }
  }
  return result;
}

void expect_work(const std::vector<double>& work_us) {
  constexpr double kMost = 1e6;
  for (const double work : work_us) {
    if (work > kMost) throw std::invalid_argument(fmt::format("[--work-us] expected {} at most, got {}", kMost, work));
  }
}

class OverheadReport {
 public:
  explicit OverheadReport(const OverheadOptions& options) : options_(options) {}

  // The first side is what the others are compared with.
  void add(std::size_t tasks, double work_us, const std::vector<Measured>& sides) {
    for (const Measured& side : sides) {
      const std::optional<double> efficiency =
          work_us > 0 ? std::optional(side.efficiency(options_.workers)) : std::nullopt;
      results_.push_back({{"tasks", tasks},
                          {"work_us", work_us},
                          {"in_order_ns_by_round", side.order_ns},
                          {"side", side.side},
                          {"build_ns", side.build_ns},
                          {"run_ns", side.run()},
                          {"run_ns_by_round", side.run_ns},
                          {"ratio", side.ratio_to(sides.front())},
                          {"efficiency", efficiency ? nlohmann::json(*efficiency) : nlohmann::json()},
                          {"verified", side.verified}});
      rows_.push_back({fmt::format("{}", tasks), fmt::format("{} us", work_us), side.side,
                       side.build_ns > 0 ? fmt::format("{:.0f}", side.build_ns) : "in the run",
                       fmt::format("{:.1f}", side.run()), fmt::format("{:.2f}", side.ratio_to(sides.front())),
                       efficiency ? fmt::format("{:.3f}", *efficiency) : "-"});
      verified = verified && side.verified;
    }
  }

  void add(const std::vector<Granularity>& sides) {
    for (const Granularity& side : sides) {
      const auto& found = side.microseconds;
      metg_.push_back({{"side", side.side}, {"metg_us", found ? nlohmann::json(*found) : nlohmann::json()}});
      metg_rows_.push_back(
          {side.side, found ? fmt::format("{:.3f} us", *found) : fmt::format("above {:.0f} us", side.less_us)});
    }
  }

  void print() const {
    if (options_.json) {
      return print_json({{"bench", "overhead"},
                         {"workers", options_.workers},
                         {"rounds", options_.rounds},
                         {"runs", options_.runs},
                         {"block", options_.block},
                         {"metg_tasks", options_.metg_tasks},
                         {"machine", machine_description()},
                         {"verified", verified},
                         {"results", results_},
                         {"metg", metg_}});
    }
    fmt::print("{} workers, medians of {} rounds\n", options_.workers, options_.rounds);
    print_machine();
    print_table(rows_);
    if (metg_.empty()) return;
    fmt::print("\n{} tasks\n", options_.metg_tasks);
    print_table(metg_rows_);
  }

  bool verified = true;

 private:
  const OverheadOptions& options_;
  nlohmann::json results_ = nlohmann::json::array();
  nlohmann::json metg_ = nlohmann::json::array();
  std::vector<std::vector<std::string>> rows_{
      {"tasks", "work", "side", "build, ns/task", "run, ns/task", "over the first", "efficiency"}};
  std::vector<std::vector<std::string>> metg_rows_{{"side", "METG(50 %)"}};
};

void overhead(const OverheadOptions& options) {
  expect_work(options.work_us);
  using oneapi::tbb::global_control;  // workers of their own for the peers, also where there are fewer cores
  const global_control threads(global_control::max_allowed_parallelism, static_cast<std::size_t>(options.workers) + 1);
  OverheadReport report(options);
  for (const int count : options.tasks) {
    BenchTasks tasks(static_cast<std::size_t>(count));
    const std::vector<OverheadSide> sides = all_sides(tasks, options);
    for (const double work : options.work_us) {
      fmt::print(stderr, "{} tasks, {} us\n", count, work);
      set_work(tasks, sides, work);
      report.add(tasks.count(), work, Stopwatch(tasks, options).compare(sides));
    }
  }
  if (options.metg_tasks > 0) report.add(granularities(options, report.verified));
  report.print();
  if (!report.verified) throw std::runtime_error("[bench overhead] a task ran too early, or not exactly once");
}

}  // namespace

void add_bench_overhead_command(CLI::App& bench) {
  CLI::App& command = *bench.add_subcommand("overhead", "Nanoseconds per task of the executor and other task runtimes");
  const auto options = std::make_shared<OverheadOptions>();
  const auto add_count = [&](const std::string& name, int& value, int least, const std::string& help) {
    command.add_option(name, value, help)->check(at_least(least))->capture_default_str();
  };
  command.add_option("--tasks", options->tasks, "Counts of tasks")
      ->delimiter(',')
      ->take_all()
      ->check(at_least(1))
      ->capture_default_str();
  command.add_option("--work-us", options->work_us, "Microseconds of arithmetic in each task")
      ->delimiter(',')
      ->take_all()
      ->check(at_least(0))
      ->capture_default_str();
  add_count("--workers", options->workers, 1, "Devices of one thread, and threads of the peers");
  add_count("--metg-tasks", options->metg_tasks, 0, "Tasks to find the least effective work with; 0: not wanted");
  add_count("--rounds", options->rounds, 1, "Times that the sides take turns");
  add_count("--runs", options->runs, 1, "Of each side in each round, besides one that is checked");
  add_count("--block", options->block, 1, "Consecutive tasks on each of Skua's devices in turn");
  add_json_option(command, options->json);
  command.callback([options] { overhead(*options); });
}

}  // namespace skua::cli
