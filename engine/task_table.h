// What the executor asks of a schedule for every task, in flat arrays. Immutable.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "skua/scheduler/ranked_queue.h"

namespace skua {

class TaskTable {
 public:
  struct Row {
    std::uint32_t rank = 0;
    std::uint32_t lane = 0;  // planned
    std::uint32_t first_successor = 0;
    std::int32_t predecessors = 0;
    double estimated_seconds = 0;  // on its planned lane
  };

  TaskTable(const Schedule& schedule, const CostTable& costs) : order_(schedule) {
    for (std::size_t i = 0; i < schedule.task_count(); ++i) {
      const StepTaskId id(static_cast<std::int64_t>(i));
      const LaneId lane = schedule.task(id).lane;
      rows_.push_back({order_.rank(id), static_cast<std::uint32_t>(lane.index()),
                       static_cast<std::uint32_t>(successors_.size()), schedule.predecessor_count(id),
                       skua::estimated_seconds(schedule, costs, id, lane)});
      for (const StepTaskId next : schedule.successors(id)) {
        successors_.push_back(static_cast<std::uint32_t>(next.index()));
      }
    }
    rows_.push_back({.first_successor = static_cast<std::uint32_t>(successors_.size())});
  }

  [[nodiscard]] const ReadyOrder& order() const { return order_; }
  [[nodiscard]] std::size_t size() const { return rows_.size() - 1; }
  [[nodiscard]] const Row& row(std::uint32_t task) const { return rows_[task]; }
  [[nodiscard]] std::uint32_t task_at(std::uint32_t rank) const {
    return static_cast<std::uint32_t>(order_.task(rank).index());
  }
  [[nodiscard]] std::span<const std::uint32_t> successors(std::uint32_t task) const {
    return {successors_.data() + rows_[task].first_successor, successors_.data() + rows_[task + 1].first_successor};
  }

 private:
  ReadyOrder order_;
  std::vector<Row> rows_;  // by task, and one that ends the last
  std::vector<std::uint32_t> successors_;
};

}  // namespace skua
