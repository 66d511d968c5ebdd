// Where to place tasks, as a linear or mixed integer program.
#pragma once

#include "builtin.h"
#include "scheduler/linear_program.h"

namespace skua {

// The task in whose memory the datum lies before anyone needs it elsewhere; invalid: on the host.
[[nodiscard]] TaskId owner_of(const TaskGraph& graph, DatumId id);
// Those that devices have, each once.
[[nodiscard]] std::vector<MemoryId> device_memories(const Cluster& cluster);
// Of a datum between two of the memories, the fastest.
[[nodiscard]] double least_copy_seconds(const CostTable& costs, DatumId datum, const std::vector<MemoryId>& memories);

// Least T such that
//   every unit of tasks is on one device (by shares that sum to 1 where integers are relaxed), reductions in the memory
//     of their left operand,
//   every device's tasks take at most T,
//   a task starts when those before it have ended, and a copy's time later where their units are in different memories,
//   parameters and states fit in the memory of what updates them.
// Tasks of one device may overlap, unless `ordered`: then each pair of tasks that can be on one device at once gets an
// order, by variables of 0 and 1. Copies do not wait for each other. A relaxation of scheduling: where each unit is one
// task, no plan takes less than T. Source of the formulation: Tarnawski et al., "Efficient algorithms for device
// placement of DNN graph operators", NeurIPS 2020, section 6, and Manne, "On the job-shop scheduling problem",
// Operations Research 8(2), 1960, for the order of pairs.
class PlacementProgram {
 public:
  struct Answer {
    std::vector<double> shares;  // by task and device; empty: none found
    std::vector<double> starts;  // seconds, by task; empty where the program has none: it would be too large
    double bound_seconds = 0;    // 0 where units are larger than tasks
  };

  // REQUIRES: there is a plan that takes `horizon_seconds` and fits in memory.
  // Units are tasks where those on all devices are at most `most_shares`, else runs of neighbouring layers for one
  // micro-batch each.
  PlacementProgram(const CostTable& costs, double horizon_seconds, std::size_t most_shares);
  // Budgets as LinearProgram has them.
  [[nodiscard]] Answer relax(double budget_seconds) const;
  [[nodiscard]] Answer solve(double budget_seconds) const;
  [[nodiscard]] bool ordered() const { return ordered_; }

 private:
  using Terms = std::vector<LinearProgram::Term>;

  void find_units(std::size_t most_shares);
  void add_shares();
  void add_loads();
  void add_resident_bytes();
  void keep_sums_in_place();
  void keep_groups();
  void add_starts();
  void add_precedence(TaskId before, TaskId after, Terms copy);
  void add_arrivals();
  void add_host_input(DatumId input, TaskId reader);
  [[nodiscard]] int add_elsewhere(std::size_t from, std::size_t to);
  void add_orders();
  // How much of a unit is in a memory, and how long a task takes, times `factor`.
  void append_share(Terms& terms, std::size_t unit, MemoryId memory, double factor) const;
  void append_seconds(Terms& terms, TaskId task, double factor) const;
  [[nodiscard]] int share(std::size_t unit, std::size_t device) const {
    return static_cast<int>(unit * devices_ + device);
  }
  [[nodiscard]] Answer answer(const LinearProgram::Solution& solution) const;

  const CostTable& costs_;
  const TaskGraph& graph_;
  std::size_t devices_;
  std::vector<MemoryId> memories_;  // that devices have
  double unit_seconds_;             // times of the program are in horizons
  std::vector<std::size_t> units_;  // by task
  std::size_t unit_count_ = 0;
  bool single_ = true;  // each unit is one task
  bool ordered_ = false;
  LinearProgram program_;
  int makespan_ = 0;         // variable
  std::vector<int> starts_;  // variables, by task
};

}  // namespace skua
