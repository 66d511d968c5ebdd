#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "linear_program.h"
#include "skua/scheduler/plan.h"

namespace skua {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kMostShares = 4000;  // of cost keys on devices: larger programs take too long
constexpr double kProgramSeconds = 1;

TaskId task_id(std::size_t i) {
  return TaskId(static_cast<std::int64_t>(i));
}
DeviceId device_id(std::size_t d) {
  return DeviceId(static_cast<std::int64_t>(d));
}

// The earliest that each task can start, whatever else runs: by dynamic programming over the memories in which it and
// those before it could be, with the copies between them.
class Heads {
 public:
  explicit Heads(const CostTable& costs)
      : costs_(costs),
        graph_(costs.graph()),
        memories_(costs.cluster().memory_count()),
        ends_(graph_.task_count() * memories_, kInfinity) {
    for (std::size_t i = 0; i < graph_.task_count(); ++i) {
      double start = kInfinity;
      double end = kInfinity;
      for (std::size_t m = 0; m < memories_; ++m) {
        const double seconds = seconds_in(i, m);
        if (std::isinf(seconds)) continue;
        const double ready = ready_in(task_id(i), m);
        ends_[i * memories_ + m] = ready + seconds;
        start = std::min(start, ready);
        end = std::min(end, ready + seconds);
      }
      starts_.push_back(start);
      path_seconds_ = std::max(path_seconds_, end);
    }
  }
  [[nodiscard]] const std::vector<double>& starts() const { return starts_; }
  [[nodiscard]] double path_seconds() const { return path_seconds_; }

 private:
  [[nodiscard]] double seconds_in(std::size_t i, std::size_t memory) const {
    double least = kInfinity;
    for (std::size_t d = 0; d < costs_.cluster().device_count(); ++d) {
      if (costs_.cluster().devices()[d].memory.index() != memory) continue;
      least = std::min(least, costs_.seconds(task_id(i), device_id(d)));
    }
    return least;
  }

  [[nodiscard]] double ready_in(TaskId id, std::size_t memory) const {
    double ready = 0;
    for (const TaskId before : graph_.predecessors(id)) ready = std::max(ready, earliest_end(before));
    const auto inputs = graph_.inputs(id);
    for (std::size_t k = 0; k < inputs.size(); ++k) {
      const bool in_place = k == 0 && graph_.task(id).kind == TaskKind::kReduce;
      ready = std::max(ready, arrival(inputs[k], memory, in_place));
    }
    return ready;
  }

  [[nodiscard]] double earliest_end(TaskId id) const {
    const auto begin = ends_.begin() + static_cast<std::ptrdiff_t>(id.index() * memories_);
    return *std::min_element(begin, begin + static_cast<std::ptrdiff_t>(memories_));
  }

  [[nodiscard]] double arrival(DatumId id, std::size_t memory, bool in_place) const {
    const Datum& datum = graph_.datum(id);
    const MemoryId to(static_cast<std::int64_t>(memory));
    if (!datum.producer.valid()) {
      const bool input = graph_.graph().value(datum.value).kind == ValueKind::kInput;
      return input ? costs_.copy_seconds(id, kHostMemory, to) : 0;
    }
    const double* ends = &ends_[datum.producer.index() * memories_];
    if (in_place) return ends[memory];
    double least = kInfinity;
    for (std::size_t m = 0; m < memories_; ++m) {
      if (std::isinf(ends[m])) continue;
      least = std::min(least, ends[m] + costs_.copy_seconds(id, MemoryId(static_cast<std::int64_t>(m)), to));
    }
    return least;
  }

  const CostTable& costs_;
  const TaskGraph& graph_;
  std::size_t memories_;
  std::vector<double> ends_;  // by task and memory
  std::vector<double> starts_;
  double path_seconds_ = 0;
};

// The longest way from each task's end to the step's, every task on its fastest device.
std::vector<double> tails_of(const CostTable& costs) {
  const TaskGraph& graph = costs.graph();
  std::vector<double> tails(graph.task_count(), 0);
  for (std::size_t i = graph.task_count(); i-- > 0;) {
    for (const TaskId next : graph.successors(task_id(i))) {
      tails[i] = std::max(tails[i], costs.fastest_seconds(next) + tails[next.index()]);
    }
  }
  return tails;
}

// By task, what it adds to the load at least. Weak duality: for any weights w of devices that sum to 1, no schedule of
// a set of tasks is shorter than the sum over them of min over devices d of w[d] * seconds(task, d), since device d is
// busy for at most the makespan. Source: the dual of the assignment relaxation, Lenstra, Shmoys, Tardos, "Approximation
// algorithms for scheduling unrelated parallel machines", Mathematical Programming 46, 1990.
std::vector<double> loads_by(const CostTable& costs, const std::vector<double>& weights) {
  std::vector<double> loads;
  for (std::size_t i = 0; i < costs.graph().task_count(); ++i) {
    double least = kInfinity;
    for (std::size_t d = 0; d < weights.size(); ++d) {
      const double seconds = costs.seconds(task_id(i), device_id(d));
      if (std::isfinite(seconds)) least = std::min(least, weights[d] * seconds);
    }
    loads.push_back(least);
  }
  return loads;
}

// The best weights: the duals of "device d is busy for at most T" in the linear program of shares. Tasks of one row
// are the same to it. Empty where the program is too large.
std::vector<double> best_weights(const CostTable& costs) {
  const std::size_t devices = costs.cluster().device_count();
  std::vector<double> counts(costs.row_count(), 0);
  std::vector<TaskId> examples(counts.size());
  double scale = 0;
  for (std::size_t i = 0; i < costs.graph().task_count(); ++i) {
    const std::size_t key = costs.row(task_id(i));
    counts[key] += 1;
    examples[key] = task_id(i);
    scale += costs.fastest_seconds(task_id(i));
  }
  if (counts.size() * devices > kMostShares || scale == 0) return {};
  LinearProgram program;
  const int makespan = program.add_variable(0, LinearProgram::kInfinity, 1);
  std::vector<std::vector<LinearProgram::Term>> loads(devices, {{makespan, 1}});
  for (std::size_t key = 0; key < counts.size(); ++key) {
    std::vector<LinearProgram::Term> shares;
    for (std::size_t d = 0; d < devices && examples[key].valid(); ++d) {
      const double seconds = costs.seconds(examples[key], device_id(d));
      if (!std::isfinite(seconds)) continue;
      shares.push_back({program.add_variable(0, counts[key]), 1});
      loads[d].push_back({shares.back().variable, -seconds / scale});
    }
    if (!shares.empty()) program.add_row(counts[key], shares, counts[key]);
  }
  const int first = program.row_count();
  for (const auto& load : loads) program.add_row(0, load, LinearProgram::kInfinity);
  const std::vector<double> duals = program.relax(kProgramSeconds).duals;
  if (duals.empty()) return {};
  std::vector<double> weights(duals.begin() + first, duals.end());
  for (double& weight : weights) weight = std::max(0.0, weight);
  return weights;
}

std::vector<double> as_shares(std::vector<double> weights) {
  const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
  for (double& weight : weights) weight /= sum;
  return sum > 0 ? weights : std::vector<double>();
}

// Equal ones, by speed over all tasks, and the best.
std::vector<std::vector<double>> device_weights(const CostTable& costs) {
  const std::size_t devices = costs.cluster().device_count();
  std::vector<double> speeds;
  for (std::size_t d = 0; d < devices; ++d) {
    double seconds = 0;
    for (std::size_t i = 0; i < costs.graph().task_count(); ++i) {
      const double here = costs.seconds(task_id(i), device_id(d));
      if (std::isfinite(here)) seconds += here;
    }
    speeds.push_back(seconds > 0 ? 1 / seconds : 0);
  }
  std::vector<std::vector<double>> all{std::vector<double>(devices, 1 / static_cast<double>(devices))};
  if (std::adjacent_find(speeds.begin(), speeds.end(), std::not_equal_to<>()) == speeds.end()) return all;
  for (const std::vector<double>& weights : {as_shares(speeds), as_shares(best_weights(costs))}) {
    if (!weights.empty()) all.push_back(weights);
  }
  return all;
}

// For sets of tasks that cannot start before some time, and after which it takes some time to the end: both, and their
// load in between. Of the starts only some are tried.
double windows_seconds(const std::vector<double>& loads, const std::vector<double>& heads,
                       const std::vector<double>& tails) {
  constexpr std::size_t kStarts = 32;
  std::vector<double> starts = heads;
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  std::vector<std::size_t> order(loads.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return tails[a] > tails[b]; });
  const std::size_t tried = std::min(kStarts, starts.size());
  double longest = 0;
  for (std::size_t k = 0; k < tried; ++k) {
    const double start = starts[k < tried / 2 ? k : k * starts.size() / tried];  // the first leave out least
    double load = 0;
    for (const std::size_t i : order) {
      if (heads[i] < start) continue;
      load += loads[i];
      longest = std::max(longest, start + load + tails[i]);
    }
  }
  return longest;
}

}  // namespace

double lower_bound_seconds(const CostTable& costs) {
  const Heads heads(costs);
  const std::vector<double> tails = tails_of(costs);
  double longest = heads.path_seconds();
  for (const std::vector<double>& weights : device_weights(costs)) {
    longest = std::max(longest, windows_seconds(loads_by(costs, weights), heads.starts(), tails));
  }
  return longest;
}

}  // namespace skua
