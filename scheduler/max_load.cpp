#include "skua/scheduler/max_load.h"

#include <algorithm>
#include <set>
#include <stdexcept>

#include "max_load_problem.h"
#include "max_load_search.h"

namespace skua {
namespace {

using max_load::Item;
using max_load::ItemDatum;
using max_load::kInfinity;
using max_load::Problem;

constexpr std::size_t kMostSteps = 100'000'000;             // of all searches of one problem: some seconds
constexpr std::size_t kMostEntries = std::size_t{1} << 25;  // of a table, 24 bytes each
constexpr double kRounding = 1e-12;                         // loads that differ by less are the same
constexpr double kLastGap = 1e-3;                           // from here on, anything better at all is looked for

// The best split into parts of one order of the items, by dynamic programming: least max load of what comes before a
// position, for every number of devices used of each class.
class Programme {
 public:
  // Whether there is room for the table.
  static bool has_room(const Problem& problem) {
    std::size_t entries = problem.items().size() + 1;
    for (const max_load::DeviceClass& devices : problem.classes()) {
      entries *= devices.devices.size() + 1;
      if (entries > kMostEntries) return false;
    }
    return true;
  }
  Programme(const Problem& problem, std::vector<std::size_t> order)
      : problem_(problem), order_(std::move(order)), positions_(order_.size()) {
    for (std::size_t i = 0; i < order_.size(); ++i) positions_[order_[i]] = i;
    for (const max_load::DeviceClass& devices : problem.classes()) {
      strides_.push_back(states_);
      states_ *= devices.devices.size() + 1;
    }
    loads_.assign((order_.size() + 1) * states_, kInfinity);
    steps_.resize(loads_.size());
  }

  // The devices of a split below `least`, by item; empty where there is none.
  std::vector<DeviceId> run(double least) {
    std::fill_n(loads_.begin(), states_, 0);
    for (std::size_t from = 0; from < order_.size(); ++from) {
      for (std::size_t c = 0; c < strides_.size(); ++c) extend(from, c, least);
    }
    const auto last = loads_.end() - static_cast<std::ptrdiff_t>(states_);
    const auto best = std::min_element(last, loads_.end());
    if (*best >= least) return {};
    return devices(static_cast<std::size_t>(best - last));
  }

 private:
  struct Step {
    std::size_t from = 0;
    std::size_t device_class = 0;
  };

  // Grows the part of class c that begins at a position while its work stays below `least`.
  void extend(std::size_t from, std::size_t c, double least) {
    double work = 0;
    double copies = 0;
    double bytes = 0;
    for (std::size_t to = from; to < order_.size(); ++to) {
      const Item& item = problem_.items()[order_[to]];
      work += item.seconds[c];
      bytes += item.bytes;
      if (work >= least || bytes > problem_.classes()[c].capacity_bytes) return;
      for (const std::size_t d : item.data) copies += copied(d, from, to + 1, c) - copied(d, from, to, c);
      put(from, to + 1, c, work + copies);
    }
  }

  // Copies of datum d at the borders of the part from one position up to another.
  [[nodiscard]] double copied(std::size_t d, std::size_t from, std::size_t to, std::size_t c) const {
    const ItemDatum& datum = problem_.data()[d];
    const auto inside = [&](std::size_t i) { return from <= positions_[i] && positions_[i] < to; };
    if (!inside(datum.from)) return std::any_of(datum.to.begin(), datum.to.end(), inside) ? datum.in_seconds[c] : 0;
    return std::all_of(datum.to.begin(), datum.to.end(), inside) ? 0 : datum.out_seconds[c];
  }

  void put(std::size_t from, std::size_t to, std::size_t c, double load) {
    const std::size_t devices = problem_.classes()[c].devices.size();
    for (std::size_t state = 0; state + strides_[c] < states_; ++state) {
      if (state / strides_[c] % (devices + 1) == devices) continue;
      const double max_load = std::max(loads_[from * states_ + state], load);
      double& best = loads_[to * states_ + state + strides_[c]];
      if (max_load >= best) continue;
      best = max_load;
      steps_[to * states_ + state + strides_[c]] = {from, c};
    }
  }

  [[nodiscard]] std::vector<DeviceId> devices(std::size_t state) const {
    std::vector<DeviceId> devices(order_.size());
    std::vector<std::size_t> used(strides_.size(), 0);
    for (std::size_t to = order_.size(); to > 0;) {
      const Step& step = steps_[to * states_ + state];
      const DeviceId device = problem_.classes()[step.device_class].devices[used[step.device_class]++];
      for (std::size_t i = step.from; i < to; ++i) devices[order_[i]] = device;
      state -= strides_[step.device_class];
      to = step.from;
    }
    return devices;
  }

  const Problem& problem_;
  const std::vector<std::size_t> order_;
  std::vector<std::size_t> positions_;  // in the order, by item
  std::vector<std::size_t> strides_;    // by class
  std::size_t states_ = 1;
  std::vector<double> loads_;  // by position and state
  std::vector<Step> steps_;    // likewise
};

// The best split found, and what is proved of pipelines.
class Best {
 public:
  Best(const TimedGraph& graph, const Cluster& cluster, const Problem& problem)
      : graph_(graph), cluster_(cluster), problem_(problem) {
    split_.max_load = kInfinity;
    split_.bound = problem.bound();
    split_.pipeline_bound = split_.bound;
  }

  [[nodiscard]] const LoadSplit& split() const { return split_; }

  // Whether the split with these devices, by item, is better: then it is the best. None are no split.
  bool improve(const std::vector<DeviceId>& by_item) {
    if (by_item.empty()) return false;
    std::vector<DeviceId> devices(graph_.tasks.size());
    for (std::size_t i = 0; i < by_item.size(); ++i) {
      for (const std::size_t task : problem_.items()[i].tasks) devices[task] = by_item[i];
    }
    const std::vector<double> loads = device_loads(graph_, cluster_, devices);
    const double max_load = *std::max_element(loads.begin(), loads.end());
    if (max_load >= split_.max_load) return false;
    split_.max_load = max_load;
    split_.devices = std::move(devices);
    return true;
  }

  // Halves the way between what has been searched and what has been found, until nothing is between them.
  void search() {
    std::size_t steps = kMostSteps;
    for (double searched = split_.bound; searched < split_.max_load;) {
      const bool last = split_.max_load - searched <= kLastGap * split_.max_load;
      const double target = last ? split_.max_load * (1 - kRounding) : (searched + split_.max_load) / 2;
      const max_load::Found found = max_load::find_pipeline(problem_, target, steps / 4);  // some are left for others
      steps -= std::min(steps, found.steps);
      if (improve(found.devices)) continue;
      searched = last ? split_.max_load : target;
      if (found.complete) split_.pipeline_bound = searched;
    }
  }

 private:
  const TimedGraph& graph_;
  const Cluster& cluster_;
  const Problem& problem_;
  LoadSplit split_;
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
  Best best(graph, cluster, problem);
  for (const bool latest_first : {true, false}) {
    if (!Programme::has_room(problem)) break;  // too many kinds of devices
    best.improve(Programme(problem, problem.topological_order(latest_first)).run(best.split().max_load));
  }
  if (best.split().devices.empty()) {
    best.improve(max_load::find_pipeline(problem, problem.worst_load(), kMostSteps).devices);
  }
  if (best.split().devices.empty()) {
    throw std::invalid_argument("[max-load] expected memories with room for a split, got none");
  }
  best.search();
  return best.split();
}

}  // namespace skua
