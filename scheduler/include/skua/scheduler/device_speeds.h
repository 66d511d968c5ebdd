// Which devices are slower than others of their kind, by what their tasks took in the last steps. A plain value; one
// thread at a time, or several that only read.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "skua/scheduler/cluster.h"

namespace skua {

// A device's tasks of one cost key in one step.
struct KeyRatio {
  double ratio = 1;   // median of measured over expected
  double weight = 0;  // expected seconds of all of them
};

class DeviceSpeeds {
 public:
  // So many times as long as on a healthy device of its kind. Exactly 1 until a device stands out from the others of
  // its kind by 15 % and by two standard errors, in three steps in a row and whichever cost key is left out; from then
  // on the median of its last three steps, until that is near 1. After 32 steps in which it had nothing to compare it
  // is half as far from 1 (in logarithms).
  [[nodiscard]] double factor(const std::string& device) const;

  // Adds a step: by device of the cluster, what it ran. A device is compared with the median of the others of its kind
  // that ran something, so that costs which are wrong for all of them make none look slow. Returns, by device, how many
  // times as long as theirs its tasks took in this step: 1 where it does not stand out.
  std::vector<double> observe(const Cluster& cluster, const std::vector<std::vector<KeyRatio>>& by_device);

 private:
  // Natural logarithms of how much longer it took than the others.
  struct Excess {
    double value = 0;
    double least = 0;  // whichever key is left out
  };
  struct Track {
    std::vector<Excess> latest;  // of the last steps in a row, the newest last
    bool slow = false;
    double log_factor = 0;
    int idle_steps = 0;
  };
  static void add(Track& track, const Excess& excess);
  static void fade(Track& track);

  std::map<std::string, Track> tracks_;  // by device name
};

}  // namespace skua
