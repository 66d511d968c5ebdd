#include "skua/layers/recurrent.h"

#include <fmt/format.h>

#include <algorithm>

namespace skua {
namespace {

using Integers = std::vector<std::int64_t>;
using Values = std::vector<ValueId>;

// `parts` nearly equal extents.
Integers nearly_equal(std::int64_t extent, std::int64_t parts) {
  Integers sizes;
  for (std::int64_t i = 0; i < parts; ++i) sizes.push_back(extent * (i + 1) / parts - extent * i / parts);
  return sizes;
}

Values split(LayerBuilder& builder, ValueId value, std::int64_t axis, const Integers& sizes,
             const std::string& suffix) {
  if (sizes.size() == 1) return {value};
  return builder.node_outputs({"split", {{"axis", axis}, {"sizes", sizes}}}, {value}, suffix);
}

ValueId concatenate(LayerBuilder& builder, const Values& parts, std::int64_t axis, const std::string& suffix) {
  if (parts.size() == 1) return parts[0];
  return builder.node({"concatenate", {{"axis", axis}}}, parts, suffix);
}

// Ones for the rows of one gate.
Initializer with_unit_gate(Initializer initializer, std::int64_t gate, std::int64_t units) {
  return [=](const Shape& shape, Random& random) {
    Tensor tensor = initializer(shape, random);
    const std::span<float> values = tensor.floats();
    std::fill_n(values.begin() + gate * units, units, 1.0F);
    return tensor;
  };
}

}  // namespace

// A sequence cut along time, and what a layer leaves behind.
struct Recurrent::Sequence {
  Values chunks;  // (N,Tc,features), in order of time
  ValueId last;   // (N,features): the state after the last step run
};

class Recurrent::Building {
 public:
  Building(const Recurrent& layer, LayerBuilder& builder, std::span<const ValueId> inputs)
      : layer_(layer), options_(layer.options_), builder_(builder), batch_(builder.shape(inputs[0])[0]) {
    const Integers sizes = nearly_equal(builder.shape(inputs[0])[1], options_.time_chunks);
    input_.chunks = split(builder, inputs[0], 1, sizes, "chunks");
    const ValueId mask = builder.mask(inputs[0]);
    if (mask.valid()) masks_ = split(builder, mask, 1, sizes, "mask_chunks");
    const Integers state_sizes(static_cast<std::size_t>(options_.layers * directions()), layer.units_);
    for (std::size_t s = 0; s < layer.cell_.states; ++s) {
      if (inputs.size() > 1) {
        states_.push_back(split(builder, inputs[s + 1], 1, state_sizes, fmt::format("initial_state{}", s)));
      } else if (!zeros_.valid()) {
        zeros_ = builder.zeros({batch_, layer.units_}, "zeros");
      }
    }
  }

  Sequence run() {
    Sequence sequence = input_;
    for (int l = 0; l < options_.layers; ++l) {
      if (l > 0) drop(sequence, l);
      Sequence output = run_direction(sequence, l, false);
      if (options_.bidirectional) merge(output, run_direction(sequence, l, true), l);
      sequence = std::move(output);
    }
    return sequence;
  }

 private:
  [[nodiscard]] int directions() const { return options_.bidirectional ? 2 : 1; }

  void drop(Sequence& sequence, int l) {
    if (options_.dropout == 0) return;
    for (std::size_t t = 0; t < sequence.chunks.size(); ++t) {
      const std::int64_t stream = builder_.new_stream();
      if (!builder_.training()) continue;
      sequence.chunks[t] = builder_.node({"dropout", {{"rate", options_.dropout}, {"stream", stream}}},
                                         {sequence.chunks[t]}, fmt::format("dropout_l{}.chunk{}", l - 1, t));
    }
  }

  void merge(Sequence& forward, const Sequence& backward, int l) {
    const bool is_last = l + 1 == options_.layers;
    if (!is_last || options_.return_sequences) {
      for (std::size_t t = 0; t < forward.chunks.size(); ++t) {
        forward.chunks[t] =
            concatenate(builder_, {forward.chunks[t], backward.chunks[t]}, 2, fmt::format("both_l{}.chunk{}", l, t));
      }
    }
    if (is_last && !options_.return_sequences) {
      forward.last = concatenate(builder_, {forward.last, backward.last}, 1, "last");
    }
  }

  ValueId parameter(const std::string& name, const std::string& place, const Shape& shape, Initializer initializer) {
    return builder_.parameter(name + place, shape, std::move(initializer));
  }

  Sequence run_direction(const Sequence& input, int l, bool reverse) {
    const std::int64_t units = layer_.units_;
    const std::int64_t wide = layer_.cell_.gates * units;
    const std::int64_t features = builder_.shape(input.chunks[0])[2];
    const std::string place = fmt::format("_l{}{}", l, reverse ? "_reverse" : "");
    const bool forget = layer_.cell_.forget_gate >= 0 && options_.unit_forget_bias;
    const ValueId weight_ih = parameter("weight_ih", place, {wide, features}, options_.kernel_initializer);
    const ValueId weight_hh = parameter("weight_hh", place, {wide, units}, options_.recurrent_initializer);
    const ValueId bias_ih =
        parameter("bias_ih", place, {wide},
                  forget ? with_unit_gate(options_.bias_initializer, layer_.cell_.forget_gate, units)
                         : options_.bias_initializer);
    const ValueId bias_hh = parameter("bias_hh", place, {wide}, options_.bias_initializer);

    Values state;
    for (std::size_t s = 0; s < layer_.cell_.states; ++s) {
      state.push_back(states_.empty() ? zeros_ : states_[s][static_cast<std::size_t>(l * directions() + reverse)]);
    }
    Sequence output{Values(input.chunks.size()), {}};
    for (std::size_t i = 0; i < input.chunks.size(); ++i) {
      const std::size_t t = reverse ? input.chunks.size() - 1 - i : i;
      const std::string chunk = input.chunks.size() > 1 ? fmt::format(".chunk{}", t) : "";
      const std::string name = place.substr(1) + chunk;
      Values inputs{gates(input.chunks[t], weight_ih, bias_ih, name), weight_hh, bias_hh};
      inputs.insert(inputs.end(), state.begin(), state.end());
      if (!masks_.empty()) inputs.push_back(masks_[t]);
      Op op{layer_.cell_.op, {{"reverse", std::int64_t{reverse}}}};
      if (layer_.cell_.has_activation) op.attributes.set("activation", options_.activation);
      const Values outputs = builder_.node_outputs(std::move(op), inputs, name);
      output.chunks[t] = outputs[0];
      state.assign(outputs.begin() + 1, outputs.begin() + 1 + static_cast<std::ptrdiff_t>(layer_.cell_.states));
    }
    output.last = state[0];
    return output;
  }

  // What a chunk of input adds to the gates.
  ValueId gates(ValueId chunk, ValueId weight, ValueId bias, const std::string& name) {
    return builder_.node({"dense", {}}, {chunk, weight, bias}, name + ".project");
  }

  const Recurrent& layer_;
  const RecurrentOptions& options_;
  LayerBuilder& builder_;
  std::int64_t batch_;
  Sequence input_;
  Values masks_;                // by chunk; empty: none
  std::vector<Values> states_;  // by kind of state: by layer and direction; empty: zeros
  ValueId zeros_;
};

Recurrent::Recurrent(std::string type_name, std::string prefix, std::int64_t units, Cell cell, RecurrentOptions options)
    : Layer(std::move(type_name), std::move(prefix), options.name),
      units_(units),
      cell_(std::move(cell)),
      options_(std::move(options)) {}

ValueId Recurrent::build(LayerBuilder& builder, std::span<const ValueId> inputs) const {
  if (inputs.size() != 1 && inputs.size() != 1 + cell_.states) {
    builder.fail(fmt::format("expected 1 or {} inputs, got {}", 1 + cell_.states, inputs.size()));
  }
  builder.expect_rank(inputs[0], 3, "(N,T,features)");
  const Shape& shape = builder.shape(inputs[0]);
  if (units_ < 1 || options_.layers < 1 || options_.time_chunks < 1 || options_.time_chunks > shape[1]) {
    builder.fail(fmt::format("expected units and layers of at least 1 and 1 to {} time chunks, got {}, {} and {}",
                             shape[1], units_, options_.layers, options_.time_chunks));
  }
  if (cell_.has_activation && options_.activation != "tanh" && options_.activation != "relu") {
    builder.fail(fmt::format("expected an activation of tanh or relu, got '{}'", options_.activation));
  }
  if (!(options_.dropout >= 0 && options_.dropout < 1)) {
    builder.fail(fmt::format("expected a dropout in [0,1), got {}", options_.dropout));
  }
  const Shape state{shape[0], units_ * options_.layers * (options_.bidirectional ? 2 : 1)};
  for (const ValueId given : inputs.subspan(1)) {
    if (builder.shape(given) != state) {
      builder.fail(
          fmt::format("expected an initial state {}, got {}", state.to_string(), builder.shape(given).to_string()));
    }
  }
  const Sequence output = Building(*this, builder, inputs).run();
  if (!options_.return_sequences) return output.last;
  return builder.keep_mask(inputs[0], concatenate(builder, output.chunks, 1, "sequence"));
}

}  // namespace skua
