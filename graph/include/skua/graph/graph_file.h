// Saved graphs: protobuf (schema graph.proto), binary in *.skua files and JSON in *.json files.
#pragma once

#include <string>

#include "skua/graph/graph.h"

namespace skua {

// The format follows the name's ending: ".json" is protobuf's JSON form, anything else binary.
// save throws std::runtime_error where the file cannot be written. load throws std::invalid_argument, naming the file,
// where it is missing, damaged, or describes a graph that breaks a shape rule.
void save_graph(const Graph& graph, const std::string& path);
[[nodiscard]] Graph load_graph(const std::string& path);

}  // namespace skua
