#include "skua/scheduler/max_load.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <limits>
#include <map>
#include <set>
#include <stdexcept>
#include <unordered_map>

namespace skua {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Tasks that stay together.
struct Item {
  std::vector<std::size_t> tasks;
  double bytes = 0;
  std::vector<double> seconds;          // by class of devices
  std::vector<std::size_t> data;        // made or read by its tasks
  std::vector<std::size_t> successors;  // items, by forward tasks
  std::size_t waits = 0;
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
};

using Bits = std::vector<std::uint64_t>;

bool has(const Bits& bits, std::size_t i) {
  return (bits[i / 64] >> (i % 64) & 1) != 0;
}

struct BitsHash {
  std::size_t operator()(const Bits& bits) const {
    std::size_t hash = 0;
    for (const std::uint64_t word : bits) hash = (hash ^ word) * 0x9E3779B97F4A7C15U + (hash >> 29);
    return hash;
  }
};

// The latest item that is ready first, or the earliest. Without those in and behind circles.
std::vector<std::size_t> topological_order(const std::vector<Item>& items, bool latest_first) {
  std::vector<std::size_t> waits;
  std::deque<std::size_t> ready;
  for (const Item& item : items) {
    waits.push_back(item.waits);
    if (item.waits == 0) ready.push_back(waits.size() - 1);
  }
  std::vector<std::size_t> order;
  while (!ready.empty()) {
    const std::size_t item = latest_first ? ready.back() : ready.front();
    latest_first ? ready.pop_back() : ready.pop_front();
    order.push_back(item);
    for (const std::size_t next : items[item].successors) {
      if (--waits[next] == 0) ready.push_back(next);
    }
  }
  return order;
}

class Problem {
 public:
  Problem(const TimedGraph& graph, const Cluster& cluster) : graph_(graph), cluster_(cluster) {
    make_classes();
    make_items();
    make_data();
    check_order();
  }

  [[nodiscard]] const std::vector<Item>& items() const { return items_; }
  [[nodiscard]] const std::vector<ItemDatum>& data() const { return data_; }
  [[nodiscard]] const std::vector<DeviceClass>& classes() const { return classes_; }

  // Fractions of items on devices, copies left out, and the largest item.
  [[nodiscard]] double bound() const {
    double largest = 0;
    std::vector<double> work(classes_.size(), 0);
    for (const Item& item : items_) {
      largest = std::max(largest, *std::min_element(item.seconds.begin(), item.seconds.end()));
      for (std::size_t c = 0; c < classes_.size(); ++c) {
        if (item.seconds[c] < kInfinity) work[c] += item.seconds[c];
      }
    }
    // Weak duality, as in lower_bound_seconds: any speeds that sum to 1 give a bound.
    double speeds = 0;
    for (std::size_t c = 0; c < classes_.size(); ++c) {
      if (work[c] > 0) speeds += static_cast<double>(classes_[c].devices.size()) / work[c];
    }
    if (speeds == 0) return largest;
    double load = 0;
    for (const Item& item : items_) {
      double least = kInfinity;
      for (std::size_t c = 0; c < classes_.size(); ++c) {
        if (item.seconds[c] < kInfinity) least = std::min(least, work[c] > 0 ? item.seconds[c] / work[c] / speeds : 0);
      }
      load += least;
    }
    return std::max(largest, load);
  }

 private:
  void make_classes() {
    std::map<std::tuple<std::string, bool, double, double, double>, std::size_t> known;
    for (std::size_t d = 0; d < cluster_.device_count(); ++d) {
      const DeviceId id(static_cast<std::int64_t>(d));
      const DeviceSpec& device = cluster_.device(id);
      const bool on_host = device.memory == kHostMemory;
      const double capacity = on_host ? kInfinity : cluster_.memory(device.memory).capacity_bytes;
      const auto key =
          std::tuple(device.kind, on_host, capacity, cluster_.copy_seconds(1e9, kHostMemory, device.memory),
                     cluster_.copy_seconds(1e9, device.memory, kHostMemory));
      const auto [found, added] = known.emplace(key, classes_.size());
      if (added) classes_.push_back({{}, capacity});
      classes_[found->second].devices.push_back(id);
    }
  }

  void make_items() {
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

  void make_data() {
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
      ++items_[after].waits;
    }
  }

  void check_order() const {
    std::vector<bool> reached(items_.size(), false);
    for (const std::size_t item : topological_order(items_, true)) reached[item] = true;
    const auto stuck = std::find(reached.begin(), reached.end(), false);
    if (stuck == reached.end()) return;
    const Item& item = items_[static_cast<std::size_t>(stuck - reached.begin())];
    throw std::invalid_argument(
        fmt::format("[task {}] expected groups that do not wait for each other, got a circle with that of this task",
                    graph_.tasks[item.tasks.front()].name));
  }

  const TimedGraph& graph_;
  const Cluster& cluster_;
  std::vector<DeviceClass> classes_;
  std::vector<Item> items_;
  std::vector<ItemDatum> data_;
  std::vector<std::size_t> item_of_;
};

// A part that grows by one item after another: its load on a device of each class.
struct Part {
  double bytes = 0;
  std::vector<double> work;    // by class
  std::vector<double> copies;  // by class
};

// The copies of one datum at the border of a part that holds its maker or not, and `inside` of its readers.
double border_seconds(const ItemDatum& datum, bool maker, std::size_t inside, std::size_t c) {
  if (maker) return inside < datum.to.size() ? datum.out_seconds[c] : 0;
  return inside > 0 ? datum.in_seconds[c] : 0;
}

// `inside(i)` says whether item i is in the part already; `item` is not.
template <class Inside>
void grow(const Problem& problem, Part& part, std::size_t item, Inside inside) {
  const Item& added = problem.items()[item];
  part.bytes += added.bytes;
  for (std::size_t c = 0; c < part.work.size(); ++c) part.work[c] += added.seconds[c];
  for (const std::size_t d : added.data) {
    const ItemDatum& datum = problem.data()[d];
    const bool maker = inside(datum.from);
    std::size_t readers = 0;
    for (const std::size_t to : datum.to) readers += inside(to) ? 1 : 0;
    const bool makes = datum.from == item;
    for (std::size_t c = 0; c < part.copies.size(); ++c) {
      part.copies[c] += border_seconds(datum, maker || makes, readers + (makes ? 0 : 1), c) -
                        border_seconds(datum, maker, readers, c);
    }
  }
}

// Sets of items that hold the predecessors of all that they hold, smaller ones first.
struct ClosedSets {
  std::vector<Bits> bits;
  std::vector<std::vector<std::pair<std::size_t, std::size_t>>> larger;  // by set: item, the set with it
};

// A chain of them along one order of the items.
ClosedSets closed_sets_along(const std::vector<std::size_t>& order) {
  ClosedSets sets;
  sets.bits.emplace_back((order.size() + 63) / 64, 0);
  for (const std::size_t item : order) {
    Bits next = sets.bits.back();
    next[item / 64] |= std::uint64_t{1} << (item % 64);
    sets.larger.push_back({{item, sets.bits.size()}});
    sets.bits.push_back(std::move(next));
  }
  sets.larger.emplace_back();
  return sets;
}

// All of them; none where there are more than kMostClosedSets.
ClosedSets all_closed_sets(const Problem& problem) {
  const std::vector<Item>& items = problem.items();
  std::vector<std::vector<std::size_t>> predecessors(items.size());
  for (std::size_t i = 0; i < items.size(); ++i) {
    for (const std::size_t next : items[i].successors) predecessors[next].push_back(i);
  }
  ClosedSets sets;
  std::unordered_map<Bits, std::size_t, BitsHash> known;
  sets.bits.emplace_back((items.size() + 63) / 64, 0);
  known.emplace(sets.bits[0], 0);
  for (std::size_t s = 0; s < sets.bits.size(); ++s) {
    sets.larger.emplace_back();
    for (std::size_t i = 0; i < items.size(); ++i) {
      const auto inside = [&](std::size_t p) { return has(sets.bits[s], p); };
      if (inside(i) || !std::all_of(predecessors[i].begin(), predecessors[i].end(), inside)) continue;
      Bits next = sets.bits[s];
      next[i / 64] |= std::uint64_t{1} << (i % 64);
      const auto [found, added] = known.emplace(next, sets.bits.size());
      if (added) sets.bits.push_back(std::move(next));
      sets.larger[s].emplace_back(i, found->second);
    }
    if (sets.bits.size() > kMostClosedSets) return {};
  }
  return sets;
}

constexpr std::size_t kMostEntries = std::size_t{1} << 25;  // 24 bytes each

// Whether a programme over `sets` closed sets has room for its table.
bool has_room(const Problem& problem, std::size_t sets) {
  std::size_t entries = sets;
  for (const DeviceClass& devices : problem.classes()) {
    entries *= devices.devices.size() + 1;
    if (entries > kMostEntries) return false;
  }
  return true;
}

// Parts from one closed set to a larger one, each on a device of one class: least max load for every number of devices
// used of each class.
class Programme {
 public:
  Programme(const Problem& problem, const ClosedSets& sets) : problem_(problem), sets_(sets) {
    for (const DeviceClass& devices : problem.classes()) {
      strides_.push_back(states_);
      states_ *= devices.devices.size() + 1;
    }
    loads_.assign(sets.bits.size() * states_, kInfinity);
    steps_.resize(loads_.size());
    stamps_.assign(sets.bits.size(), sets.bits.size());
    parts_.resize(sets.bits.size());
  }

  // The least max load below `known`; `known` where there is none.
  double run(double known) {
    least_ = known;
    for (std::size_t state = 0; state < states_; ++state) loads_[state] = 0;  // nothing is left to do before set 0
    for (std::size_t s = 0; s + 1 < sets_.bits.size(); ++s) {
      const auto row = loads_.begin() + static_cast<std::ptrdiff_t>(s * states_);
      if (*std::min_element(row, row + static_cast<std::ptrdiff_t>(states_)) < least_) extend(s);
    }
    return least_;
  }

  // By item; empty where run found none.
  [[nodiscard]] std::vector<DeviceId> devices() const {
    std::vector<DeviceId> devices(problem_.items().size());
    std::size_t s = sets_.bits.size() - 1;
    const auto last = loads_.begin() + static_cast<std::ptrdiff_t>(s * states_);
    std::size_t state =
        static_cast<std::size_t>(std::min_element(last, last + static_cast<std::ptrdiff_t>(states_)) - last);
    if (last[static_cast<std::ptrdiff_t>(state)] == kInfinity) return {};
    std::vector<std::size_t> used(problem_.classes().size(), 0);
    while (s > 0) {
      const Step& step = steps_[s * states_ + state];
      const DeviceId device = problem_.classes()[step.device_class].devices[used[step.device_class]++];
      for (std::size_t i = 0; i < devices.size(); ++i) {
        if (has(sets_.bits[s], i) && !has(sets_.bits[step.from], i)) devices[i] = device;
      }
      state -= strides_[step.device_class];
      s = step.from;
    }
    return devices;
  }

 private:
  struct Step {
    std::size_t from = 0;
    std::size_t device_class = 0;
  };

  // Grows all parts that begin after set s and whose work some device can do below the least max load.
  void extend(std::size_t s) {
    const std::size_t classes = strides_.size();
    std::vector<std::size_t> reached{s};
    stamps_[s] = s;
    parts_[s] = {0, std::vector<double>(classes, 0), std::vector<double>(classes, 0)};
    for (std::size_t r = 0; r < reached.size(); ++r) {
      const std::size_t from = reached[r];
      for (const auto& [item, to] : sets_.larger[from]) {
        if (stamps_[to] == s) continue;
        stamps_[to] = s;
        Part& part = parts_[to];
        part = parts_[from];
        grow(problem_, part, item,
             [&, from = from](std::size_t i) { return has(sets_.bits[from], i) && !has(sets_.bits[s], i); });
        bool may_grow = false;
        for (std::size_t c = 0; c < classes; ++c) {
          if (part.bytes > problem_.classes()[c].capacity_bytes || part.work[c] >= least_) continue;
          may_grow = true;
          put(s, to, c, part.work[c] + part.copies[c]);
        }
        if (may_grow) reached.push_back(to);
      }
    }
  }

  void put(std::size_t s, std::size_t to, std::size_t c, double load) {
    if (load >= least_) return;
    const std::size_t devices = problem_.classes()[c].devices.size();
    for (std::size_t state = 0; state + strides_[c] < states_; ++state) {
      if (state / strides_[c] % (devices + 1) == devices) continue;
      const double max_load = std::max(loads_[s * states_ + state], load);
      double& best = loads_[to * states_ + state + strides_[c]];
      if (max_load >= best || max_load >= least_) continue;
      best = max_load;
      steps_[to * states_ + state + strides_[c]] = {s, c};
      if (to + 1 == sets_.bits.size()) least_ = max_load;
    }
  }

  const Problem& problem_;
  const ClosedSets& sets_;
  std::vector<std::size_t> strides_;
  std::size_t states_ = 1;
  double least_ = kInfinity;
  std::vector<double> loads_;  // by set and state
  std::vector<Step> steps_;    // likewise
  std::vector<std::size_t> stamps_;
  std::vector<Part> parts_;
};

}  // namespace

std::vector<double> device_loads(const TimedGraph& graph, const Cluster& cluster,
                                 const std::vector<DeviceId>& devices) {
  std::vector<double> loads(cluster.device_count(), 0);
  for (std::size_t t = 0; t < graph.tasks.size(); ++t) {
    loads[devices[t].index()] += graph.tasks[t].seconds_on(cluster.device(devices[t]).kind);
  }
  // Of one maker, what goes to the same memory goes once; an edge is a datum.
  for (const TimedEdge& edge : graph.edges) {
    std::set<DeviceId> readers;
    for (const std::size_t to : edge.to) readers.insert(devices[to]);
    readers.erase(devices[edge.from]);
    if (readers.empty()) continue;
    const MemoryId home = cluster.device(devices[edge.from]).memory;
    loads[devices[edge.from].index()] += cluster.copy_seconds(edge.bytes, home, kHostMemory);
    for (const DeviceId reader : readers) {
      loads[reader.index()] += cluster.copy_seconds(edge.bytes, kHostMemory, cluster.device(reader).memory);
    }
  }
  return loads;
}

LoadSplit minimize_max_load(const TimedGraph& graph, const Cluster& cluster) {
  (void)TimedProblem(graph, cluster);  // refuses what is no task graph
  const Problem problem(graph, cluster);
  if (!has_room(problem, problem.items().size() + 1)) {
    throw std::invalid_argument(
        fmt::format("[max-load] expected devices of few kinds, got {} tasks and {} devices of {} kinds",
                    graph.tasks.size(), cluster.device_count(), problem.classes().size()));
  }
  LoadSplit split;
  split.bound = problem.bound();
  std::vector<DeviceId> devices;  // by item
  double least = kInfinity;
  for (const bool latest_first : {true, false}) {
    const ClosedSets sets = closed_sets_along(topological_order(problem.items(), latest_first));
    Programme programme(problem, sets);
    const double found = programme.run(least);
    if (found < least) devices = programme.devices();
    least = found;
  }
  const ClosedSets sets = all_closed_sets(problem);
  const bool all_pipelines = !sets.bits.empty() && has_room(problem, sets.bits.size());
  if (all_pipelines) {
    Programme programme(problem, sets);
    const double found = programme.run(least);
    if (found < least) devices = programme.devices();
    least = found;
  }
  if (devices.empty()) {
    throw std::invalid_argument("[max-load] expected memories with room for a split, got none");
  }
  split.pipeline_bound = all_pipelines ? least : split.bound;
  split.devices.resize(graph.tasks.size());
  for (std::size_t i = 0; i < devices.size(); ++i) {
    for (const std::size_t task : problem.items()[i].tasks) split.devices[task] = devices[i];
  }
  const std::vector<double> loads = device_loads(graph, cluster, split.devices);
  split.max_load = *std::max_element(loads.begin(), loads.end());
  return split;
}

}  // namespace skua
