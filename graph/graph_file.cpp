#include "skua/graph/graph_file.h"

#include <fmt/format.h>

#include <stdexcept>

#include "graph.pb.h"
#include "message_file.h"

namespace skua {

namespace {

constexpr int kVersion = 1;

// Enumerators of the file are those of graph.h plus one, so that a missing field is no value.
template <class Saved, class Enum>
Saved saved(Enum value) {
  return static_cast<Saved>(static_cast<int>(value) + 1);
}

template <class Enum>
Enum loaded(int saved_value, int count, const char* what) {
  if (saved_value < 1 || saved_value > count) {
    throw std::invalid_argument(fmt::format("expected a {}, got {}", what, saved_value));
  }
  return static_cast<Enum>(saved_value - 1);
}

void write_attribute(const Attribute& attribute, proto::Attribute& out) {
  struct Writer {
    proto::Attribute& out;
    void operator()(std::int64_t value) const { out.set_integer(value); }
    void operator()(double value) const { out.set_real(value); }
    void operator()(const std::string& value) const { out.set_text(value); }
    void operator()(const std::vector<std::int64_t>& values) const {
      out.mutable_integers()->mutable_values()->Assign(values.begin(), values.end());
    }
  };
  std::visit(Writer{out}, attribute);
}

Attribute read_attribute(const proto::Attribute& attribute) {
  switch (attribute.value_case()) {
    case proto::Attribute::kInteger:
      return attribute.integer();
    case proto::Attribute::kReal:
      return attribute.real();
    case proto::Attribute::kText:
      return attribute.text();
    case proto::Attribute::kIntegers:
      return std::vector<std::int64_t>(attribute.integers().values().begin(), attribute.integers().values().end());
    case proto::Attribute::VALUE_NOT_SET:
      break;
  }
  throw std::invalid_argument(fmt::format("expected attribute '{}' to have a value, got none", attribute.name()));
}

proto::Graph to_proto(const Graph& graph) {
  proto::Graph out;
  out.set_version(kVersion);
  for (const Value& value : graph.values()) {
    proto::Value& to = *out.add_values();
    to.set_name(value.name);
    to.set_kind(saved<proto::ValueKind>(value.kind));
    to.set_dtype(to_string(value.type.dtype));
    const auto& extents = value.type.shape.extents();
    to.mutable_extents()->Assign(extents.begin(), extents.end());
    if (value.mirrors.valid()) to.set_mirrors(value.mirrors.value);
  }
  for (const Node& node : graph.nodes()) {
    proto::Node& to = *out.add_nodes();
    to.set_name(node.name);
    to.set_phase(saved<proto::Phase>(node.phase));
    to.set_type(node.op.type);
    for (const auto& [name, attribute] : node.op.attributes.values()) {
      proto::Attribute& to_attribute = *to.add_attributes();
      to_attribute.set_name(name);
      write_attribute(attribute, to_attribute);
    }
    for (const ValueId input : node.inputs) to.add_inputs(input.value);
    for (const ValueId output : node.outputs) to.add_outputs(output.value);
  }
  for (const ValueId output : graph.outputs()) out.add_outputs(output.value);
  return out;
}

// Rebuilds a graph through its own checks: nothing in the file is trusted.
class Loader {
 public:
  explicit Loader(const proto::Graph& file) : file_(file) {}

  Graph load() {
    if (file_.version() != kVersion) {
      throw std::invalid_argument(fmt::format("expected format version {}, got {}", kVersion, file_.version()));
    }
    while (graph_.value_count() < static_cast<std::size_t>(file_.values_size())) {
      const proto::Value& value = file_.values(static_cast<int>(graph_.value_count()));
      if (loaded<ValueKind>(value.kind(), 4, "kind of value") == ValueKind::kIntermediate) {
        add_nodes_up_to_one_with_outputs();
      } else {
        add_bound_value(value);
      }
    }
    while (next_node_ < file_.nodes_size()) add_node(file_.nodes(next_node_++));
    check_values();
    for (const std::int32_t output : file_.outputs()) graph_.mark_output(ValueId(output));
    return std::move(graph_);
  }

 private:
  static ValueType type_of(const proto::Value& value) {
    return {Shape(std::vector<std::int64_t>(value.extents().begin(), value.extents().end())),
            dtype_from_string(value.dtype())};
  }

  void add_bound_value(const proto::Value& value) {
    switch (loaded<ValueKind>(value.kind(), 4, "kind of value")) {
      case ValueKind::kInput:
        graph_.add_input(value.name(), type_of(value));
        break;
      case ValueKind::kParameter:
        graph_.add_parameter(value.name(), type_of(value).shape);
        break;
      case ValueKind::kState:
        graph_.add_state(value.name(), ValueId(value.has_mirrors() ? value.mirrors() : -1));
        break;
      case ValueKind::kIntermediate:
        break;
    }
  }

  void add_nodes_up_to_one_with_outputs() {
    while (next_node_ < file_.nodes_size()) {
      const proto::Node& node = file_.nodes(next_node_++);
      add_node(node);
      if (node.outputs_size() > 0) return;
    }
    throw std::invalid_argument(fmt::format("expected a node that makes value '{}', got none",
                                            file_.values(static_cast<int>(graph_.value_count())).name()));
  }

  void add_node(const proto::Node& node) {
    Op op{node.type(), {}};
    for (const proto::Attribute& attribute : node.attributes()) {
      if (op.attributes.has(attribute.name())) {
        throw std::invalid_argument(fmt::format("expected one attribute '{}', got two", attribute.name()));
      }
      op.attributes.set(attribute.name(), read_attribute(attribute));
    }
    std::vector<ValueId> inputs;
    for (const std::int32_t input : node.inputs()) inputs.emplace_back(input);
    std::vector<ValueId> outputs;
    std::vector<std::string> names;
    for (const std::int32_t output : node.outputs()) {
      if (output < 0 || output >= file_.values_size()) {
        throw std::invalid_argument(
            fmt::format("[{} {}] expected an output id of a value, got {}", node.type(), node.name(), output));
      }
      outputs.emplace_back(output);
      names.push_back(file_.values(output).name());
    }
    const auto phase = loaded<Phase>(node.phase(), 3, "phase");
    if (graph_.add_node(std::move(op), std::move(inputs), node.name(), phase, names) != outputs) {
      throw std::invalid_argument(
          fmt::format("[{} {}] expected the ids of its outputs, got others", node.type(), node.name()));
    }
  }

  // What the file says of each value must be what the shape rules have made of it.
  void check_values() {
    for (std::size_t i = 0; i < graph_.value_count(); ++i) {
      const ValueId id(static_cast<std::int64_t>(i));
      const Value& value = graph_.value(id);
      if (i >= static_cast<std::size_t>(file_.values_size())) {
        throw std::invalid_argument(fmt::format("expected {} values, got more", file_.values_size()));
      }
      const proto::Value& saved_value = file_.values(static_cast<int>(i));
      if (type_of(saved_value) != value.type || saved_value.name() != value.name ||
          loaded<ValueKind>(saved_value.kind(), 4, "kind of value") != value.kind) {
        throw std::invalid_argument(fmt::format("[value {}] expected {}, got {} of {}", value.name,
                                                value.type.to_string(), saved_value.name(),
                                                type_of(saved_value).to_string()));
      }
      if (!saved_value.has_mirrors()) continue;
      if (value.kind == ValueKind::kIntermediate) {
        graph_.set_mirrors(id, ValueId(saved_value.mirrors()));
      } else if (value.kind != ValueKind::kState) {
        throw std::invalid_argument(fmt::format("[value {}] expected no mirrored parameter, got one", value.name));
      }
    }
  }

  const proto::Graph& file_;
  Graph graph_;
  int next_node_ = 0;
};

}  // namespace

void save_graph(const Graph& graph, const std::string& path) {
  write_message(to_proto(graph), path, form_of(path), "save_graph");
}

Graph load_graph(const std::string& path) {
  return load_message<proto::Graph>(path, form_of(path), "load_graph", "a saved graph",
                                    [](const proto::Graph& file) { return Loader(file).load(); });
}

}  // namespace skua
