// Splits of a pipeline: which device holds which part of a model that many samples run through one after another, so
// that the device with the most to do per sample has least. Pure functions; any number of threads.
#pragma once

#include <vector>

#include "skua/scheduler/task_file.h"

namespace skua {

// A device's load per sample: the times of its tasks, and a copy to or from the host for every datum that crosses the
// border of its memory, counted once in and once out; in the host's memory copies are free. Source: Tarnawski,
// Phanishayee, Devanur, Mahajan, Paravecino, "Efficient algorithms for device placement of DNN graph operators",
// NeurIPS 2020, section 3. By device id, for a device of each task; infinity where it cannot run one of them.
[[nodiscard]] std::vector<double> device_loads(const TimedGraph& graph, const Cluster& cluster,
                                               const std::vector<DeviceId>& devices);

struct LoadSplit {
  std::vector<DeviceId> devices;  // by task position
  double max_load = 0;            // seconds per sample
  double pipeline_bound = 0;      // no split that is a pipeline has a smaller max load
  double bound = 0;               // no split at all has: work over all devices, and the largest group
};

// The best split that is a pipeline: parts in a row, each of which reads only from those before it (forward tasks
// count; backward tasks and groups follow), by dynamic programming over the sets of tasks that are closed under
// predecessors (section 4 of the paper), with parts ruled out that alone exceed the best split known. Where there are
// more than kMostClosedSets of them, or many kinds of devices as well, the best split along a few orders of the tasks,
// and pipeline_bound is bound. Throws std::invalid_argument: what TimedProblem refuses, a backward task in no group
// with a forward one, groups that wait for each other, no split that fits into the memories, more kinds of devices than
// there is room to count their uses.
[[nodiscard]] LoadSplit minimize_max_load(const TimedGraph& graph, const Cluster& cluster);

inline constexpr std::size_t kMostClosedSets = 200'000;

}  // namespace skua
