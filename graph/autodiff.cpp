#include "skua/graph/autodiff.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "skua/graph/op_registry.h"

namespace skua {

namespace {

using Marks = std::vector<bool>;

// Values that one of the parameters leads to through float32 values.
Marks depends_on(const Graph& graph, const std::vector<ValueId>& parameters) {
  Marks marks(graph.value_count());
  for (const ValueId parameter : parameters) marks[parameter.index()] = true;
  for (const Node& node : graph.nodes()) {
    const bool marked =
        std::any_of(node.inputs.begin(), node.inputs.end(), [&](ValueId v) { return marks[v.index()]; });
    for (const ValueId output : node.outputs) {
      marks[output.index()] = marked && graph.value(output).type.dtype == DType::kFloat32;
    }
  }
  return marks;
}

class Reverse {
 public:
  Reverse(Graph graph, std::vector<ValueId> parameters)
      : graph_(std::move(graph)), parameters_(std::move(parameters)), wanted_(depends_on(graph_, parameters_)) {
    contributions_.resize(graph_.value_count());
  }

  std::map<ValueId, ValueId> run(ValueId loss) {
    if (!wanted_[loss.index()]) return {};
    const std::string seed = new_name("grad(" + graph_.value(loss).name + ")");
    const Op one{"fill", {{"shape", std::vector<std::int64_t>{}}, {"value", 1.0}}};
    contributions_[loss.index()] = graph_.add_node(one, {}, seed, Phase::kBackward);
    const std::int64_t last = graph_.value(loss).producer.valid() ? graph_.value(loss).producer.value : -1;
    for (std::int64_t i = last; i >= 0; --i) visit(NodeId(i));

    std::map<ValueId, ValueId> gradients;
    for (const ValueId parameter : parameters_) {
      if (!contributions_[parameter.index()].empty()) gradients[parameter] = finish(parameter);
    }
    return gradients;
  }

  Graph take() { return std::move(graph_); }

 private:
  void visit(NodeId id) {
    const Node node = graph_.node(id);  // a copy: appending nodes moves the original
    Marks wanted;
    for (const ValueId input : node.inputs) wanted.push_back(wanted_[input.index()]);
    if (std::find(wanted.begin(), wanted.end(), true) == wanted.end()) return;
    std::vector<ValueId> output_gradients;
    for (const ValueId output : node.outputs) output_gradients.push_back(sum(output));
    if (std::none_of(output_gradients.begin(), output_gradients.end(), [](ValueId v) { return v.valid(); })) return;

    const std::vector<ValueId> gradients = input_gradients(node, id, std::move(output_gradients), wanted);
    for (std::size_t i = node.inputs.size(); i-- > 0;) {
      if (wanted[i] && gradients[i].valid()) contributions_[node.inputs[i].index()].push_back(gradients[i]);
    }
  }

  std::vector<ValueId> input_gradients(const Node& node, NodeId id, std::vector<ValueId> output_gradients,
                                       const Marks& wanted) {
    try {
      const auto& rule = op_definition(node.op.type).gradient;
      if (!rule) throw std::invalid_argument("expected an operator with a gradient rule, got one without");
      GradientContext context(graph_, id, std::move(output_gradients));
      context.set_wanted(wanted);
      std::vector<ValueId> gradients = rule(context);
      gradients.resize(node.inputs.size());
      return gradients;
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument(fmt::format("[{} {}] {}", node.op.type, node.name, error.what()));
    }
  }

  // The sum of a value's contributions in their order; invalid where there are none.
  ValueId sum(ValueId value) {
    auto& parts = contributions_[value.index()];
    if (parts.empty()) return {};
    ValueId total = parts[0];
    for (std::size_t i = 1; i < parts.size(); ++i) {
      const std::string name = new_name(fmt::format("grad({}){}", graph_.value(value).name,
                                                    i + 1 < parts.size() ? fmt::format(".partial{}", i) : ""));
      total = graph_.add_node({"add", {}}, {total, parts[i]}, name, Phase::kBackward).at(0);
    }
    return total;
  }

  // The parameter's gradient, in a value that nothing else reads or names: the sum over micro-batches is made in its
  // place. All parts of it that serve nothing else share the parameter's layout.
  ValueId finish(ValueId parameter) {
    const std::string name = "grad(" + graph_.value(parameter).name + ")";
    for (const ValueId part : contributions_[parameter.index()]) {
      if (!shared(part)) graph_.set_mirrors(part, parameter);
    }
    const auto first_sum = graph_.value_count();
    ValueId gradient = sum(parameter);
    for (std::size_t i = first_sum; i < graph_.value_count(); ++i) {
      graph_.set_mirrors(ValueId(static_cast<std::int64_t>(i)), parameter);
    }
    if (shared(gradient)) {
      const Op copy{"reshape", {{"shape", graph_.value(parameter).type.shape.extents()}}};
      gradient = graph_.add_node(copy, {gradient}, new_name(name), Phase::kBackward).at(0);
      graph_.set_mirrors(gradient, parameter);
    } else if (contributions_[parameter.index()].size() == 1 && graph_.value(gradient).name != name) {
      graph_.rename_value(gradient, new_name(name));
    }
    return gradient;
  }

  // Whether a contribution to a parameter's gradient is also a forward value, another contribution or read by a node.
  [[nodiscard]] bool shared(ValueId contribution) const {
    const NodeId producer = graph_.value(contribution).producer;
    if (!producer.valid() || graph_.node(producer).phase != Phase::kBackward) return true;
    std::ptrdiff_t uses = 0;
    for (const ValueId parameter : parameters_) {
      const auto& parts = contributions_[parameter.index()];
      uses += std::count(parts.begin(), parts.end(), contribution);
    }
    for (const Node& node : graph_.nodes()) uses += std::count(node.inputs.begin(), node.inputs.end(), contribution);
    return uses > 1;
  }

  // `base`, or with "#2", "#3", ... where an earlier loss has taken it.
  [[nodiscard]] std::string new_name(const std::string& base) const {
    std::string name = base;
    for (int i = 2; graph_.find_node(name).valid() || graph_.find_value(name).valid(); ++i) {
      name = fmt::format("{}#{}", base, i);
    }
    return name;
  }

  Graph graph_;
  std::vector<ValueId> parameters_;
  Marks wanted_;
  std::vector<std::vector<ValueId>> contributions_;  // by value: gradients of the loss through each use, last use first
};

}  // namespace

std::map<ValueId, ValueId> append_gradients(Graph& graph, ValueId loss) {
  return append_gradients(graph, loss, graph.values_of(ValueKind::kParameter));
}

std::map<ValueId, ValueId> append_gradients(Graph& graph, ValueId loss, const std::vector<ValueId>& parameters) {
  if (!loss.valid() || loss.index() >= graph.value_count()) {
    throw std::invalid_argument(fmt::format("[append_gradients] expected a value of the graph, got id {}", loss.value));
  }
  const Value& value = graph.value(loss);
  if (value.type != ValueType{}) {
    throw std::invalid_argument(fmt::format("[append_gradients {}] expected a float32 scalar loss, got {}", value.name,
                                            value.type.to_string()));
  }
  Reverse reverse(graph, parameters);
  auto gradients = reverse.run(loss);
  graph = reverse.take();
  return gradients;
}

void append_updates(Graph& graph, const std::map<ValueId, ValueId>& gradients, const Op& optimizer) {
  const OpDefinition& definition = op_definition(optimizer.type);
  if (!definition.states) {
    throw std::invalid_argument(fmt::format("[append_updates] expected an update operator, got '{}'", optimizer.type));
  }
  Graph result = graph;
  for (const auto& [parameter, gradient] : gradients) {
    result.set_mirrors(gradient, parameter);
    const std::string name = result.value(parameter).name;
    std::vector<ValueId> inputs{parameter, gradient};
    for (const std::string& state : definition.states(optimizer)) {
      inputs.push_back(result.add_state(name + "." + state, parameter));
    }
    result.add_node(optimizer, inputs, name + ".update", Phase::kUpdate);
  }
  graph = std::move(result);
}

}  // namespace skua
