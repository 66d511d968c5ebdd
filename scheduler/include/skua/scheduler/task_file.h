// Task graphs that are only names, times and sizes, as scheduling research and other tools write them: plain values,
// the files that hold them, and the graph that policies plan.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "skua/scheduler/constraints.h"
#include "skua/scheduler/cost_model.h"

namespace skua {

inline constexpr const char* kAnyDevice = "device";

struct TimedTask {
  std::string name;                       // unique
  std::map<std::string, double> seconds;  // by device kind; kAnyDevice: on all kinds that have no time of their own
  double resident_bytes = 0;              // weights: in its device's memory throughout
  int group = -1;                         // tasks of one group (0 or more) run on one device
  bool backward = false;                  // of a training step; goes where the forward task of its group goes

  [[nodiscard]] double seconds_on(const std::string& device_kind) const;  // infinity where they cannot run it
};

// What one task makes and others read. At least 4 bytes; more are rounded up to a multiple of 4.
struct TimedEdge {
  std::size_t from = 0;         // position in the list of tasks
  std::vector<std::size_t> to;  // likewise
  double bytes = 0;
};

struct TimedGraph {
  std::vector<TimedTask> tasks;
  std::vector<TimedEdge> edges;
  std::optional<Cluster> cluster = std::nullopt;  // where the file names one
  Constraints constraints = {};                   // on tasks, by name; max-load knows none of them
};

// By file name: ".stg" (standard task graph set: number, time, predecessors), ".dot" or ".gv" (`weight` of a node in
// seconds, of an edge in seconds of a copy), else JSON: the project's own (docs/task-graphs.md) or, where it has
// "maxFPGAs", a workload of Tarnawski et al., "Efficient algorithms for device placement of DNN graph operators",
// NeurIPS 2020. Times without a unit are seconds, and tasks without a kind run on any device. Throws
// std::invalid_argument naming the file and what is wrong with it.
[[nodiscard]] TimedGraph load_timed_graph(const std::string& path);

// What load_timed_graph reads, from text: `form` is "stg", "dot" or "json".
[[nodiscard]] TimedGraph parse_timed_graph(const std::string& text, const std::string& form);

inline constexpr double kTimedBytesPerSecond = 1e9;  // a second of copying is so many bytes, where a file has seconds

// `devices` devices of kind "device", each with a memory of its own, any two of them linked at kTimedBytesPerSecond,
// without latency or contention, as scheduling theory has it. Throws std::invalid_argument unless 1 to 1024.
[[nodiscard]] Cluster timed_cluster(int devices);

// For policies: a node "task" each (smallest position first where the order is free), one value per edge, resident
// bytes as parameters. Throws std::invalid_argument naming the task: no tasks, a doubled name, a time or size that is
// negative or not finite, no time, an edge to a task that is not there, a cycle.
struct TimedProblem {
  // Times on the devices of the cluster.
  TimedProblem(const TimedGraph& timed, const Cluster& cluster);
  Graph graph;
  CostModel costs;
  Constraints constraints;             // the graph's own, and a colocation for each group
  std::vector<std::size_t> positions;  // in the list of tasks, by task id
};

}  // namespace skua
