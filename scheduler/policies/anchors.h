// Which layer a task belongs to, for policies that place layers.
#pragma once

#include <vector>

#include "builtin.h"

namespace skua {

// For every node the forward node that it belongs to, as a position among the forward nodes: a backward node, named
// "<node>.<suffix>", to its forward node, others (seeds, sums of gradients, zeros) to that of what reads them, else of
// what they read. Throws std::invalid_argument where the graph has no forward nodes.
class Anchors {
 public:
  explicit Anchors(const Graph& graph);

  [[nodiscard]] std::size_t count() const { return forward_.size(); }  // of forward nodes
  // kNone for nodes of the update phase.
  [[nodiscard]] std::size_t of(NodeId node) const { return anchors_[node.index()]; }
  // Of an update: the forward node that reads its parameter or state; kNone where there is none.
  [[nodiscard]] std::size_t of_update(const TaskGraph& tasks, TaskId update) const;

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);

 private:
  [[nodiscard]] std::size_t by_readers(std::size_t n) const;
  [[nodiscard]] std::size_t by_inputs(std::size_t n) const;

  const Graph& graph_;
  std::vector<std::size_t> anchors_;       // by node
  std::vector<std::size_t> forward_;       // nodes
  std::vector<std::size_t> first_reader_;  // by value: anchor of the first forward node that reads it
};

// Where the first input that a task makes is made; `otherwise` where there is none.
[[nodiscard]] DeviceId producer_device(const TaskGraph& tasks, const Plan& plan, TaskId task, DeviceId otherwise);

}  // namespace skua
