// What a user demands of the plan of a training step: where layers run, with what others, by when, and which go first;
// and how much of a device a step may take. Plain values: TaskGraph knows the layers, CostTable the devices.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "skua/scheduler/cluster.h"

namespace skua {

// A layer's name means the node of that name and all nodes whose names begin with it and a dot: forward, backward and
// update. What sums a gradient goes with the node that makes the gradient.
struct Constraints {
  struct Pin {  // runs on one of these devices, also where stealing is on
    std::string layer;
    std::vector<std::string> devices;
  };
  struct Colocation {  // each micro-batch of them runs on one device, and so do their updates; not stolen
    std::vector<std::string> layers;
  };
  struct Priority {  // of a device's ready tasks the highest priority runs first; 0 where none is given
    std::string layer;
    double priority = 0;
  };
  struct Deadline {  // ends so long after the step's start, as simulated
    std::string layer;
    double seconds = 0;
  };
  struct Limit {  // for plans: of the device's memory, and of the time in a step for which it is busy
    std::string device;
    std::optional<double> memory_bytes = std::nullopt;
    std::optional<double> busy_seconds = std::nullopt;
  };
  std::vector<Pin> pins = {};
  std::vector<Colocation> colocations = {};
  std::vector<Priority> priorities = {};
  std::vector<Deadline> deadlines = {};
  std::vector<Limit> limits = {};

  [[nodiscard]] bool on_layers() const {  // any but limits
    return !(pins.empty() && colocations.empty() && priorities.empty() && deadlines.empty());
  }
};

// Protobuf's JSON form. Throws std::invalid_argument naming the file and what is wrong with it.
[[nodiscard]] Constraints load_constraints(const std::string& path);

// The cluster with the limits; devices in one memory share the smallest of theirs. Throws std::invalid_argument where
// the cluster does not have a device, or a limit is not finite and above 0.
[[nodiscard]] Cluster with_limits(const Cluster& cluster, const Constraints& constraints);

}  // namespace skua
