#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iomanip>
#include <sstream>

#include "skua/graph/graph.h"
#include "skua/graph/sha256.h"

namespace skua {

namespace {

std::string quoted(const std::string& text) {
  std::ostringstream out;
  out << std::quoted(text);
  return out.str();
}

std::string list(const std::vector<ValueId>& ids) {
  std::vector<std::int32_t> numbers;
  for (const ValueId id : ids) numbers.push_back(id.value);
  return fmt::format("[{}]", fmt::join(numbers, ","));
}

}  // namespace

std::string fingerprint(const Graph& graph) {
  Sha256 hash;
  for (const Value& value : graph.values()) {
    hash.update(fmt::format("value {} {} {} {} {}\n", quoted(value.name), value.type.to_string(),
                            static_cast<int>(value.kind), value.producer.value, value.mirrors.value));
  }
  for (const Node& node : graph.nodes()) {
    hash.update(fmt::format("node {} {} {} {} {}\n", quoted(node.name), static_cast<int>(node.phase),
                            node.op.to_string(), list(node.inputs), list(node.outputs)));
  }
  hash.update(fmt::format("outputs {}\n", list(graph.outputs())));
  return hash.hex();
}

}  // namespace skua
