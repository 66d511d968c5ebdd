// A task graph as its splits see it: tasks that stay together are one item, devices that are alike one class.
#pragma once

#include <limits>
#include <vector>

#include "skua/scheduler/task_file.h"

namespace skua::max_load {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Tasks that stay together.
struct Item {
  std::vector<std::size_t> tasks;
  double bytes = 0;
  std::vector<double> seconds;            // by class of devices
  std::vector<std::size_t> data;          // made or read by its tasks
  std::vector<std::size_t> predecessors;  // items, by forward tasks
  std::vector<std::size_t> successors;    // likewise
};

// What crosses borders, in items.
struct ItemDatum {
  std::size_t from = 0;
  std::vector<std::size_t> to;      // each once, none `from`
  std::vector<double> in_seconds;   // by class
  std::vector<double> out_seconds;  // by class
};

// Devices that are the same to any split.
struct DeviceClass {
  std::vector<DeviceId> devices;
  double capacity_bytes = 0;
  // Any speeds give a lower bound by weak duality, as in lower_bound_seconds: an item takes its least seconds times
  // speed of any class that may run it, and a device gives its speed times the largest load.
  double speed = 0;
};

// Items and classes of a graph and a cluster, which it refers to. Throws what minimize_max_load throws of groups.
class Problem {
 public:
  Problem(const TimedGraph& graph, const Cluster& cluster);

  [[nodiscard]] const std::vector<Item>& items() const { return items_; }
  [[nodiscard]] const std::vector<ItemDatum>& data() const { return data_; }
  [[nodiscard]] const std::vector<DeviceClass>& classes() const { return classes_; }

  // Of two such orders, each item after its predecessors: the latest item that is ready first, or the earliest.
  [[nodiscard]] std::vector<std::size_t> topological_order(bool latest_first) const;

  // Fractions of items on devices, copies left out, and the largest item.
  [[nodiscard]] double bound() const;
  // No split has a larger max load.
  [[nodiscard]] double worst_load() const;

 private:
  void make_classes();
  void make_items();
  void make_data();
  void check_order() const;
  void set_speeds();

  const TimedGraph& graph_;
  const Cluster& cluster_;
  std::vector<DeviceClass> classes_;
  std::vector<Item> items_;
  std::vector<ItemDatum> data_;
  std::vector<std::size_t> item_of_;  // by task
};

}  // namespace skua::max_load
