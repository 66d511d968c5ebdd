#include "skua/scheduler/cost_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string_view>
#include <tuple>

#include "graph/message_file.h"
#include "scheduler.pb.h"
#include "skua/scheduler/median.h"

namespace skua {

namespace {

constexpr const char* kWake = "wake";  // in the place of a signature

bool is_time(double seconds) {
  return std::isfinite(seconds) && seconds > 0;
}

// By device, whether the pin allows it.
std::vector<bool> devices_of(const Constraints::Pin& pin, const Cluster& cluster) {
  std::vector<bool> devices(cluster.device_count(), false);
  for (const std::string& name : pin.devices) {
    std::size_t d = 0;
    while (d < devices.size() && cluster.devices()[d].name != name) ++d;
    if (d == devices.size()) {
      throw std::invalid_argument(
          fmt::format("[pin {}] expected a device of {}, got '{}'", pin.layer, cluster.name(), name));
    }
    devices[d] = true;
  }
  return devices;
}

// One step's times of a cost key on devices of one kind.
struct KindSamples {
  CostKeyId key;
  std::string kind;
  std::vector<std::pair<DeviceId, std::vector<double>>> by_device;
};

std::vector<KindSamples> by_key_and_kind(const Cluster& cluster, std::vector<TaskSample>& samples) {
  const auto order = [&](const TaskSample& sample) {
    return std::tuple(sample.key, std::string_view(cluster.device(sample.device).kind), sample.device);
  };
  std::ranges::stable_sort(samples, {}, order);
  std::vector<KindSamples> groups;
  for (const TaskSample& sample : samples) {
    const std::string& kind = cluster.device(sample.device).kind;
    if (groups.empty() || groups.back().key != sample.key || groups.back().kind != kind) {
      groups.push_back({sample.key, kind, {}});
    }
    auto& by_device = groups.back().by_device;
    if (by_device.empty() || by_device.back().first != sample.device) by_device.push_back({sample.device, {}});
    by_device.back().second.push_back(sample.seconds);
  }
  return groups;
}

// Whether both take the same time for anything.
bool alike(const DeviceSpec& a, const DeviceSpec& b, const CostModel& model) {
  return model.slowness(a.name) == model.slowness(b.name) && a.kind == b.kind &&
         a.flops_per_second == b.flops_per_second && a.bytes_per_second == b.bytes_per_second &&
         a.launch_seconds == b.launch_seconds;
}

}  // namespace

double CostModel::roofline_seconds(const CostKey& key, const DeviceSpec& device) {
  return device.launch_seconds + std::max(key.flops / device.flops_per_second, key.bytes / device.bytes_per_second);
}

std::optional<double> CostModel::measured_seconds(const Key& key) const {
  const auto found = samples_.find(key);
  if (found == samples_.end() || !found->second.count()) return std::nullopt;
  return median_of(found->second.latest);
}

double CostModel::wake_seconds(const std::string& device_kind) const {
  return measured_seconds({kWake, device_kind}).value_or(0);
}

void CostModel::observe_wake(const std::string& device_kind, double seconds) {
  observe(kWake, device_kind, seconds);
}

double CostModel::seconds(const CostKey& key, const DeviceSpec& device) const {
  const double slowness = speeds_.factor(device.name);
  if (const auto measured = measured_seconds({key.signature, device.kind})) return *measured * slowness;
  const auto known = set_.find({key.signature, device.kind});
  return (known != set_.end() ? known->second : roofline_seconds(key, device)) * slowness;
}

void CostModel::set(const std::string& signature, const std::string& device_kind, double seconds) {
  if (!(seconds >= 0)) {
    throw std::invalid_argument(
        fmt::format("[cost model] expected 0 s or more for {} on {}, got {}", signature, device_kind, seconds));
  }
  set_[{signature, device_kind}] = seconds;
}

void CostModel::observe(const std::string& signature, const std::string& device_kind, double seconds) {
  if (is_time(seconds)) add({signature, device_kind}, seconds, 1);
}

void CostModel::observe_step(const TaskGraph& graph, const Cluster& cluster, std::vector<TaskSample> samples) {
  std::erase_if(samples, [](const TaskSample& sample) { return !is_time(sample.seconds); });
  const std::vector<KindSamples> groups = by_key_and_kind(cluster, samples);
  std::vector<Key> keys;
  std::vector<std::vector<KeyRatio>> ratios(cluster.device_count());
  for (const KindSamples& group : groups) {
    keys.emplace_back(graph.cost_keys()[group.key.index()].signature, group.kind);
    const auto expected = measured_seconds(keys.back());
    if (!expected) continue;
    for (const auto& [device, seconds] : group.by_device) {
      ratios[device.index()].push_back(
          {median_of(seconds) / *expected, *expected * static_cast<double>(seconds.size())});
    }
  }
  const std::vector<double> slowness = speeds_.observe(cluster, ratios);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    std::vector<double> healthy;
    for (const auto& [device, seconds] : groups[i].by_device) {
      for (const double here : seconds) healthy.push_back(here / slowness[device.index()]);
    }
    const std::size_t tasks = healthy.size();
    add(keys[i], median_of(std::move(healthy)), tasks);
  }
}

void CostModel::add(const Key& key, double seconds, std::size_t tasks) {
  Samples& samples = samples_[key];
  samples.total += tasks;
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
    if (!samples.count()) continue;
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
  std::vector<bool> as_before;  // by device: like the one before it
  for (std::size_t d = 0; d < cluster.device_count(); ++d) {
    as_before.push_back(d > 0 && alike(cluster.devices()[d - 1], cluster.devices()[d], model));
  }
  for (const CostKey& key : graph.cost_keys()) {
    for (std::size_t d = 0; d < as_before.size(); ++d) {
      seconds_.push_back(as_before[d] ? seconds_.back() : model.seconds(key, cluster.devices()[d]));
    }
  }
  for (const DeviceSpec& device : cluster.devices()) wake_seconds_.push_back(model.wake_seconds(device.kind));
  if (graph.has_demands()) keep_demands();
}

// Rows anew, by cost key and by the devices that are allowed: those of all pins of the task, and for a group those that
// all its tasks can run on.
void CostTable::keep_demands() {
  const std::size_t devices = cluster_->device_count();
  std::vector<std::vector<bool>> pins;
  for (const Constraints::Pin& pin : graph_->constraints().pins) pins.push_back(devices_of(pin, *cluster_));
  std::vector<std::vector<bool>> allowed(graph_->task_count(), std::vector<bool>(devices));
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    for (std::size_t d = 0; d < devices; ++d) {
      allowed[i][d] = std::isfinite(seconds(id, DeviceId(static_cast<std::int64_t>(d))));
      for (const std::size_t pin : graph_->demand(id).pins) allowed[i][d] = allowed[i][d] && pins[pin][d];
    }
  }
  for (const std::vector<TaskId>& group : graph_->groups()) {
    for (std::size_t d = 0; d < devices; ++d) {
      const bool all = std::all_of(group.begin(), group.end(), [&](TaskId id) { return allowed[id.index()][d]; });
      for (const TaskId id : group) allowed[id.index()][d] = all;
    }
  }
  std::map<std::pair<CostKeyId, std::vector<bool>>, std::size_t> known;
  std::vector<std::size_t> rows;
  std::vector<double> times;
  for (std::size_t i = 0; i < allowed.size(); ++i) {
    const TaskId id(static_cast<std::int64_t>(i));
    const auto [row, is_new] = known.emplace(std::pair(graph_->task(id).cost_key, allowed[i]), known.size());
    rows.push_back(row->second);
    for (std::size_t d = 0; d < devices && is_new; ++d) {
      const double here = seconds(id, DeviceId(static_cast<std::int64_t>(d)));
      times.push_back(allowed[i][d] ? here : std::numeric_limits<double>::infinity());
    }
  }
  rows_ = std::move(rows);
  seconds_ = std::move(times);
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
