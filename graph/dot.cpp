#include <fmt/format.h>

#include "skua/graph/graph.h"

namespace skua {

namespace {

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c == '\n' ? ' ' : c;
  }
  return result;
}

std::string source_of(const Graph& graph, ValueId id) {
  const NodeId producer = graph.value(id).producer;
  return producer.valid() ? fmt::format("node{}", producer.value) : fmt::format("value{}", id.value);
}

std::string cluster(const Graph& graph, Phase phase, const char* name) {
  std::string text = fmt::format("  subgraph cluster_{0} {{\n    label=\"{0}\";\n", name);
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    const Node& node = graph.nodes()[i];
    if (node.phase != phase) continue;
    text += fmt::format("    node{} [shape=box, label=\"{}\\n{}\"];\n", i, escaped(node.name), escaped(node.op.type));
  }
  return text + "  }\n";
}

}  // namespace

std::string to_dot(const Graph& graph) {
  std::string text = "digraph skua {\n";
  text += cluster(graph, Phase::kForward, "forward");
  text += cluster(graph, Phase::kBackward, "backward");
  text += cluster(graph, Phase::kUpdate, "update");
  for (std::size_t i = 0; i < graph.value_count(); ++i) {
    const Value& value = graph.values()[i];
    if (value.kind == ValueKind::kIntermediate) continue;
    text += fmt::format("  value{} [shape=ellipse, label=\"{}\"];\n", i, escaped(value.name));
  }
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    for (const ValueId input : graph.nodes()[i].inputs) {
      text += fmt::format("  {} -> node{} [label=\"{}\"];\n", source_of(graph, input), i,
                          graph.value(input).type.to_string());
    }
  }
  return text + "}\n";
}

}  // namespace skua
