#include <algorithm>
#include <limits>

#include "skua/scheduler/trace.h"

namespace skua {
namespace {

// One piece of storage in one memory.
struct Life {
  double start = std::numeric_limits<double>::infinity();
  double finish = 0;
};

class Lives {
 public:
  Lives(const Schedule& schedule, const StepTrace& trace)
      : schedule_(schedule),
        graph_(schedule.graph()),
        memories_(schedule.cluster().memory_count()),
        lives_(graph_.datum_count() * memories_),
        throughout_(memories_, 0),
        changes_(memories_) {
    for (std::size_t i = 0; i < graph_.datum_count(); ++i) {
      const DatumId id(static_cast<std::int64_t>(i));
      if (graph_.is_persistent(id)) touch(id, schedule.home(id), {});
    }
    for (std::size_t i = 0; i < schedule.task_count(); ++i) {
      touch_all(StepTaskId(static_cast<std::int64_t>(i)), trace.records[i]);
    }
    for (std::size_t i = 0; i < lives_.size(); ++i) end(DatumId(static_cast<std::int64_t>(i / memories_)), i);
  }

  [[nodiscard]] std::vector<double> peaks() {
    std::vector<double> peaks = throughout_;
    for (std::size_t m = 0; m < memories_; ++m) {
      std::sort(changes_[m].begin(), changes_[m].end());  // what ends makes room for what begins
      double bytes = throughout_[m];
      for (const auto& [seconds, change] : changes_[m]) peaks[m] = std::max(peaks[m], bytes += change);
    }
    return peaks;
  }

 private:
  void touch_all(StepTaskId id, const TaskRecord& record) {
    const StepTask& task = schedule_.task(id);
    if (task.is_copy()) {
      touch(task.datum, task.from, record);
      touch(task.datum, task.to, record);
      return;
    }
    const MemoryId planned = schedule_.memory_of(task.lane);
    const MemoryId here = schedule_.memory_of(record.lane);
    for (const auto data : {graph_.inputs(task.task), graph_.outputs(task.task)}) {
      for (const DatumId datum : data) {
        touch(datum, planned, record);
        if (here != planned) add(here, graph_.datum(datum).bytes, {record.start_seconds, record.finish_seconds});
      }
    }
  }

  void touch(DatumId datum, MemoryId memory, const TaskRecord& record) {
    if (graph_.graph().value(graph_.datum(datum).value).kind == ValueKind::kInput && memory == kHostMemory) return;
    Life& life = lives_[graph_.datum(datum).storage.index() * memories_ + memory.index()];
    life.start = std::min(life.start, record.start_seconds);
    life.finish = std::max(life.finish, record.finish_seconds);
  }

  void end(DatumId root, std::size_t i) {
    const MemoryId memory(static_cast<std::int64_t>(i % memories_));
    if (lives_[i].finish < lives_[i].start) return;  // never there
    if (graph_.is_persistent(root)) {
      throughout_[memory.index()] += graph_.datum(root).bytes;
    } else {
      add(memory, graph_.datum(root).bytes, lives_[i]);
    }
  }

  void add(MemoryId memory, double bytes, const Life& life) {
    changes_[memory.index()].emplace_back(life.start, bytes);
    changes_[memory.index()].emplace_back(life.finish, -bytes);
  }

  const Schedule& schedule_;
  const TaskGraph& graph_;
  std::size_t memories_;
  std::vector<Life> lives_;  // by first datum and memory
  std::vector<double> throughout_;
  std::vector<std::vector<std::pair<double, double>>> changes_;  // by memory: seconds, bytes
};

}  // namespace

std::vector<double> peak_live_bytes(const Schedule& schedule, const StepTrace& trace) {
  return Lives(schedule, trace).peaks();
}

}  // namespace skua
