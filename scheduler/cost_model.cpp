#include "skua/scheduler/cost_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "graph/message_file.h"
#include "scheduler.pb.h"
#include "skua/scheduler/median.h"

namespace skua {

namespace {

bool is_time(double seconds) {
  return std::isfinite(seconds) && seconds > 0;
}

// Whether both take the same time for anything.
bool alike(const DeviceSpec& a, const DeviceSpec& b) {
  return a.kind == b.kind && a.flops_per_second == b.flops_per_second && a.bytes_per_second == b.bytes_per_second &&
         a.launch_seconds == b.launch_seconds;
}

}  // namespace

double CostModel::roofline_seconds(const CostKey& key, const DeviceSpec& device) {
  return device.launch_seconds + std::max(key.flops / device.flops_per_second, key.bytes / device.bytes_per_second);
}

double CostModel::seconds(const CostKey& key, const DeviceSpec& device) const {
  const auto found = samples_.find({key.signature, device.kind});
  if (found != samples_.end() && found->second.latest.size() >= kMinSamples) return median_of(found->second.latest);
  const auto known = set_.find({key.signature, device.kind});
  return known != set_.end() ? known->second : roofline_seconds(key, device);
}

void CostModel::set(const std::string& signature, const std::string& device_kind, double seconds) {
  if (!(seconds >= 0)) {
    throw std::invalid_argument(
        fmt::format("[cost model] expected 0 s or more for {} on {}, got {}", signature, device_kind, seconds));
  }
  set_[{signature, device_kind}] = seconds;
}

void CostModel::observe(const std::string& signature, const std::string& device_kind, double seconds) {
  if (!is_time(seconds)) return;
  Samples& samples = samples_[{signature, device_kind}];
  ++samples.total;
  if (samples.latest.size() < kKeptSamples) {
    samples.latest.push_back(seconds);
  } else {
    samples.latest[samples.next] = seconds;
    samples.next = (samples.next + 1) % kKeptSamples;
  }
}

void CostModel::save(const std::string& path) const {
  proto::Profile file;
  for (const auto& [key, samples] : samples_) {
    if (samples.latest.size() < kMinSamples) continue;
    auto& time = *file.add_times();
    time.set_signature(key.first);
    time.set_device_kind(key.second);
    time.set_median_seconds(median_of(samples.latest));
    time.set_samples(samples.total);
  }
  write_message(file, path, FileForm::kJson, "save_profile");
}

CostModel CostModel::load(const std::string& path) {
  return load_message<proto::Profile>(path, FileForm::kJson, "profile", "a profile", [](const proto::Profile& file) {
    CostModel model;
    for (const auto& time : file.times()) {
      if (!is_time(time.median_seconds())) {
        throw std::invalid_argument(fmt::format("expected a finite time above 0 for {} on {}, got {}", time.signature(),
                                                time.device_kind(), time.median_seconds()));
      }
      // Enough to be believed, few enough to be outvoted by new samples.
      const Samples samples{std::vector<double>(kMinSamples, time.median_seconds()), 0, time.samples()};
      if (!model.samples_.emplace(std::pair(time.signature(), time.device_kind()), samples).second) {
        throw std::invalid_argument(
            fmt::format("expected one time for {} on {}, got two", time.signature(), time.device_kind()));
      }
    }
    return model;
  });
}

CostTable::CostTable(const TaskGraph& graph, const Cluster& cluster, const CostModel& model)
    : graph_(&graph), cluster_(&cluster) {
  seconds_.reserve(graph.cost_keys().size() * cluster.device_count());
  for (const CostKey& key : graph.cost_keys()) {
    const DeviceSpec* before = nullptr;
    for (const DeviceSpec& device : cluster.devices()) {
      seconds_.push_back(before != nullptr && alike(*before, device) ? seconds_.back() : model.seconds(key, device));
      before = &device;
    }
  }
}

double CostTable::fastest_seconds(TaskId task) const {
  double fastest = seconds(task, DeviceId(0));
  for (std::size_t d = 1; d < cluster_->device_count(); ++d) {
    fastest = std::min(fastest, seconds(task, DeviceId(static_cast<std::int64_t>(d))));
  }
  return fastest;
}

double CostTable::mean_seconds(TaskId task) const {
  double sum = 0;
  int count = 0;
  for (std::size_t d = 0; d < cluster_->device_count(); ++d) {
    const double here = seconds(task, DeviceId(static_cast<std::int64_t>(d)));
    if (!std::isfinite(here)) continue;
    sum += here;
    ++count;
  }
  return count > 0 ? sum / count : std::numeric_limits<double>::infinity();
}

}  // namespace skua
