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
  double pipeline_bound = 0;      // no pipeline has a smaller max load; where it is max_load, that is proved best
  double bound = 0;               // no split at all has: work over all devices, and the largest group
};

// The best split that is a pipeline: parts in a row, each of which reads only from those before it (forward tasks
// count; backward tasks and groups follow). A search over parts from closed sets of tasks to larger ones, as in section
// 4 of the paper, asks whether any pipeline stays below a load, for one load after another. Where it gives up on some,
// pipeline_bound is the largest load that it ruled out. The work is limited in steps, not by a clock.
// Throws std::invalid_argument: what TimedProblem refuses, a backward task in no group with a forward one, groups that
// wait for each other, no split found that fits into the memories.
[[nodiscard]] LoadSplit minimize_max_load(const TimedGraph& graph, const Cluster& cluster);

}  // namespace skua
