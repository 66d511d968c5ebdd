#include "skua/layers/attention.h"

#include <fmt/format.h>

#include <cmath>

namespace skua {
namespace {

using Integers = std::vector<std::int64_t>;

Op scaled(const Shape& shape, double scale) {
  return {"broadcast", {{"axes", Integers{}}, {"shape", shape.extents()}, {"scale", scale}}};
}

Op product(bool transpose_b) {
  return {"matmul", {{"transpose_a", std::int64_t{0}}, {"transpose_b", std::int64_t{transpose_b}}}};
}

}  // namespace

ValueId SelfAttention::apply(LayerBuilder& builder, ValueId input) const {
  builder.expect_rank(input, 3, "(N,T,features)");
  const std::int64_t batch = builder.shape(input)[0];
  const std::int64_t steps = builder.shape(input)[1];
  const std::int64_t width = builder.shape(input)[2];
  if (heads_ < 1 || width % heads_ != 0) {
    builder.fail(fmt::format("expected heads that divide {} features, got {}", width, heads_));
  }
  const std::int64_t size = width / heads_;
  const auto dense = [&](ValueId rows, const std::string& name, const std::string& weight, const std::string& bias,
                         std::int64_t units) {
    return builder.node({"dense", {}},
                        {rows, builder.parameter(weight, {units, width}, initializers::glorot_uniform()),
                         builder.parameter(bias, {units}, initializers::zeros())},
                        name);
  };
  // (N,T,E) to (N·heads,T,E/heads)
  const auto by_head = [&](ValueId rows, const std::string& name) {
    const ValueId split = builder.reshape(rows, {batch, steps, heads_, size}, name + "_heads");
    const ValueId turned =
        builder.node({"transpose", {{"permutation", Integers{0, 2, 1, 3}}}}, {split}, name + "_turned");
    return builder.reshape(turned, {batch * heads_, steps, size}, name);
  };
  const ValueId all = dense(input, "in_proj", "in_proj_weight", "in_proj_bias", 3 * width);
  const std::vector<ValueId> parts = builder.node_outputs(
      {"split", {{"axis", std::int64_t{2}}, {"sizes", Integers{width, width, width}}}}, {all}, "split");
  const ValueId query = by_head(parts[0], "query");
  const ValueId key = by_head(parts[1], "key");
  const ValueId value = by_head(parts[2], "value");
  ValueId scores = builder.node(product(true), {query, key}, "scores");
  scores = builder.node(scaled(builder.shape(scores), 1 / std::sqrt(static_cast<double>(size))), {scores}, "scaled");
  if (options_.causal) scores = builder.node({"causal_mask", {}}, {scores}, "causal");
  const ValueId attended =
      builder.node(product(false), {builder.node({"softmax", {}}, {scores}, "softmax"), value}, "attended");
  const ValueId heads = builder.reshape(attended, {batch, heads_, steps, size}, "attended_heads");
  const ValueId turned =
      builder.node({"transpose", {{"permutation", Integers{0, 2, 1, 3}}}}, {heads}, "attended_turned");
  const ValueId joined = builder.reshape(turned, {batch, steps, width}, "joined");
  return dense(joined, "out_proj", "out_proj.weight", "out_proj.bias", width);
}

ValueId PositionEmbedding::apply(LayerBuilder& builder, ValueId input) const {
  builder.expect_rank(input, 3, "(N,T,features)");
  const Shape shape = builder.shape(input);
  const ValueId weight = builder.parameter("weight", {shape[1], shape[2]}, initializers::uniform(0.05));
  const Op repeat{"broadcast", {{"axes", Integers{0}}, {"shape", shape.extents()}, {"scale", 1.0}}};
  return builder.node({"add", {}}, {input, builder.node(repeat, {weight}, "rows")});
}

}  // namespace skua
