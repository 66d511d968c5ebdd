#include "collective_sums.h"

#include <fmt/format.h>

#include <stdexcept>
#include <utility>

namespace skua {
namespace {

// Runs `action` on a stream of the device; of several devices, the one that is lost is known here alone.
template <class Action>
void on_device(DeviceId device, Action action) {
  try {
    action();
  } catch (const DeviceLost& error) {
    throw DeviceLost(error.what(), device);
  }
}

}  // namespace

CollectiveSums::CollectiveSums(const Schedule& schedule, DeviceSet& devices, const std::vector<SumBucket>& buckets,
                               LaneStreams& streams, const Address& address)
    : streams_(streams), has_(schedule.task_count(), false) {
  std::vector<DeviceId> all;
  for (std::size_t d = 0; d < devices.devices.size(); ++d) {
    all.emplace_back(static_cast<std::int64_t>(d));
    ranks_.push_back({all.back(), streams.add_stream(all.back()), devices.devices[d]->make_mark()});
  }
  (void)between(devices, all);  // throws where there are none
  for (const SumBucket& bucket : buckets) add_bucket(schedule, devices, bucket, address);
}

Collectives& CollectiveSums::between(DeviceSet& devices, const std::vector<DeviceId>& group) {
  std::unique_ptr<Collectives>& collectives = collectives_[group];
  if (collectives == nullptr) {
    std::vector<Stream*> streams;
    for (const DeviceId device : group) streams.push_back(&streams_.stream(ranks_[device.index()].stream));
    collectives = devices.devices[group.front().index()]->make_collectives(streams);
  }
  if (collectives == nullptr) {
    throw std::invalid_argument(
        fmt::format("[collectives] expected devices with NCCL, got {}", devices.cluster.name()));
  }
  return *collectives;
}

void CollectiveSums::add_bucket(const Schedule& schedule, DeviceSet& devices, const SumBucket& bucket,
                                const Address& address) {
  const CrossingSum& last = bucket.sums.back();
  Bucket added{last.devices,
               last.root,
               std::vector<std::vector<StepTaskId>>(last.devices.size()),
               {},
               &between(devices, last.devices)};
  for (const CrossingSum& from : bucket.sums) {
    Collectives::Sum sum{{}, from.floats, from.root};
    for (std::size_t rank = 0; rank < from.devices.size(); ++rank) {
      const DatumId partial = from.partials[rank];
      sum.data.push_back(static_cast<float*>(address(partial, schedule.home(partial))));
      added.producers[rank].emplace_back(schedule.graph().datum(partial).producer.value);
    }
    added.sums.push_back(std::move(sum));
    for (const StepTaskId task : from.tasks) {
      has_[task.index()] = true;
      // What follows them waits for the bucket anyway: on whichever stream they pass, the lanes go on.
      streams_.move(task, ranks_[schedule.lanes()[schedule.task(task).lane.index()].device.index()].stream);
    }
  }
  issue_at_.emplace(last.last, std::move(added));
}

void CollectiveSums::start(StepTaskId task, Completion& completion) {
  std::exception_ptr error;
  try {
    if (const auto bucket = issue_at_.find(task); bucket != issue_at_.end()) issue(bucket->second);
  } catch (...) {
    error = std::current_exception();
  }
  completion.done(std::move(error));
}

void CollectiveSums::mark_end(DeviceId device) {
  const Rank& rank = ranks_[device.index()];
  on_device(device, [&] { streams_.stream(rank.stream).end(*rank.ended, nullptr); });
}

// The root's stream goes on when all of the bucket has ended: the mark that it records next is that of all its sums.
void CollectiveSums::issue(Bucket& bucket) {
  for (std::size_t rank = 0; rank < bucket.devices.size(); ++rank) {
    const DeviceId device = bucket.devices[rank];
    on_device(device, [&] {
      for (const StepTaskId producer : bucket.producers[rank]) {
        streams_.wait_for(producer, ranks_[device.index()].stream);
      }
    });
  }
  try {
    bucket.collectives->reduce(bucket.sums);
  } catch (...) {
    for (const DeviceId device : bucket.devices) mark_end(device);  // throws where it is this one that is lost
    throw;
  }
  Stream& root = streams_.stream(ranks_[bucket.devices[bucket.root].index()].stream);
  for (const DeviceId device : bucket.devices) {
    if (device == bucket.devices[bucket.root]) continue;
    mark_end(device);
    root.wait(*ranks_[device.index()].ended);
  }
}

}  // namespace skua
