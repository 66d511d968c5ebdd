#include "max_load_problem.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <stdexcept>

namespace skua::max_load {

Problem::Problem(const TimedGraph& graph, const Cluster& cluster) : graph_(graph), cluster_(cluster) {
  make_classes();
  make_items();
  make_data();
  check_order();
  set_speeds();
}

std::vector<std::size_t> Problem::topological_order(bool latest_first) const {
  std::vector<std::size_t> waits;
  std::deque<std::size_t> ready;
  for (const Item& item : items_) {
    waits.push_back(item.predecessors.size());
    if (waits.back() == 0) ready.push_back(waits.size() - 1);
  }
  std::vector<std::size_t> order;
  while (!ready.empty()) {
    const std::size_t item = latest_first ? ready.back() : ready.front();
    latest_first ? ready.pop_back() : ready.pop_front();
    order.push_back(item);
    for (const std::size_t next : items_[item].successors) {
      if (--waits[next] == 0) ready.push_back(next);
    }
  }
  return order;
}

double Problem::bound() const {
  double largest = 0;
  double speeds = 0;
  double load = 0;
  for (const DeviceClass& devices : classes_) speeds += static_cast<double>(devices.devices.size()) * devices.speed;
  for (const Item& item : items_) {
    double least = kInfinity;
    for (std::size_t c = 0; c < classes_.size(); ++c) {
      if (item.seconds[c] < kInfinity) least = std::min(least, item.seconds[c] * classes_[c].speed);
    }
    load += least;
    largest = std::max(largest, *std::min_element(item.seconds.begin(), item.seconds.end()));
  }
  return speeds > 0 ? std::max(largest, load / speeds) : largest;
}

double Problem::worst_load() const {
  double worst = 1;
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    for (const Item& item : items_) worst += item.seconds[c] < kInfinity ? item.seconds[c] : 0;
    for (const ItemDatum& datum : data_) worst += datum.in_seconds[c] + datum.out_seconds[c];
  }
  return worst;
}

void Problem::set_speeds() {
  for (std::size_t c = 0; c < classes_.size(); ++c) {
    double work = 0;
    for (const Item& item : items_) work += item.seconds[c] < kInfinity ? item.seconds[c] : 0;
    classes_[c].speed = work > 0 ? 1 / work : 0;
  }
}

void Problem::make_classes() {
  std::map<std::tuple<std::string, bool, double, double, double>, std::size_t> known;
  for (std::size_t d = 0; d < cluster_.device_count(); ++d) {
    const DeviceId id(static_cast<std::int64_t>(d));
    const DeviceSpec& device = cluster_.device(id);
    const bool on_host = device.memory == kHostMemory;
    const double capacity = on_host ? kInfinity : cluster_.memory(device.memory).capacity_bytes;
    const auto key = std::tuple(device.kind, on_host, capacity, cluster_.copy_seconds(1e9, kHostMemory, device.memory),
                                cluster_.copy_seconds(1e9, device.memory, kHostMemory));
    const auto [found, added] = known.emplace(key, classes_.size());
    if (added) classes_.push_back({{}, capacity, 0});
    classes_[found->second].devices.push_back(id);
  }
}

void Problem::make_items() {
  std::map<int, std::size_t> groups;
  item_of_.resize(graph_.tasks.size());
  for (std::size_t t = 0; t < graph_.tasks.size(); ++t) {
    const TimedTask& task = graph_.tasks[t];
    std::size_t item = items_.size();
    if (task.group >= 0) item = groups.emplace(task.group, item).first->second;
    if (item == items_.size()) items_.emplace_back().seconds.assign(classes_.size(), 0);
    item_of_[t] = item;
    items_[item].tasks.push_back(t);
    items_[item].bytes += task.resident_bytes;
    for (std::size_t c = 0; c < classes_.size(); ++c) {
      items_[item].seconds[c] += task.seconds_on(cluster_.device(classes_[c].devices.front()).kind);
    }
  }
  for (const Item& item : items_) {
    const bool forward =
        std::any_of(item.tasks.begin(), item.tasks.end(), [&](std::size_t t) { return !graph_.tasks[t].backward; });
    const std::string& name = graph_.tasks[item.tasks.front()].name;
    if (!forward) {
      throw std::invalid_argument(
          fmt::format("[task {}] expected a forward task in the group of a backward one, got none", name));
    }
    if (*std::min_element(item.seconds.begin(), item.seconds.end()) == kInfinity) {
      throw std::invalid_argument(fmt::format("[task {}] expected a device that can run its group, got none", name));
    }
  }
}

void Problem::make_data() {
  std::set<std::pair<std::size_t, std::size_t>> order;
  for (const TimedEdge& edge : graph_.edges) {
    ItemDatum datum;
    datum.from = item_of_[edge.from];
    std::set<std::size_t> readers;
    for (const std::size_t to : edge.to) {
      const std::size_t reader = item_of_[to];
      if (reader == datum.from) continue;
      readers.insert(reader);
      if (!graph_.tasks[edge.from].backward && !graph_.tasks[to].backward) order.emplace(datum.from, reader);
    }
    if (readers.empty()) continue;
    datum.to.assign(readers.begin(), readers.end());
    for (const DeviceClass& devices : classes_) {
      const MemoryId memory = cluster_.device(devices.devices.front()).memory;
      datum.in_seconds.push_back(cluster_.copy_seconds(edge.bytes, kHostMemory, memory));
      datum.out_seconds.push_back(cluster_.copy_seconds(edge.bytes, memory, kHostMemory));
    }
    items_[datum.from].data.push_back(data_.size());
    for (const std::size_t reader : readers) items_[reader].data.push_back(data_.size());
    data_.push_back(std::move(datum));
  }
  for (const auto& [before, after] : order) {
    items_[before].successors.push_back(after);
    items_[after].predecessors.push_back(before);
  }
}

void Problem::check_order() const {
  std::vector<bool> reached(items_.size(), false);
  for (const std::size_t item : topological_order(true)) reached[item] = true;
  const auto stuck = std::find(reached.begin(), reached.end(), false);
  if (stuck == reached.end()) return;
  const Item& item = items_[static_cast<std::size_t>(stuck - reached.begin())];
  throw std::invalid_argument(
      fmt::format("[task {}] expected groups that do not wait for each other, got a circle with that of this task",
                  graph_.tasks[item.tasks.front()].name));
}

}  // namespace skua::max_load
