#include "skua/scheduler/task_graph.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "skua/graph/op_registry.h"
#include "skua/graph/sha256.h"

namespace skua {

namespace {

bool is_update_in_place(const Node& node) {
  return node.phase == Phase::kUpdate && static_cast<bool>(op_definition(node.op.type).states);
}

std::string suffix(Part part) {
  return part.count > 1 ? fmt::format(" [{}/{}]", part.index + 1, part.count) : "";
}

}  // namespace

struct TaskGraph::Builder {
  TaskGraph& result;
  const Graph& graph = result.graph_;
  const std::size_t micro_batches = static_cast<std::size_t>(result.micro_batches_);
  std::vector<bool> is_output = std::vector<bool>(graph.value_count());
  std::vector<CostKeyId> node_keys = {};
  std::unordered_map<std::string, CostKeyId> known_keys = {};
  std::unordered_map<ValueId, std::vector<DatumId>> summed = {};  // by gradient, by part

  void build() {
    for (ValueId output : graph.outputs()) is_output[output.index()] = true;
    add_node_keys();
    add_bound_data();
    for (int m = 0; m < result.micro_batches_; ++m) add_computes(m);
    for (const Node& node : graph.nodes()) {
      if (node.phase != Phase::kUpdate) continue;
      for (ValueId input : node.inputs) {
        if (is_gradient(input) && summed.count(input) == 0) add_reduces(input);
      }
    }
    add_updates();
    result.consumers_ = inverted<TaskId>(result.inputs_, result.data_.size());
    add_predecessors();
    result.successors_ = inverted<TaskId>(result.predecessors_, result.tasks_.size());
  }

 private:
  // Whether an input of an update-phase node is made by each micro-batch.
  bool is_gradient(ValueId value) const {
    const NodeId producer = graph.value(value).producer;
    return producer.valid() && graph.node(producer).phase != Phase::kUpdate;
  }

  // So many that each takes much longer than its start.
  [[nodiscard]] int parts_of(ValueId value) const {
    constexpr double kLeastBytes = 1 << 18;
    const double most = static_cast<double>(graph.value(value).type.bytes()) / kLeastBytes;
    return std::clamp(static_cast<int>(std::min<double>(most, result.sharers_)), 1, result.sharers_);
  }

  // Of a part of what `whole` says.
  CostKeyId key_of(CostKey whole, int parts) {
    if (parts == 1) return key_of(std::move(whole));
    return key_of({fmt::format("{}/{}", whole.signature, parts), whole.flops / parts, whole.bytes / parts});
  }

  CostKeyId key_of(CostKey key) {
    const CostKeyId next(static_cast<std::int64_t>(result.cost_keys_.size()));
    const auto [known, is_new] = known_keys.emplace(key.signature, next);
    if (is_new) result.cost_keys_.push_back(std::move(key));
    return known->second;
  }

  void add_node_keys() {
    for (const Node& node : graph.nodes()) {
      std::vector<std::string> types;
      for (ValueId input : node.inputs) types.push_back(graph.value(input).type.to_string());
      const OpCost cost = cost_of(graph, node);
      node_keys.push_back(
          key_of({fmt::format("{}({})", node.op.to_string(), fmt::join(types, ",")), cost.flops, cost.bytes}));
    }
  }

  DatumId add_datum(ValueId value, int micro_batch, TaskId producer, DatumId storage, int parts = 1) {
    const DatumId id(static_cast<std::int64_t>(result.data_.size()));
    const double bytes = static_cast<double>(graph.value(value).type.bytes()) / parts;
    result.data_.push_back(
        {value, micro_batch, producer, storage.valid() ? storage : id, bytes, is_output[value.index()]});
    return id;
  }

  DatumId& first_datum(ValueId value, std::size_t micro_batch) {
    return result.first_datum_[value.index() * micro_batches + micro_batch];
  }

  void add_bound_data() {
    result.first_datum_.resize(graph.value_count() * micro_batches);
    for (std::size_t v = 0; v < graph.value_count(); ++v) {
      const ValueId value(static_cast<std::int64_t>(v));
      const ValueKind kind = graph.value(value).kind;
      if (kind == ValueKind::kIntermediate) continue;
      for (std::size_t m = 0; m < micro_batches; ++m) {
        if (kind == ValueKind::kInput) {
          first_datum(value, m) = add_datum(value, static_cast<int>(m), {}, {});
        } else {
          first_datum(value, m) = m == 0 ? add_datum(value, kWholeStep, {}, {}) : first_datum(value, 0);
        }
      }
    }
  }

  TaskId add_task(const Task& task, std::span<const DatumId> inputs) {
    const TaskId id(static_cast<std::int64_t>(result.tasks_.size()));
    result.tasks_.push_back(task);
    result.inputs_.add_row(inputs);
    return id;
  }

  void add_computes(int micro_batch) {
    const auto m = static_cast<std::size_t>(micro_batch);
    std::vector<DatumId> inputs;
    std::vector<DatumId> outputs;
    for (std::size_t n = 0; n < graph.node_count(); ++n) {
      const Node& node = graph.nodes()[n];
      if (node.phase == Phase::kUpdate) continue;
      inputs.clear();
      outputs.clear();
      for (ValueId input : node.inputs) inputs.push_back(first_datum(input, m));
      const NodeId node_id(static_cast<std::int64_t>(n));
      const TaskId id = add_task({TaskKind::kCompute, node_id, {}, micro_batch, -1, node_keys[n], {}}, inputs);
      for (ValueId output : node.outputs) {
        outputs.push_back(add_datum(output, micro_batch, id, {}));
        first_datum(output, m) = outputs.back();
      }
      result.outputs_.add_row(outputs);
    }
  }

  // Sums are made in the place of their left operand, which nothing else may want.
  void check_only_updates_read(ValueId gradient) const {
    const auto reads = [&](const Node& node) {
      return node.phase != Phase::kUpdate &&
             std::find(node.inputs.begin(), node.inputs.end(), gradient) != node.inputs.end();
    };
    if (!is_output[gradient.index()] && std::none_of(graph.nodes().begin(), graph.nodes().end(), reads)) return;
    throw std::invalid_argument(
        fmt::format("[value {}] expected a gradient that is summed over micro-batches to be read by updates alone, got "
                    "another reader or a mark as output",
                    graph.value(gradient).name));
  }

  void add_reduces(ValueId gradient) {
    std::vector<DatumId>& parts = summed[gradient];
    if (micro_batches == 1) return parts.push_back(first_datum(gradient, 0));
    check_only_updates_read(gradient);
    const int count = parts_of(gradient);
    const ValueType& type = graph.value(gradient).type;
    const auto elements = static_cast<double>(type.shape.elements());
    const double bytes = 3 * static_cast<double>(type.bytes());  // two read, one written
    const CostKeyId key = key_of({fmt::format("reduce({})", type.to_string()), elements, bytes}, count);
    for (int part = 0; part < count; ++part) parts.push_back(add_tree(gradient, {part, count}, key));
  }

  // Gives the sum.
  DatumId add_tree(ValueId gradient, Part part, CostKeyId key) {
    std::vector<DatumId> sums;
    for (std::size_t m = 0; m < micro_batches; ++m) sums.push_back(first_datum(gradient, m));
    for (std::size_t distance = 1; distance < micro_batches; distance *= 2) {
      for (std::size_t left = 0; left + distance < micro_batches; left += 2 * distance) {
        const std::size_t right = left + distance;
        const DatumId operands[] = {sums[left], sums[right]};
        const TaskId id = add_task(
            {TaskKind::kReduce, {}, gradient, static_cast<int>(left), static_cast<int>(right), key, part}, operands);
        const DatumId storage = result.data_[sums[left].index()].storage;
        sums[left] = add_datum(gradient, static_cast<int>(left), id, storage, part.count);
        result.outputs_.add_row({&sums[left], 1});
      }
    }
    return sums[0];
  }

  void add_updates() {
    for (std::size_t n = 0; n < graph.node_count(); ++n) {
      const Node& node = graph.nodes()[n];
      if (node.phase != Phase::kUpdate) continue;
      const int parts = is_update_in_place(node) ? parts_of(node.inputs.front()) : 1;
      const CostKeyId key = key_of(result.cost_keys_[node_keys[n].index()], parts);
      for (int part = 0; part < parts; ++part) add_update(NodeId(static_cast<std::int64_t>(n)), {part, parts}, key);
    }
  }

  void add_update(NodeId node_id, Part part, CostKeyId key) {
    const Node& node = graph.node(node_id);
    std::vector<DatumId> inputs;
    for (ValueId input : node.inputs) {
      const auto sum = summed.find(input);
      if (sum == summed.end()) {
        inputs.push_back(first_datum(input, 0));
      } else {
        const std::vector<DatumId>& parts = sum->second;
        inputs.push_back(parts[static_cast<std::size_t>(part.index) % parts.size()]);
      }
    }
    const TaskId id = add_task({TaskKind::kUpdate, node_id, {}, kWholeStep, -1, key, part}, inputs);
    std::vector<DatumId> outputs;
    for (ValueId output : node.outputs) {
      outputs.push_back(add_datum(output, kWholeStep, id, {}));
      for (std::size_t m = 0; m < micro_batches; ++m) first_datum(output, m) = outputs.back();
    }
    result.outputs_.add_row(outputs);
  }

  // The update changes parameters and states in place: after all others that read them, but for its other parts.
  void add_readers_before(TaskId update, DatumId input, std::vector<TaskId>& before) const {
    const Datum& datum = result.datum(input);
    if (datum.micro_batch != kWholeStep || datum.producer.valid()) return;
    for (TaskId reader : result.consumers(input)) {
      const Task& task = result.task(reader);
      const bool is_part = task.kind == TaskKind::kUpdate && task.node == result.task(update).node;
      if (reader < update && !is_part) before.push_back(reader);
    }
  }

  void add_predecessors() {
    std::vector<TaskId> before;
    for (std::size_t t = 0; t < result.tasks_.size(); ++t) {
      const TaskId id(static_cast<std::int64_t>(t));
      const bool is_update = result.tasks_[t].kind == TaskKind::kUpdate;
      before.clear();
      for (DatumId input : result.inputs(id)) {
        const Datum& datum = result.datum(input);
        if (datum.producer.valid()) before.push_back(datum.producer);
        if (!is_update) continue;
        add_readers_before(id, input, before);
        // Parts of sums and of updates need not be those of the same elements.
        const auto sum = summed.find(datum.value);
        if (sum == summed.end()) continue;
        for (DatumId part : sum->second) before.push_back(result.datum(part).producer);
      }
      std::sort(before.begin(), before.end());
      before.erase(std::unique(before.begin(), before.end()), before.end());
      result.predecessors_.add_row(before);
    }
  }

  // For each of `count` items the rows that hold it: ascending, no doubles.
  template <class To, class From>
  static Rows<To> inverted(const Rows<From>& rows, std::size_t count) {
    Rows<To> result;
    std::vector<std::size_t> last(count, rows.begin.size());
    const auto for_each = [&](auto action) {
      std::fill(last.begin(), last.end(), rows.begin.size());
      for (std::size_t i = 0; i + 1 < rows.begin.size(); ++i) {
        for (From item : rows.row(i)) {
          if (std::exchange(last[item.index()], i) != i) action(item.index(), To(static_cast<std::int64_t>(i)));
        }
      }
    };
    std::vector<std::size_t> next(count + 1);
    for_each([&](std::size_t item, To) { ++next[item + 1]; });
    for (std::size_t i = 0; i < count; ++i) next[i + 1] += next[i];
    result.begin = next;
    result.items.resize(next[count]);
    for_each([&](std::size_t item, To row) { result.items[next[item]++] = row; });
    return result;
  }
};

TaskGraph::TaskGraph(const Graph& graph, int micro_batches, Constraints constraints, int sharers)
    : graph_(graph), constraints_(std::move(constraints)), micro_batches_(micro_batches), sharers_(sharers) {
  if (micro_batches < 1) {
    throw std::invalid_argument(fmt::format("[TaskGraph] expected 1 micro-batch or more, got {}", micro_batches));
  }
  if (sharers < 1) throw std::invalid_argument(fmt::format("[TaskGraph] expected 1 sharer or more, got {}", sharers));
  // Reduces are fewer than values: this bounds every id.
  const std::size_t largest = std::numeric_limits<std::int32_t>::max() / 2 / static_cast<std::size_t>(sharers);
  if ((graph.node_count() + graph.value_count()) * static_cast<std::size_t>(micro_batches) > largest) {
    throw std::invalid_argument(
        fmt::format("[TaskGraph] expected fewer micro-batches of {} nodes, got {}", graph.node_count(), micro_batches));
  }
  Builder{*this}.build();
  resolve_demands();
  Sha256 hash;
  const bool in_parts = std::ranges::any_of(tasks_, [](const Task& task) { return task.part.count > 1; });
  hash.update(fmt::format("{} {}{}\n", skua::fingerprint(graph_), micro_batches_,
                          in_parts ? fmt::format(" {}", sharers_) : ""));
  fingerprint_ = hash.hex();
}

bool TaskGraph::is_persistent(DatumId id) const {
  const ValueKind kind = graph_.value(datum(id).value).kind;
  return kind == ValueKind::kParameter || kind == ValueKind::kState || datum(id).output;
}

DatumId TaskGraph::datum_of(ValueId value, int micro_batch) const {
  const auto count = static_cast<std::size_t>(micro_batches_);
  return first_datum_.at(value.index() * count + static_cast<std::size_t>(std::max(micro_batch, 0)));
}

std::string TaskGraph::name(TaskId id) const {
  const Task& task = tasks_[id.index()];
  switch (task.kind) {
    case TaskKind::kCompute:
      if (micro_batches_ == 1) break;
      return fmt::format("{} [mb {}]", graph_.node(task.node).name, task.micro_batch);
    case TaskKind::kReduce:
      return fmt::format("reduce {} [mb {}+{}]{}", graph_.value(task.value).name, task.micro_batch,
                         task.other_micro_batch, suffix(task.part));
    case TaskKind::kUpdate:
      break;
  }
  return graph_.node(task.node).name + suffix(task.part);
}

bool changes_in_place(const TaskGraph& graph, TaskId id) {
  const Task& task = graph.task(id);
  return task.kind == TaskKind::kUpdate && is_update_in_place(graph.graph().node(task.node));
}

}  // namespace skua
