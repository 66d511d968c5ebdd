#include "anchors.h"

#include <algorithm>
#include <map>
#include <stdexcept>
#include <string>

namespace skua {
namespace {

std::size_t by_name(std::string name, const std::map<std::string, std::size_t>& positions) {
  for (std::size_t dot = name.rfind('.'); dot != std::string::npos; dot = name.rfind('.')) {
    name.resize(dot);
    const auto found = positions.find(name);
    if (found != positions.end()) return found->second;
  }
  return Anchors::kNone;
}

}  // namespace

Anchors::Anchors(const Graph& graph)
    : graph_(graph), anchors_(graph.node_count(), kNone), first_reader_(graph.value_count(), kNone) {
  std::map<std::string, std::size_t> positions;
  for (std::size_t n = 0; n < graph.node_count(); ++n) {
    const Node& node = graph.nodes()[n];
    if (node.phase != Phase::kForward) continue;
    anchors_[n] = forward_.size();
    positions.emplace(node.name, forward_.size());
    for (const ValueId input : node.inputs) {
      if (first_reader_[input.index()] == kNone) first_reader_[input.index()] = forward_.size();
    }
    forward_.push_back(n);
  }
  if (forward_.empty()) throw std::invalid_argument("[policy] expected a step with forward nodes, got none");
  for (std::size_t n = 0; n < graph.node_count(); ++n) {
    const Node& node = graph.nodes()[n];
    if (node.phase == Phase::kBackward) anchors_[n] = by_name(node.name, positions);
  }
  for (std::size_t n = graph.node_count(); n-- > 0;) {
    if (graph.nodes()[n].phase == Phase::kBackward && anchors_[n] == kNone) anchors_[n] = by_readers(n);
  }
  for (std::size_t n = 0; n < graph.node_count(); ++n) {
    if (graph.nodes()[n].phase == Phase::kBackward && anchors_[n] == kNone) anchors_[n] = by_inputs(n);
  }
}

std::size_t Anchors::of_update(const TaskGraph& tasks, TaskId update) const {
  for (const DatumId input : tasks.inputs(update)) {
    const Datum& datum = tasks.datum(input);
    if (datum.producer.valid()) continue;
    if (const std::size_t anchor = first_reader_[datum.value.index()]; anchor != kNone) return anchor;
  }
  return kNone;
}

std::size_t Anchors::by_readers(std::size_t n) const {
  for (const ValueId output : graph_.nodes()[n].outputs) {
    for (std::size_t reader = n + 1; reader < anchors_.size(); ++reader) {
      const auto& inputs = graph_.nodes()[reader].inputs;
      if (anchors_[reader] == kNone || std::find(inputs.begin(), inputs.end(), output) == inputs.end()) continue;
      return anchors_[reader];
    }
  }
  return kNone;
}

std::size_t Anchors::by_inputs(std::size_t n) const {
  for (const ValueId input : graph_.nodes()[n].inputs) {
    const NodeId producer = graph_.value(input).producer;
    if (producer.valid() && anchors_[producer.index()] != kNone) return anchors_[producer.index()];
  }
  return count() - 1;
}

DeviceId producer_device(const TaskGraph& tasks, const Plan& plan, TaskId task, DeviceId otherwise) {
  for (const DatumId input : tasks.inputs(task)) {
    const TaskId producer = tasks.datum(input).producer;
    if (producer.valid()) return plan.placements[producer.index()].device;
  }
  return otherwise;
}

}  // namespace skua
