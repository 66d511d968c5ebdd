// What no window of a pool or a convolution reaches is not computed: such a value keeps its first rows and columns, and
// so does what it is made from, back to inputs, which are cropped. Gradients of what is left out were zero.
#include <algorithm>
#include <array>

#include "passes/passes.h"
#include "skua/graph/op_registry.h"
#include "skua/graph/window.h"

namespace skua::passes {

namespace {

using Extents = std::array<std::int64_t, 2>;  // rows, columns

// Windows along one axis.
struct Axis {
  std::int64_t extent;  // of the image before
  std::int64_t span;
  std::int64_t stride;
  std::int64_t pad;  // in front

  // What the first `outputs` windows reach.
  [[nodiscard]] std::int64_t read_by(std::int64_t outputs) const {
    return std::clamp<std::int64_t>((outputs - 1) * stride - pad + span, 1, extent);
  }
  // The fewest windows, at least `outputs`, over an image of which `rows` are left.
  [[nodiscard]] std::int64_t made_from(std::int64_t rows, std::int64_t outputs) const {
    return rows + pad < span ? outputs : std::max(outputs, (rows + pad - span) / stride + 1);
  }
  // Behind the image, for so many windows.
  [[nodiscard]] std::int64_t padding_after(std::int64_t rows, std::int64_t outputs) const {
    return std::max<std::int64_t>(0, (outputs - 1) * stride + span - rows - pad);
  }
};

bool has_windows(const Op& op) {
  return op.type == "conv2d" || op.type == "max_pool2d" || op.type == "average_pool2d";
}

std::array<Axis, 2> axes_of(const Graph& graph, const Node& node) {
  const Window2d w = window_of(node.op, graph.input_types(node));
  return {{{w.height, w.dilation_height * (w.kernel_height - 1) + 1, w.stride_height, w.pad_top},
           {w.width, w.dilation_width * (w.kernel_width - 1) + 1, w.stride_width, w.pad_left}}};
}

// How much of each image is needed: the least that satisfies every node.
class Regions {
 public:
  Regions(const Graph& graph, std::span<const ValueId> kept)
      : graph_(graph), uses_(graph, kept), needs_(graph.value_count()) {
    for (std::size_t i = 0; i < graph.value_count(); ++i) {
      const ValueId id(static_cast<std::int64_t>(i));
      const ValueKind kind = graph.value(id).kind;
      const bool shrinks = kind == ValueKind::kIntermediate || kind == ValueKind::kInput;
      if (!shrinks || (kind == ValueKind::kIntermediate && uses_.stays(id))) need_all(id);
    }
    do settle();
    while (leave_idle_crops());
  }

  [[nodiscard]] Extents need(ValueId value) const { return needs_[value.index()]; }
  [[nodiscard]] bool shrinks(ValueId value) const { return is_image(value) && need(value) != all(value); }

 private:
  [[nodiscard]] bool is_image(ValueId value) const { return graph_.value(value).type.shape.rank() == 4; }
  [[nodiscard]] Extents all(ValueId value) const {
    const Shape& shape = graph_.value(value).type.shape;
    return {shape[2], shape[3]};
  }
  void need_all(ValueId value) {
    if (is_image(value)) raise(value, all(value));
  }
  void raise(ValueId value, const Extents& extents) {
    Extents& need = needs_[value.index()];
    for (std::size_t axis = 0; axis < 2; ++axis) {
      if (extents[axis] <= need[axis]) continue;
      need[axis] = extents[axis];
      changed_ = true;
    }
  }

  void settle() {
    do {
      changed_ = false;
      for (std::size_t i = graph_.node_count(); i-- > 0;) satisfy(graph_.nodes()[i]);
      for (const Node& node : graph_.nodes()) satisfy(node);
    } while (changed_);
  }

  void satisfy(const Node& node) {
    const ValueId y = node.outputs[0];
    const bool dead = std::all_of(node.outputs.begin(), node.outputs.end(), [&](ValueId output) {
      return !uses_.stays(output) && uses_.readers(output).empty();
    });
    if (is_image(y) && !dead && has_windows(node.op)) return satisfy_windows(node);
    if (is_image(y) && !dead && op_definition(node.op.type).traits.pointwise) return satisfy_pointwise(node);
    for (const ValueId value : node.inputs) need_all(value);
    for (const ValueId value : node.outputs) need_all(value);
  }

  void satisfy_windows(const Node& node) {
    Extents in = need(node.inputs[0]);
    Extents out{};
    for (const ValueId output : node.outputs) {
      for (std::size_t axis = 0; axis < 2; ++axis) out[axis] = std::max(out[axis], need(output)[axis]);
    }
    const auto axes = axes_of(graph_, node);
    for (std::size_t axis = 0; axis < 2; ++axis) {
      in[axis] = std::max(in[axis], axes[axis].read_by(out[axis]));
      out[axis] = axes[axis].made_from(in[axis], out[axis]);
    }
    raise(node.inputs[0], in);
    for (const ValueId output : node.outputs) raise(output, out);
    for (std::size_t i = 1; i < node.inputs.size(); ++i) need_all(node.inputs[i]);
  }

  void satisfy_pointwise(const Node& node) {
    std::vector<ValueId> images = node.outputs;
    std::copy_if(node.inputs.begin(), node.inputs.end(), std::back_inserter(images),
                 [&](ValueId input) { return is_image(input); });
    for (const ValueId from : images) {
      for (const ValueId to : images) raise(to, need(from));
    }
  }

  // A crop that makes nothing else smaller costs more than it saves. True where there was one.
  bool leave_idle_crops() {
    bool found = false;
    for (const ValueId input : graph_.values_of(ValueKind::kInput)) {
      if (!shrinks(input)) continue;
      const auto& readers = uses_.readers(input);
      const bool saves = std::any_of(readers.begin(), readers.end(),
                                     [&](NodeId reader) { return shrinks(graph_.node(reader).outputs[0]); });
      if (saves) continue;
      need_all(input);
      found = true;
    }
    return found;
  }

  const Graph& graph_;
  Uses uses_;
  std::vector<Extents> needs_;  // by value; of images
  bool changed_ = false;
};

// The node's operator over what is left.
Op shrunk(const Graph& graph, const Node& node, const Regions& regions) {
  Op op = node.op;
  if (!has_windows(op) || (!regions.shrinks(node.inputs[0]) && !regions.shrinks(node.outputs[0]))) return op;
  const auto axes = axes_of(graph, node);
  std::vector<std::int64_t> padding = op.attributes.integers("padding");
  for (std::size_t axis = 0; axis < 2; ++axis) {
    padding[axis + 2] =
        axes[axis].padding_after(regions.need(node.inputs[0])[axis], regions.need(node.outputs[0])[axis]);
  }
  op.attributes.set("padding", std::move(padding));
  return op;
}

}  // namespace

Rewritten dead_regions(const Graph& graph, std::span<const ValueId> kept) {
  const Regions regions(graph, kept);
  Rewriting rewriting(graph);
  std::vector<std::pair<ValueId, ValueId>> inputs;  // cropped ones: the old id, and the new one
  const auto read = [&](ValueId value) {
    if (graph.value(value).kind != ValueKind::kInput || !regions.shrinks(value)) return;
    const ValueId input = rewriting.at(value);
    if (std::any_of(inputs.begin(), inputs.end(), [&](const auto& cropped) { return cropped.first == value; })) return;
    const Extents size = regions.need(value);
    const Op crop{"crop2d", {{"size", std::vector<std::int64_t>{size[0], size[1]}}}};
    const std::string name = graph.value(value).name + ".crop";
    rewriting.place(value, rewriting.graph().add_node(crop, {input}, name).at(0));
    inputs.emplace_back(value, input);
  };
  for (const Node& node : graph.nodes()) {
    rewriting.add_leaves(node.outputs[0].index());
    for (const ValueId input : node.inputs) read(input);
    rewriting.add(node, shrunk(graph, node, regions), node.inputs, node.outputs);
  }
  for (const auto& [old, input] : inputs) rewriting.place(old, input);
  return rewriting.finish();
}

}  // namespace skua::passes
