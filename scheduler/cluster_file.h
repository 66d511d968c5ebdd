// Reading a cluster file, for make_cluster.
#pragma once

#include <string>

#include "skua/scheduler/cluster.h"

namespace skua {

namespace proto {
class Cluster;
}

// Throws std::invalid_argument where it describes no valid cluster.
[[nodiscard]] Cluster cluster_from(const proto::Cluster& file);

// Throws std::invalid_argument naming the file where it is damaged or describes no valid cluster.
[[nodiscard]] Cluster load_cluster(const std::string& path);

}  // namespace skua
