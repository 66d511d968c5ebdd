#include "placement_program.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "anchors.h"
#include "scheduler/schedule_rules.h"
#include "twins.h"

namespace skua {
namespace {

constexpr double kInfinity = LinearProgram::kInfinity;
constexpr std::size_t kMostTimes = 20'000;  // tasks times memories that get starts and copies
constexpr std::size_t kMostOrdered = 60;    // tasks of which pairs get an order
constexpr std::size_t kMostPairs = 200;
constexpr double kSafety = 1e-6;  // the solver's tolerances, with room

// Runs of neighbouring layers of about the same work, at most `most` together with the micro-batches; for each run the
// compute tasks of one micro-batch are a unit, with the sums that end in it, and its updates are another.
std::vector<std::size_t> coarse_units(const CostTable& costs, std::size_t most) {
  const TaskGraph& graph = costs.graph();
  const Anchors anchors(graph.graph());
  const auto columns = static_cast<std::size_t>(graph.micro_batches()) + 1;
  const std::size_t runs = std::clamp<std::size_t>(most / columns, 1, anchors.count());
  std::vector<double> work(anchors.count() + 1, 0);  // of the layers before
  for (std::size_t i = 0; i < graph.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    if (graph.task(id).kind != TaskKind::kCompute) continue;
    work[anchors.of(graph.task(id).node) + 1] += costs.fastest_seconds(id);
  }
  for (std::size_t layer = 1; layer < work.size(); ++layer) work[layer] += work[layer - 1];
  const auto run_of = [&](std::size_t layer) {
    const double share = work.back() > 0 ? work[layer] / work.back() : 0;
    return std::min(runs - 1, static_cast<std::size_t>(share * static_cast<double>(runs)));
  };
  std::vector<std::size_t> units(graph.task_count());
  for (std::size_t i = 0; i < units.size(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    const Task& task = graph.task(id);
    if (task.kind == TaskKind::kReduce) {
      units[i] = units[graph.datum(graph.inputs(id)[0]).producer.index()];
    } else if (task.kind == TaskKind::kCompute) {
      units[i] = run_of(anchors.of(task.node)) * columns + static_cast<std::size_t>(task.micro_batch);
    } else {
      const std::size_t layer = anchors.of_update(graph, id);
      units[i] = (layer == Anchors::kNone ? 0 : run_of(layer)) * columns + columns - 1;
    }
  }
  return units;
}

}  // namespace

TaskId owner_of(const TaskGraph& graph, DatumId id) {
  const TaskId producer = graph.datum(id).producer;
  return producer.valid() ? producer : home_task(graph, id);
}

std::vector<MemoryId> device_memories(const Cluster& cluster) {
  std::vector<MemoryId> memories;
  for (const DeviceSpec& device : cluster.devices()) memories.push_back(device.memory);
  std::sort(memories.begin(), memories.end());
  memories.erase(std::unique(memories.begin(), memories.end()), memories.end());
  return memories;
}

double least_copy_seconds(const CostTable& costs, DatumId datum, const std::vector<MemoryId>& memories) {
  double least = kInfinity;
  for (const MemoryId from : memories) {
    for (const MemoryId to : memories) {
      if (from != to) least = std::min(least, costs.copy_seconds(datum, from, to));
    }
  }
  return least;
}

PlacementProgram::PlacementProgram(const CostTable& costs, double horizon_seconds, std::size_t most_shares)
    : costs_(costs),
      graph_(costs.graph()),
      devices_(costs.cluster().device_count()),
      memories_(device_memories(costs.cluster())),
      unit_seconds_(horizon_seconds > 0 ? horizon_seconds : 1) {
  find_units(most_shares);
  add_shares();
  makespan_ = program_.add_variable(0, 1 + kSafety, 1);
  add_loads();
  add_resident_bytes();
  if (single_) keep_sums_in_place();
  if (single_) keep_groups();
  if (graph_.task_count() * memories_.size() > kMostTimes) return;
  add_starts();
  add_arrivals();
  if (single_) add_orders();
}

void PlacementProgram::find_units(std::size_t most_shares) {
  const std::size_t most = std::max<std::size_t>(1, most_shares / devices_);
  single_ = graph_.task_count() <= most;
  units_ = single_ ? std::vector<std::size_t>(graph_.task_count()) : coarse_units(costs_, most);
  for (std::size_t i = 0; i < units_.size(); ++i) {
    if (single_) units_[i] = i;
    unit_count_ = std::max(unit_count_, units_[i] + 1);
  }
}

// The first units are on the first of devices that could change places.
void PlacementProgram::add_shares() {
  std::vector<bool> allowed(unit_count_ * devices_, true);
  for (std::size_t i = 0; i < units_.size(); ++i) {
    for (std::size_t d = 0; d < devices_; ++d) {
      if (!std::isfinite(costs_.seconds(TaskId(static_cast<std::int64_t>(i)), DeviceId(static_cast<std::int64_t>(d)))))
        allowed[units_[i] * devices_ + d] = false;
    }
  }
  const std::vector<DeviceId> twin = twins(costs_);
  std::vector<std::size_t> first_unit(devices_, 0);  // by device, that can be on it
  for (std::size_t d = 0; d < devices_; ++d) {
    if (twin[d].valid()) first_unit[d] = first_unit[twin[d].index()] + 1;
  }
  for (std::size_t unit = 0; unit < unit_count_; ++unit) {
    Terms shares;
    for (std::size_t d = 0; d < devices_; ++d) {
      const bool possible = allowed[unit * devices_ + d] && unit >= first_unit[d];
      shares.push_back({program_.add_variable(0, possible ? 1 : 0, 0, true), 1});
    }
    program_.add_row(1, shares, 1);
  }
}

void PlacementProgram::add_loads() {
  std::vector<double> seconds(unit_count_ * devices_, 0);
  for (std::size_t i = 0; i < units_.size(); ++i) {
    for (std::size_t d = 0; d < devices_; ++d) {
      const double here = costs_.seconds(TaskId(static_cast<std::int64_t>(i)), DeviceId(static_cast<std::int64_t>(d)));
      if (std::isfinite(here)) seconds[units_[i] * devices_ + d] += here / unit_seconds_;
    }
  }
  for (std::size_t d = 0; d < devices_; ++d) {
    Terms load{{makespan_, -1}};
    for (std::size_t unit = 0; unit < unit_count_; ++unit) {
      if (seconds[unit * devices_ + d] > 0) load.push_back({share(unit, d), seconds[unit * devices_ + d]});
    }
    program_.add_row(-kInfinity, load, 0);
    const double most = costs_.cluster().devices()[d].most_busy_seconds / unit_seconds_;
    load.erase(load.begin());
    if (most < 1) program_.add_row(-kInfinity, load, most);
  }
}

void PlacementProgram::add_resident_bytes() {
  std::vector<double> bytes(unit_count_, 0);
  double total = 0;
  for (std::size_t i = 0; i < graph_.datum_count(); ++i) {
    const DatumId id(static_cast<std::int64_t>(i));
    const ValueKind kind = graph_.graph().value(graph_.datum(id).value).kind;
    if (kind != ValueKind::kParameter && kind != ValueKind::kState) continue;
    if (graph_.datum(id).storage != id || !owner_of(graph_, id).valid()) continue;
    bytes[units_[owner_of(graph_, id).index()]] += graph_.datum(id).bytes;
    total += graph_.datum(id).bytes;
  }
  for (const MemoryId memory : memories_) {
    const double capacity = costs_.cluster().memory(memory).capacity_bytes;
    if (total <= capacity) continue;
    Terms resident;
    for (std::size_t unit = 0; unit < unit_count_; ++unit) {
      if (bytes[unit] > 0) append_share(resident, unit, memory, bytes[unit] / capacity);
    }
    program_.add_row(-kInfinity, resident, 1);
  }
}

void PlacementProgram::keep_sums_in_place() {
  if (memories_.size() == 1) return;
  for (std::size_t i = 0; i < graph_.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    if (graph_.task(id).kind != TaskKind::kReduce) continue;
    for (const MemoryId memory : memories_) {
      Terms difference;
      append_share(difference, units_[i], memory, 1);
      append_share(difference, units_[graph_.datum(graph_.inputs(id)[0]).producer.index()], memory, -1);
      program_.add_row(0, difference, 0);
    }
  }
}

void PlacementProgram::keep_groups() {
  for (const std::vector<TaskId>& group : graph_.groups()) {
    for (std::size_t i = 1; i < group.size(); ++i) {
      for (std::size_t d = 0; d < devices_; ++d) {
        program_.add_row(0, {{share(units_[group[i].index()], d), 1}, {share(units_[group[0].index()], d), -1}}, 0);
      }
    }
  }
}

// Tasks end in time, and start after those before them.
void PlacementProgram::add_starts() {
  for (std::size_t i = 0; i < graph_.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    starts_.push_back(program_.add_variable(0, 1 + kSafety));
    for (const TaskId before : graph_.predecessors(id)) add_precedence(before, id, {});
    if (const double deadline = graph_.demand(id).deadline_seconds / unit_seconds_; deadline < 1) {
      Terms end{{starts_[i], 1}};
      append_seconds(end, id, 1);
      program_.add_row(-kInfinity, end, deadline);
    }
    if (!graph_.successors(id).empty()) continue;
    Terms end{{makespan_, -1}, {starts_[i], 1}};
    append_seconds(end, id, 1);
    program_.add_row(-kInfinity, end, 0);
  }
}

void PlacementProgram::add_precedence(TaskId before, TaskId after, Terms copy) {
  copy.push_back({starts_[before.index()], 1});
  copy.push_back({starts_[after.index()], -1});
  append_seconds(copy, before, 1);
  program_.add_row(-kInfinity, std::move(copy), 0);
}

// Copies: a variable for each datum and unit that reads it says how much of the unit is elsewhere.
void PlacementProgram::add_arrivals() {
  std::map<std::pair<DatumId, std::size_t>, int> elsewhere;
  for (std::size_t i = 0; i < graph_.task_count(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    for (const DatumId input : graph_.inputs(id)) {
      const TaskId owner = owner_of(graph_, input);
      if (!owner.valid()) {
        add_host_input(input, id);
        continue;
      }
      if (memories_.size() == 1 || units_[owner.index()] == units_[i]) continue;
      const auto [found, is_new] = elsewhere.try_emplace({input, units_[i]}, 0);
      if (is_new) found->second = add_elsewhere(units_[owner.index()], units_[i]);
      const double seconds = least_copy_seconds(costs_, input, memories_) / unit_seconds_;
      if (graph_.datum(input).producer.valid()) {
        add_precedence(owner, id, {{found->second, seconds}});
      } else {
        program_.add_row(-kInfinity, {{found->second, seconds}, {starts_[i], -1}}, 0);
      }
    }
  }
}

void PlacementProgram::add_host_input(DatumId input, TaskId reader) {
  Terms arrival{{starts_[reader.index()], -1}};
  for (const MemoryId memory : memories_) {
    const double seconds = costs_.copy_seconds(input, kHostMemory, memory) / unit_seconds_;
    if (seconds > 0) append_share(arrival, units_[reader.index()], memory, seconds);
  }
  if (arrival.size() > 1) program_.add_row(-kInfinity, std::move(arrival), 0);
}

int PlacementProgram::add_elsewhere(std::size_t from, std::size_t to) {
  const int elsewhere = program_.add_variable(0, 1);
  for (const MemoryId memory : memories_) {
    Terms difference{{elsewhere, -1}};
    append_share(difference, to, memory, 1);
    append_share(difference, from, memory, -1);
    program_.add_row(-kInfinity, std::move(difference), 0);
  }
  return elsewhere;
}

// first[i][j] = 1: i before j, where both are on one device.
void PlacementProgram::add_orders() {
  const std::size_t count = graph_.task_count();
  std::vector<std::vector<bool>> after(count, std::vector<bool>(count, false));  // by task, before task
  std::vector<std::pair<std::size_t, std::size_t>> pairs;
  if (count > kMostOrdered) return;
  for (std::size_t i = count; i-- > 0;) {
    for (const TaskId next : graph_.successors(TaskId(static_cast<std::int64_t>(i)))) {
      after[i][next.index()] = true;
      for (std::size_t j = next.index(); j < count; ++j) after[i][j] = after[i][j] || after[next.index()][j];
    }
    for (std::size_t j = i + 1; j < count; ++j) {
      if (!after[i][j]) pairs.emplace_back(i, j);
    }
  }
  ordered_ = pairs.size() <= kMostPairs;
  for (std::size_t p = 0; ordered_ && p < pairs.size(); ++p) {
    const auto [i, j] = pairs[p];
    const int first = program_.add_variable(0, 1, 0, true);
    for (std::size_t d = 0; d < devices_; ++d) {
      // Rows that hold whatever the starts are unless both are on the device, in that order.
      Terms in_order{{starts_[i], 1}, {starts_[j], -1}, {first, 1}, {share(i, d), 1}, {share(j, d), 1}};
      append_seconds(in_order, TaskId(static_cast<std::int64_t>(i)), 1);
      program_.add_row(-kInfinity, std::move(in_order), 3);
      Terms in_turn{{starts_[j], 1}, {starts_[i], -1}, {first, -1}, {share(i, d), 1}, {share(j, d), 1}};
      append_seconds(in_turn, TaskId(static_cast<std::int64_t>(j)), 1);
      program_.add_row(-kInfinity, std::move(in_turn), 2);
    }
  }
}

void PlacementProgram::append_share(Terms& terms, std::size_t unit, MemoryId memory, double factor) const {
  for (std::size_t d = 0; d < devices_; ++d) {
    if (costs_.cluster().devices()[d].memory == memory) terms.push_back({share(unit, d), factor});
  }
}

void PlacementProgram::append_seconds(Terms& terms, TaskId task, double factor) const {
  for (std::size_t d = 0; d < devices_; ++d) {
    const double seconds = costs_.seconds(task, DeviceId(static_cast<std::int64_t>(d)));
    if (std::isfinite(seconds) && seconds > 0) {
      terms.push_back({share(units_[task.index()], d), factor * seconds / unit_seconds_});
    }
  }
}

PlacementProgram::Answer PlacementProgram::relax(double budget_seconds) const {
  return answer(program_.relax(budget_seconds));
}

PlacementProgram::Answer PlacementProgram::solve(double budget_seconds) const {
  return answer(program_.solve(budget_seconds));
}

PlacementProgram::Answer PlacementProgram::answer(const LinearProgram::Solution& solution) const {
  Answer answer;
  if (single_ && std::isfinite(solution.bound)) {
    answer.bound_seconds = std::max(0.0, solution.bound - kSafety) * unit_seconds_;
  }
  if (solution.values.empty()) return answer;
  for (std::size_t i = 0; i < units_.size(); ++i) {
    for (std::size_t d = 0; d < devices_; ++d) {
      answer.shares.push_back(solution.values[static_cast<std::size_t>(share(units_[i], d))]);
    }
    if (!starts_.empty()) {
      answer.starts.push_back(solution.values[static_cast<std::size_t>(starts_[i])] * unit_seconds_);
    }
  }
  return answer;
}

}  // namespace skua
