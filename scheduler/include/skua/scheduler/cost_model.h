// How long a task takes on a device: the roofline of its work, overlaid by measured times where there are any.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "skua/scheduler/device_speeds.h"
#include "skua/scheduler/task_graph.h"

namespace skua {

// What a task took of its device in one step, the handing over from the task before included.
struct TaskSample {
  CostKeyId key;
  DeviceId device;
  double seconds = 0;
};

// Measured times by (signature, device kind), as a median of the latest samples: one bad sample changes nothing. They
// are those of a healthy device; one that is slower than others of its kind takes its factor as long.
// One thread at a time, or several that only read.
class CostModel {
 public:
  // Roofline (Williams, Waterman, Patterson, CACM 52(4), 2009): launch + max(flops / peak, bytes / bandwidth).
  [[nodiscard]] static double roofline_seconds(const CostKey& key, const DeviceSpec& device);

  // The median of the samples where there are at least kMinSamples of them, else the time that was set, else the
  // roofline; times the device's slowness.
  [[nodiscard]] double seconds(const CostKey& key, const DeviceSpec& device) const;
  // Adds a sample. Samples that are not finite and positive are dropped.
  void observe(const std::string& signature, const std::string& device_kind, double seconds);
  // How long an idle device takes to begin what has become ready: the median of the samples where there are at least
  // kMinSamples of them, else 0.
  [[nodiscard]] double wake_seconds(const std::string& device_kind) const;
  void observe_wake(const std::string& device_kind, double seconds);
  // Adds one step: how the devices compare, and for each signature and kind the median over its tasks as one sample. A
  // lasting change is so followed within kKeptSamples / 2 + 1 steps, however many micro-batches there are. Where a
  // device stands out as slow, its tasks count as if it were healthy.
  void observe_step(const TaskGraph& graph, const Cluster& cluster, std::vector<TaskSample> samples);
  // How many times as long as others of its kind the device of that name takes; exactly 1 unless it stands out. Profile
  // files do not hold it.
  [[nodiscard]] double slowness(const std::string& device) const { return speeds_.factor(device); }
  // A time that is known, 0 or more; infinity: devices of that kind cannot run it. Throws std::invalid_argument
  // otherwise. Profile files do not hold it.
  void set(const std::string& signature, const std::string& device_kind, double seconds);
  [[nodiscard]] std::size_t measured_count() const { return samples_.size(); }  // keys that have samples

  // Profile files: protobuf's JSON form, medians and sample counts. load throws std::invalid_argument naming the file
  // where it is missing, damaged or holds a time that is not finite and positive.
  void save(const std::string& path) const;
  [[nodiscard]] static CostModel load(const std::string& path);

  static constexpr std::size_t kMinSamples = 3;
  static constexpr std::size_t kKeptSamples = 9;

 private:
  struct Samples {
    std::vector<double> latest;  // at most kKeptSamples, a ring
    std::size_t next = 0;
    std::uint64_t total = 0;

    [[nodiscard]] bool count() const { return latest.size() >= kMinSamples || total >= kMinSamples; }
  };
  using Key = std::pair<std::string, std::string>;  // signature, device kind
  [[nodiscard]] std::optional<double> measured_seconds(const Key& key) const;
  void add(const Key& key, double seconds, std::size_t tasks);

  std::map<Key, Samples> samples_;
  std::map<Key, double> set_;
  DeviceSpeeds speeds_;
};

// The cost model's answers for one task graph on one cluster, looked up once: what policies, the simulator and the
// steal test read. Immutable; keeps pointers to the task graph and the cluster, which must outlive it.
class CostTable {
 public:
  // Throws std::invalid_argument where a layer is pinned to a device that the cluster does not have.
  CostTable(const TaskGraph& graph, const Cluster& cluster, const CostModel& model);

  [[nodiscard]] const TaskGraph& graph() const { return *graph_; }
  [[nodiscard]] const Cluster& cluster() const { return *cluster_; }
  // Infinity where the device cannot run the task, or the constraints do not let it.
  [[nodiscard]] double seconds(TaskId task, DeviceId device) const {
    return seconds_[row(task) * cluster_->device_count() + device.index()];
  }
  // Tasks of one row take the same time on each device.
  [[nodiscard]] std::size_t row(TaskId task) const {
    return rows_.empty() ? graph_->task(task).cost_key.index() : rows_[task.index()];
  }
  [[nodiscard]] std::size_t row_count() const { return seconds_.size() / cluster_->device_count(); }
  [[nodiscard]] double wake_seconds(DeviceId device) const { return wake_seconds_[device.index()]; }
  [[nodiscard]] double fastest_seconds(TaskId task) const;
  [[nodiscard]] double mean_seconds(TaskId task) const;  // over the devices that can run it
  [[nodiscard]] double copy_seconds(DatumId datum, MemoryId from, MemoryId to) const {
    return cluster_->copy_seconds(graph_->datum(datum).bytes, from, to);
  }

 private:
  void keep_demands();

  const TaskGraph* graph_;
  const Cluster* cluster_;
  std::vector<std::size_t> rows_;     // by task; empty: its cost key's position
  std::vector<double> seconds_;       // by row and device
  std::vector<double> wake_seconds_;  // by device
};

}  // namespace skua
