// All work of one training step, before anyone decides where it runs: every operator of the graph for every
// micro-batch, the fixed-tree sums of gradients, and the updates, with the data that flows between them.
// Immutable once built; concurrent reads are safe.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "skua/graph/graph.h"
#include "skua/scheduler/constraints.h"
#include "skua/scheduler/part.h"

namespace skua {

using TaskId = Id<struct TaskTag>;
using DatumId = Id<struct DatumTag>;
using CostKeyId = Id<struct CostKeyTag>;

inline constexpr int kWholeStep = -1;  // micro-batch of what exists once per step

// kCompute: one node for one micro-batch. kReduce: gradient of `micro_batch` += gradient of `other_micro_batch`, in
// place; the tree over the micro-batch index is fixed (distance 1, 2, 4, ...), so sums do not depend on the schedule.
// kUpdate: one node of the update phase, once. Where devices share a memory, sums and updates of large parameters come in
// parts, which treat the elements of their ranges and may run on different devices.
enum class TaskKind : std::uint8_t { kCompute, kReduce, kUpdate };

struct Task {
  TaskKind kind = TaskKind::kCompute;
  NodeId node;                   // kCompute, kUpdate
  ValueId value;                 // kReduce: the gradient
  int micro_batch = kWholeStep;  // kCompute; kReduce: the one that is added to
  int other_micro_batch = -1;    // kReduce
  CostKeyId cost_key;
  Part part;  // of the others in it all tasks but for this are alike
};

// One instance of a value: what one task makes and others read. A reduce task makes a new datum in the storage of its
// left operand; `storage` names the first datum of such a chain (itself otherwise).
struct Datum {
  ValueId value;
  int micro_batch = kWholeStep;
  TaskId producer;  // invalid: there at the step's start (inputs, parameters, states)
  DatumId storage;
  double bytes = 0;     // in plain layout; of a sum in parts the part's
  bool output = false;  // wanted by the caller after the step
};

// Tasks of one key are the same computation: they cost the same on devices of one kind.
struct CostKey {
  std::string signature;  // "conv2d{...}(float32(16,1,28,28),...)": operator, attributes, input types
  double flops = 0;
  double bytes = 0;  // read and written
};

using GroupId = Id<struct GroupTag>;

// What the constraints mean for a task.
struct TaskDemand {
  std::vector<std::size_t> pins;  // positions in Constraints::pins; all of them hold
  GroupId group;                  // tasks of one group run on one device; invalid: none
  double priority = 0;            // the highest of its own and of those that wait for it
  double deadline_seconds = std::numeric_limits<double>::infinity();
};

class TaskGraph {
 public:
  // REQUIRES: micro_batches >= 1 (std::invalid_argument otherwise). The graph is for one micro-batch; gradients read by
  // nodes of the update phase are summed over all of them, so where there are several, nothing else may read or keep
  // those (std::invalid_argument otherwise). An update runs after every task that reads the parameter.
  // Constraints on a layer that the graph does not have, or that mean nothing: std::invalid_argument naming them.
  // `sharers`: in how many parts at most sums and updates come (Cluster::sharers()). The parts of one must be planned in
  // one memory. No bit depends on it.
  TaskGraph(const Graph& graph, int micro_batches, Constraints constraints = {}, int sharers = 1);

  [[nodiscard]] const Graph& graph() const { return graph_; }
  [[nodiscard]] int micro_batches() const { return micro_batches_; }
  [[nodiscard]] std::size_t task_count() const { return tasks_.size(); }
  [[nodiscard]] std::size_t datum_count() const { return data_.size(); }
  [[nodiscard]] const Task& task(TaskId id) const { return tasks_[id.index()]; }
  [[nodiscard]] const Datum& datum(DatumId id) const { return data_[id.index()]; }
  // Parameters, states and outputs: they have storage from the step's start to its end.
  [[nodiscard]] bool is_persistent(DatumId id) const;
  [[nodiscard]] const std::vector<CostKey>& cost_keys() const { return cost_keys_; }

  // What a task reads and what it makes, in the node's order. A reduce reads (left, right); a node of the update
  // phase reads the summed gradients: the first part of each, or the update's own, after all parts are made.
  [[nodiscard]] std::span<const DatumId> inputs(TaskId id) const { return inputs_.row(id.index()); }
  [[nodiscard]] std::span<const DatumId> outputs(TaskId id) const { return outputs_.row(id.index()); }
  [[nodiscard]] std::span<const TaskId> consumers(DatumId id) const { return consumers_.row(id.index()); }
  // Direct dependencies: data edges and the order between readers of a parameter and its update. Sorted, no doubles.
  // Task ids are a topological order.
  [[nodiscard]] std::span<const TaskId> predecessors(TaskId id) const { return predecessors_.row(id.index()); }
  [[nodiscard]] std::span<const TaskId> successors(TaskId id) const { return successors_.row(id.index()); }
  [[nodiscard]] DatumId datum_of(ValueId value, int micro_batch) const;  // the first datum of that instance
  [[nodiscard]] std::string name(
      TaskId id) const;  // "conv1 [mb 3]", "reduce grad(conv1.weight) [mb 0+1]", "conv1.weight.update [1/2]"
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }  // of graph, micro-batch count, parts

  [[nodiscard]] const Constraints& constraints() const { return constraints_; }
  [[nodiscard]] const TaskDemand& demand(TaskId id) const {
    static const TaskDemand kNone;
    return demands_.empty() ? kNone : demands_[id.index()];
  }
  [[nodiscard]] bool has_demands() const { return !demands_.empty(); }
  [[nodiscard]] const std::vector<std::vector<TaskId>>& groups() const { return groups_; }

 private:
  template <class T>
  struct Rows {  // compressed sparse rows
    std::vector<T> items;
    std::vector<std::size_t> begin{0};
    [[nodiscard]] std::span<const T> row(std::size_t i) const {
      return {items.data() + begin[i], begin[i + 1] - begin[i]};
    }
    void add_row(std::span<const T> values) {
      items.insert(items.end(), values.begin(), values.end());
      begin.push_back(items.size());
    }
  };
  struct Builder;
  struct Demands;
  void resolve_demands();

  Graph graph_;
  Constraints constraints_;
  int micro_batches_ = 1;
  int sharers_ = 1;
  std::vector<Task> tasks_;
  std::vector<Datum> data_;
  std::vector<CostKey> cost_keys_;
  std::vector<DatumId> first_datum_;  // [value * micro_batches + micro_batch]; whole-step data fill their row
  Rows<DatumId> inputs_;
  Rows<DatumId> outputs_;
  Rows<TaskId> consumers_;
  Rows<TaskId> predecessors_;
  Rows<TaskId> successors_;
  std::string fingerprint_;
  std::vector<TaskDemand> demands_;  // by task; empty: there are no constraints
  std::vector<std::vector<TaskId>> groups_;
};

// Whether it is an update that changes its inputs, all but kUpdateGradient, in place: the parameter and its states.
[[nodiscard]] bool changes_in_place(const TaskGraph& graph, TaskId task);
inline constexpr std::size_t kUpdateGradient = 1;  // position of the gradient among its inputs

}  // namespace skua
