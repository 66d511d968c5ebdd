// Gradient sums by collectives, in a session: the tasks that they stand for, and streams of their own beside the
// lanes'.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "collectives.h"
#include "lane_streams.h"

namespace skua {

class CollectiveSums {
 public:
  // Where a datum lies in a memory.
  using Address = std::function<void*(DatumId, MemoryId)>;
  // `buckets` are the schedule's. Adds a stream for each device and moves the tasks there. Everything must outlive it.
  // Throws std::invalid_argument where the devices have no collectives.
  CollectiveSums(const Schedule& schedule, DeviceSet& devices, const std::vector<SumBucket>& buckets,
                 LaneStreams& streams, const Address& address);

  [[nodiscard]] bool has(StepTaskId task) const { return has_[task.index()]; }
  // Submits what there is to do for one of its tasks: its bucket, or nothing. REQUIRES: called by LaneStreams, which
  // has one thread at a time do so for all tasks.
  void start(StepTaskId task, Completion& completion);

 private:
  struct Rank {
    DeviceId device;
    LaneId stream;
    std::unique_ptr<Mark> ended;  // what it was given so far
  };
  struct Bucket {
    std::vector<DeviceId> devices;
    std::size_t root = 0;                            // whose stream has the bucket's mark
    std::vector<std::vector<StepTaskId>> producers;  // of the partial sums, by device of `devices`
    std::vector<Collectives::Sum> sums;
    Collectives* collectives = nullptr;
  };

  Collectives& between(DeviceSet& devices, const std::vector<DeviceId>& group);
  void add_bucket(const Schedule& schedule, DeviceSet& devices, const SumBucket& bucket, const Address& address);
  void issue(Bucket& bucket);
  void mark_end(DeviceId device);

  LaneStreams& streams_;
  std::vector<Rank> ranks_;  // by device
  std::map<std::vector<DeviceId>, std::unique_ptr<Collectives>> collectives_;
  std::vector<bool> has_;  // by step task
  std::map<StepTaskId, Bucket> issue_at_;
};

}  // namespace skua
