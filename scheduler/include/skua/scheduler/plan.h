// A plan: for each task of a step a device and a priority. What policies make, the simulator predicts and the executor
// follows. A plain value.
#pragma once

#include <string>
#include <vector>

#include "skua/scheduler/cluster.h"
#include "skua/scheduler/cost_model.h"
#include "skua/scheduler/task_graph.h"

namespace skua {

struct Placement {
  DeviceId device;
  double priority = 0;  // of the ready tasks of a device the largest runs first, the smallest task id among equals

  friend bool operator==(const Placement&, const Placement&) = default;
};

struct Plan {
  std::string policy;
  std::vector<Placement> placements;  // by task id
  int micro_batches = 1;
  // Every device runs its tasks in the order of their priorities, and waits for one that is not ready; else it runs
  // what is ready.
  bool strict_order = false;
  double predicted_seconds = 0;    // simulated makespan
  double lower_bound_seconds = 0;  // no plan can be faster, as the policy has proved; 0 where it proves nothing
  std::string graph_fingerprint;
  std::vector<std::string> device_names;  // by device id

  friend bool operator==(const Plan&, const Plan&) = default;
};

// Throws std::invalid_argument saying what is wrong: another graph's plan, a task without a place, a device that the
// cluster does not have, a priority that is not finite, a bound that is negative or not finite, a strict order in which
// tasks wait for each other, a sum (kReduce) outside the memory of its left operand, which
// is that of the device on which the producer of its storage's first datum is planned, parts of an update in several
// memories.
void validate(const Plan& plan, const TaskGraph& graph, const Cluster& cluster);

// Plan files: protobuf, JSON where the name ends in ".json", else binary. load throws std::invalid_argument.
void save_plan(const Plan& plan, const std::string& path);
[[nodiscard]] Plan load_plan(const std::string& path);

// No schedule of these tasks on these devices can be shorter. The larger of the critical path, with the copies that
// every choice of memories along it needs, and of the load, shared by all devices: for devices of different speed least
// T such that they can do all the work in T, by linear programming. A load that cannot start before some time, or is
// followed by more, counts with that time (Carlier, Pinson, "A practical use of Jackson's preemptive schedule for
// solving the job shop problem", Annals of Operations Research 26, 1990).
[[nodiscard]] double lower_bound_seconds(const CostTable& costs);

}  // namespace skua
