#include "passes/passes.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <stdexcept>

namespace skua {

namespace passes {

Op carrying(Op op, const Op& activation) {
  for (const auto& [name, value] : activation.attributes.values()) op.attributes.set(name, value);
  op.attributes.set("activation", activation.type);
  return op;
}

Uses::Uses(const Graph& graph, std::span<const ValueId> kept)
    : readers_(graph.value_count()), stays_(graph.value_count()) {
  for (std::size_t i = 0; i < graph.node_count(); ++i) {
    const NodeId id(static_cast<std::int64_t>(i));
    for (const ValueId input : graph.node(id).inputs) readers_[input.index()].push_back(id);
  }
  for (const ValueId output : graph.outputs()) stays_[output.index()] = true;
  for (const ValueId value : kept) stays_[value.index()] = true;
}

NodeId Uses::only_reader(ValueId value) const {
  return stays(value) || readers(value).size() != 1 ? NodeId() : readers(value)[0];
}

void Rewriting::add_leaves(std::size_t end) {
  for (; next_leaf_ < end; ++next_leaf_) {
    const ValueId old(static_cast<std::int64_t>(next_leaf_));
    const Value& value = from_.value(old);
    if (value.kind == ValueKind::kInput) place(old, graph().add_input(value.name, value.type));
    if (value.kind == ValueKind::kParameter) place(old, graph().add_parameter(value.name, value.type.shape));
    if (value.kind == ValueKind::kState) place(old, graph().add_state(value.name, at(value.mirrors)));
  }
}

void Rewriting::add(const Node& old, Op op, const std::vector<ValueId>& inputs, const std::vector<ValueId>& outputs) {
  if (!old.outputs.empty()) add_leaves(old.outputs[0].index());
  std::vector<ValueId> new_inputs;
  for (const ValueId input : inputs) {
    add_leaves(input.index() + 1);
    new_inputs.push_back(at(input));
  }
  std::vector<std::string> names;
  for (const ValueId output : outputs) names.push_back(from_.value(output).name);
  const auto made = graph().add_node(std::move(op), std::move(new_inputs), old.name, old.phase, names);
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    place(outputs[i], made.at(i));
    const ValueId mirrored = from_.value(outputs[i]).mirrors;
    if (!mirrored.valid()) continue;
    add_leaves(mirrored.index() + 1);
    graph().set_mirrors(made.at(i), at(mirrored));
  }
}

Rewritten Rewriting::finish() {
  add_leaves(from_.value_count());
  for (const ValueId output : from_.outputs()) graph().mark_output(at(output));
  return std::move(result_);
}

}  // namespace passes

const std::vector<Pass>& graph_passes() {
  static const std::vector<Pass> list{
      {"embeddings", "a dense layer multiplies only the rows of an embedding that occur, once each",
       passes::fuse_embeddings},
      {"pool_first", "a max-pool comes before the activation, which becomes part of it", passes::pool_first},
      {"activations", "an activation becomes part of the convolution, product or sum of biases before it",
       passes::fuse_activations},
      {"dead_regions", "rows and columns of images that no pool or convolution reaches are not computed",
       passes::dead_regions},
      {"element_wise", "element-wise operators in a row, forward or backward, become one, which keeps what is between",
       passes::fuse_element_wise, Stage::kWhole},
  };
  return list;
}

std::vector<std::string> pass_names() {
  std::vector<std::string> names;
  for (const Pass& pass : graph_passes()) names.push_back(pass.name);
  return names;
}

namespace {

void expect_pass(const std::string& name) {
  const std::vector<std::string> names = pass_names();
  if (std::find(names.begin(), names.end(), name) != names.end()) return;
  throw std::invalid_argument(fmt::format("[passes] expected names of {}, got '{:.80}'", fmt::join(names, ", "), name));
}

}  // namespace

std::vector<std::string> passes_of(const std::string& text) {
  if (text == "all") return pass_names();
  if (text == "none") return {};
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin <= text.size();) {
    const std::size_t end = std::min(text.find(',', begin), text.size());
    names.push_back(text.substr(begin, end - begin));
    expect_pass(names.back());
    begin = end + 1;
  }
  return names;
}

namespace {

Rewritten run_stage(Stage stage, const Graph& graph, std::span<const ValueId> kept,
                    const std::vector<std::string>& names) {
  for (const std::string& name : names) expect_pass(name);
  Rewritten result{graph, {}};
  for (std::size_t i = 0; i < graph.value_count(); ++i) result.values.emplace_back(static_cast<std::int64_t>(i));
  for (const Pass& pass : graph_passes()) {
    if (pass.stage != stage || std::find(names.begin(), names.end(), pass.name) == names.end()) continue;
    std::vector<ValueId> kept_now;
    for (const ValueId value : kept) kept_now.push_back(result.values.at(value.index()));
    Rewritten next = pass.run(result.graph, kept_now);
    for (ValueId& value : result.values) value = value.valid() ? next.values[value.index()] : value;
    result.graph = std::move(next.graph);
  }
  return result;
}

}  // namespace

Rewritten rewrite(const Graph& graph, std::span<const ValueId> kept, const std::vector<std::string>& names) {
  for (const Node& node : graph.nodes()) {
    if (node.phase == Phase::kForward) continue;
    throw std::invalid_argument(fmt::format("[passes] expected forward nodes alone, got {}", node.name));
  }
  return run_stage(Stage::kForward, graph, kept, names);
}

Rewritten rewrite_whole(const Graph& graph, std::span<const ValueId> kept, const std::vector<std::string>& names) {
  return run_stage(Stage::kWhole, graph, kept, names);
}

}  // namespace skua
