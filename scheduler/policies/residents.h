// What is in which memory while tasks are placed one after another.
#pragma once

#include <algorithm>
#include <vector>

#include "builtin.h"

namespace skua {

// Bytes by memory.
inline std::vector<double> capacities(const Cluster& cluster) {
  std::vector<double> bytes;
  for (const MemorySpec& memory : cluster.memories()) bytes.push_back(memory.capacity_bytes);
  return bytes;
}

// What no task will read any more is gone, but for parameters, states and outputs. A sum stays in the storage of its
// left operand. REQUIRES: `rooms` outlives it.
class Residents {
 public:
  // `rooms`: bytes by memory.
  Residents(const CostTable& costs, const std::vector<double>& rooms)
      : graph_(costs.graph()),
        cluster_(costs.cluster()),
        rooms_(rooms),
        memories_(cluster_.memory_count()),
        used_(memories_, 0),
        there_(graph_.datum_count() * memories_, false),
        readers_(graph_.datum_count(), 0) {
    for (std::size_t i = 0; i < graph_.datum_count(); ++i) {
      const DatumId id(static_cast<std::int64_t>(i));
      readers_[graph_.datum(id).storage.index()] += graph_.consumers(id).size() + (graph_.is_persistent(id) ? 1 : 0);
    }
  }

  [[nodiscard]] double free_bytes(DeviceId device) const {
    const MemoryId memory = cluster_.device(device).memory;
    return rooms_[memory.index()] - used_[memory.index()];
  }
  // What the task adds to the device's memory.
  [[nodiscard]] double needed_bytes(TaskId task, DeviceId device) const {
    double bytes = 0;
    for (DatumId storage : storages(task)) {
      if (!there_[slot(storage, device)]) bytes += graph_.datum(storage).bytes;
    }
    return bytes;
  }
  void place(TaskId task, DeviceId device) {
    const MemoryId memory = cluster_.device(device).memory;
    for (DatumId storage : storages(task)) {
      if (there_[slot(storage, device)]) continue;
      there_[slot(storage, device)] = true;
      used_[memory.index()] += graph_.datum(storage).bytes;
    }
    for (DatumId input : graph_.inputs(task)) read(graph_.datum(input).storage);
    for (DatumId output : graph_.outputs(task)) {
      if (readers_[graph_.datum(output).storage.index()] == 0) remove(graph_.datum(output).storage);
    }
  }

 private:
  [[nodiscard]] std::size_t slot(DatumId storage, DeviceId device) const {
    return storage.index() * memories_ + cluster_.device(device).memory.index();
  }
  // Of what the task reads and makes, each once.
  [[nodiscard]] std::vector<DatumId> storages(TaskId task) const {
    std::vector<DatumId> ids;
    for (DatumId datum : graph_.inputs(task)) ids.push_back(graph_.datum(datum).storage);
    for (DatumId datum : graph_.outputs(task)) ids.push_back(graph_.datum(datum).storage);
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    return ids;
  }
  void read(DatumId storage) {
    if (--readers_[storage.index()] == 0) remove(storage);
  }
  void remove(DatumId storage) {
    for (std::size_t m = 0; m < memories_; ++m) {
      const std::size_t at = storage.index() * memories_ + m;
      if (there_[at]) used_[m] -= graph_.datum(storage).bytes;
      there_[at] = false;
    }
  }

  const TaskGraph& graph_;
  const Cluster& cluster_;
  const std::vector<double>& rooms_;
  std::size_t memories_;
  std::vector<double> used_;          // by memory
  std::vector<bool> there_;           // by storage and memory
  std::vector<std::size_t> readers_;  // by storage: reads to come, and one where it stays to the step's end
};

}  // namespace skua
