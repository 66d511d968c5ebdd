#include "skua/layers/core.h"

#include <fmt/format.h>

#include <algorithm>

namespace skua {
namespace {

using Integers = std::vector<std::int64_t>;

void expect_inputs(const LayerBuilder& builder, std::span<const ValueId> inputs) {
  if (inputs.size() < 2) builder.fail(fmt::format("expected two inputs or more, got {}", inputs.size()));
}

}  // namespace

ValueId Flatten::apply(LayerBuilder& builder, ValueId input) const {
  const Shape& shape = builder.shape(input);
  return builder.reshape(input, {shape[0], shape.elements() / shape[0]}, "");
}

ValueId Reshape::apply(LayerBuilder& builder, ValueId input) const {
  const Shape& from = builder.shape(input);
  if (shape_.elements() != from.elements() / from[0]) {
    builder.fail(fmt::format("expected a shape of {} elements, got {}", from.elements() / from[0], shape_.to_string()));
  }
  Integers extents = shape_.extents();
  extents.insert(extents.begin(), from[0]);
  return builder.reshape(input, Shape(std::move(extents)), "");
}

Dense::Dense(std::int64_t units, Options options)
    : UnaryLayer("Dense", "dense", options.name), units_(units), options_(std::move(options)) {}

ValueId Dense::apply(LayerBuilder& builder, ValueId input) const {
  const Shape shape = builder.shape(input);
  if (shape.rank() != 3) builder.expect_rank(input, 2, "(N,features)");
  builder.expect_float(input);
  if (units_ < 1) builder.fail(fmt::format("expected units of at least 1, got {}", units_));
  std::vector<ValueId> inputs{input, builder.parameter("weight", {units_, shape.last()}, options_.kernel_initializer)};
  if (options_.use_bias) inputs.push_back(builder.parameter("bias", {units_}, options_.bias_initializer));
  return builder.keep_mask(input, builder.activation(options_.activation, builder.node({"dense", {}}, inputs)));
}

ValueId Activation::apply(LayerBuilder& builder, ValueId input) const {
  builder.expect_float(input);
  return builder.keep_mask(input, builder.activation(function_, input));
}

ValueId LeakyReLU::apply(LayerBuilder& builder, ValueId input) const {
  builder.expect_float(input);
  if (!(slope_ >= 0)) builder.fail(fmt::format("expected a slope of at least 0, got {}", slope_));
  return builder.keep_mask(input, builder.node({"leaky_relu", {{"alpha", slope_}}}, {input}));
}

ValueId Dropout::apply(LayerBuilder& builder, ValueId input) const {
  builder.expect_float(input);
  if (!(rate_ >= 0 && rate_ < 1)) builder.fail(fmt::format("expected a rate in [0,1), got {}", rate_));
  const std::int64_t stream = builder.new_stream();
  if (!builder.training() || rate_ == 0) return input;
  return builder.keep_mask(input, builder.node({"dropout", {{"rate", rate_}, {"stream", stream}}}, {input}));
}

ValueId Add::build(LayerBuilder& builder, std::span<const ValueId> inputs) const {
  expect_inputs(builder, inputs);
  ValueId sum = inputs[0];
  for (std::size_t i = 1; i < inputs.size(); ++i) {
    const std::string suffix = i + 1 == inputs.size() ? "" : fmt::format("partial{}", i);
    sum = builder.node({"add", {}}, {sum, inputs[i]}, suffix);
  }
  return builder.keep_mask(inputs[0], sum);
}

ValueId Concatenate::build(LayerBuilder& builder, std::span<const ValueId> inputs) const {
  expect_inputs(builder, inputs);
  if (axis_ < 1) builder.fail(fmt::format("expected an axis of 1 or more, got {}", axis_));
  return builder.node({"concatenate", {{"axis", axis_}}}, {inputs.begin(), inputs.end()});
}

ValueId TimeDistributed::apply(LayerBuilder& builder, ValueId input) const {
  const Shape shape = builder.shape(input);
  if (shape.rank() < 3) builder.fail(fmt::format("expected input (N,T,...), got {}", shape.to_string()));
  Integers merged(shape.extents().begin() + 1, shape.extents().end());
  merged[0] *= shape[0];
  const ValueId y = layer_->apply(builder, builder.reshape(input, Shape(std::move(merged)), "merge_steps"));
  Integers extents = builder.shape(y).extents();
  extents[0] = shape[1];
  extents.insert(extents.begin(), shape[0]);
  return builder.keep_mask(input, builder.reshape(y, Shape(std::move(extents)), "split_steps"));
}

Embedding::Embedding(std::int64_t vocabulary, std::int64_t units, Options options)
    : UnaryLayer("Embedding", "embedding", options.name),
      vocabulary_(vocabulary),
      units_(units),
      options_(std::move(options)) {}

ValueId Embedding::apply(LayerBuilder& builder, ValueId input) const {
  if (builder.type(input).dtype != DType::kInt32) {
    builder.fail(fmt::format("expected int32 input (N,T), got {}", builder.type(input).to_string()));
  }
  if (vocabulary_ < 1 || units_ < 1) {
    builder.fail(fmt::format("expected a vocabulary and units of at least 1, got {} and {}", vocabulary_, units_));
  }
  const ValueId weight = builder.parameter("weight", {vocabulary_, units_}, options_.initializer);
  const ValueId y = builder.node({"embedding", {}}, {weight, input});
  if (options_.mask_zero) {
    builder.set_mask(y, builder.node({"not_equal", {{"value", std::int64_t{0}}}}, {input}, "mask"));
  }
  return y;
}

}  // namespace skua
