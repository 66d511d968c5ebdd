#include "skua/graph/graph.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>
#include <unordered_set>

#include "skua/graph/op_registry.h"

namespace skua {

namespace {

template <class... Args>
[[noreturn]] void fail(fmt::format_string<Args...> text, Args&&... args) {
  throw std::invalid_argument(fmt::format(text, std::forward<Args>(args)...));
}

const char* to_string(ValueKind kind) {
  constexpr const char* kNames[] = {"an input", "a parameter", "a state", "an intermediate"};
  return kNames[static_cast<std::size_t>(kind)];
}

// "[value grad(w)] " before what is wrong with it.
void expect_kind(const Value& value, ValueKind kind, const char* what) {
  if (value.kind != kind) {
    fail("[value {}] expected {} to be {}, got {}", value.name, what, to_string(kind), to_string(value.kind));
  }
}

template <class Items, class IdType>
void expect_id(const Items& items, IdType id, const std::string& owner) {
  if (!id.valid() || id.index() >= items.size()) {
    fail("[{}] expected a value id in [0,{}), got {}", owner, items.size(), id.value);
  }
}

}  // namespace

void Graph::check_value_name(const std::string& name) const {
  if (name.empty()) fail("[value] expected a name, got an empty one");
  if (value_names_.count(name) != 0) fail("[value {}] expected a new name, got that of another value", name);
}

ValueId Graph::add_value(Value value) {
  check_value_name(value.name);
  const ValueId id(static_cast<std::int64_t>(values_.size()));
  value_names_.emplace(value.name, id);
  values_.push_back(std::move(value));
  return id;
}

ValueId Graph::add_input(const std::string& name, ValueType type) {
  return add_value({name, std::move(type), ValueKind::kInput, {}, {}});
}

ValueId Graph::add_parameter(const std::string& name, Shape shape) {
  return add_value({name, {std::move(shape), DType::kFloat32}, ValueKind::kParameter, {}, {}});
}

ValueId Graph::add_state(const std::string& name, ValueId parameter) {
  expect_id(values_, parameter, "state " + name);
  expect_kind(value(parameter), ValueKind::kParameter, "what a state belongs to");
  return add_value({name, value(parameter).type, ValueKind::kState, {}, parameter});
}

void Graph::check_kinds(const Node& node) const {
  const bool is_update = static_cast<bool>(op_definition(node.op.type).states);
  if (is_update && node.phase != Phase::kUpdate) fail("expected phase kUpdate, got another phase");
  for (const ValueId input : node.inputs) {
    const NodeId producer = value(input).producer;
    const bool updating = producer.valid() && this->node(producer).phase == Phase::kUpdate;
    if (updating && node.phase != Phase::kUpdate)
      fail("expected phase kUpdate to read {}, got another phase", value(input).name);
    if (node.phase == Phase::kUpdate && !is_update) {
      expect_kind(value(input), ValueKind::kIntermediate, "what is read in phase kUpdate before updates");
    }
  }
  if (!is_update) return;
  const auto expect_input = [&](std::size_t i, ValueKind kind, const char* what) {
    if (i < node.inputs.size()) expect_kind(value(node.inputs[i]), kind, what);
  };
  expect_input(0, ValueKind::kParameter, "an update's first input");
  expect_input(1, ValueKind::kIntermediate, "an update's gradient");
  for (std::size_t i = 2; i < node.inputs.size(); ++i) {
    expect_input(i, ValueKind::kState, "an update's state");
    if (value(node.inputs[i]).mirrors != node.inputs[0]) {
      fail("expected a state of {}, got {}", value(node.inputs[0]).name, value(node.inputs[i]).name);
    }
  }
}

std::vector<ValueId> Graph::add_node(Op op, std::vector<ValueId> inputs, const std::string& name, Phase phase,
                                     const std::vector<std::string>& output_names) {
  const std::string label = op.type + " " + name;
  if (name.empty()) fail("[{}] expected a name, got an empty one", label);
  if (find_node(name).valid()) fail("[{}] expected a new name, got that of another node", label);
  for (const ValueId input : inputs) expect_id(values_, input, label);

  Node node{std::move(op), std::move(inputs), {}, name, phase};
  std::vector<Value> outputs;
  std::unordered_set<std::string> names;
  const NodeId id(static_cast<std::int64_t>(nodes_.size()));
  try {
    check_kinds(node);
    for (ValueType& type : op_definition(node.op.type).infer(node.op, input_types(node))) {
      const std::size_t i = outputs.size();
      const std::string output_name = i < output_names.size() ? output_names[i]
                                      : i == 0                ? name
                                                              : fmt::format("{}:{}", name, i);
      check_value_name(output_name);
      if (!names.insert(output_name).second) fail("expected different names of the outputs");
      outputs.push_back({output_name, std::move(type), ValueKind::kIntermediate, id, {}});
    }
  } catch (const std::invalid_argument& error) {
    fail("[{}] {}", label, error.what());
  }
  for (Value& output : outputs) node.outputs.push_back(add_value(std::move(output)));
  node_names_.emplace(name, id);
  nodes_.push_back(std::move(node));
  return nodes_.back().outputs;
}

void Graph::rename_value(ValueId value, const std::string& name) {
  expect_id(values_, value, "rename to " + name);
  std::string& current = values_[value.index()].name;
  if (current == name) return;
  check_value_name(name);
  value_names_.erase(current);
  value_names_.emplace(name, value);
  current = name;
}

void Graph::set_mirrors(ValueId value, ValueId parameter) {
  expect_id(values_, value, "mirror");
  expect_id(values_, parameter, "mirror");
  Value& mirror = values_[value.index()];
  const Value& original = values_[parameter.index()];
  expect_kind(mirror, ValueKind::kIntermediate, "what mirrors a parameter");
  expect_kind(original, ValueKind::kParameter, "what is mirrored");
  if (mirror.type != original.type) {
    fail("[value {}] expected the type of {}, {}, got {}", mirror.name, original.name, original.type.to_string(),
         mirror.type.to_string());
  }
  if (mirror.mirrors.valid() && mirror.mirrors != parameter) {
    fail("[value {}] expected it to mirror one parameter, got {} and {}", mirror.name,
         values_[mirror.mirrors.index()].name, original.name);
  }
  mirror.mirrors = parameter;
}

void Graph::mark_output(ValueId value) {
  expect_id(values_, value, "output");
  expect_kind(values_[value.index()], ValueKind::kIntermediate, "an output");
  if (std::find(outputs_.begin(), outputs_.end(), value) == outputs_.end()) outputs_.push_back(value);
}

std::vector<ValueId> Graph::values_of(ValueKind kind) const {
  std::vector<ValueId> found;
  for (std::size_t i = 0; i < values_.size(); ++i) {
    if (values_[i].kind == kind) found.emplace_back(static_cast<std::int64_t>(i));
  }
  return found;
}

namespace {

std::vector<ValueType> types_of(const Graph& graph, const std::vector<ValueId>& values) {
  std::vector<ValueType> types;
  for (const ValueId value : values) types.push_back(graph.value(value).type);
  return types;
}

}  // namespace

std::vector<ValueType> Graph::input_types(const Node& node) const {
  return types_of(*this, node.inputs);
}
std::vector<ValueType> Graph::output_types(const Node& node) const {
  return types_of(*this, node.outputs);
}

ValueId Graph::find_value(const std::string& name) const {
  const auto found = value_names_.find(name);
  return found == value_names_.end() ? ValueId() : found->second;
}

NodeId Graph::find_node(const std::string& name) const {
  const auto found = node_names_.find(name);
  return found == node_names_.end() ? NodeId() : found->second;
}

}  // namespace skua
