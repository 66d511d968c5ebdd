#include "skua/layers/normalization.h"

#include <fmt/format.h>

namespace skua {

ValueId BatchNorm::apply(LayerBuilder& builder, ValueId input) const {
  const Shape& shape = builder.shape(input);
  if (shape.rank() != 4) builder.expect_rank(input, 2, "(N,C)");
  if (!(options_.epsilon > 0) || !(options_.momentum >= 0 && options_.momentum <= 1)) {
    builder.fail(fmt::format("expected epsilon above 0 and momentum in [0,1], got {} and {}", options_.epsilon,
                             options_.momentum));
  }
  const Shape channels{shape[1]};
  const ValueId weight = builder.parameter("weight", channels, initializers::ones());
  const ValueId bias = builder.parameter("bias", channels, initializers::zeros());
  const ValueId mean = builder.parameter("running_mean", channels, initializers::zeros());
  const ValueId variance = builder.parameter("running_var", channels, initializers::ones());
  const Attributes attributes{{"epsilon", options_.epsilon}};
  if (!builder.training())
    return builder.node({"batch_norm_inference", attributes}, {input, weight, bias, mean, variance});
  const std::vector<ValueId> outputs = builder.node_outputs({"batch_norm", attributes}, {input, weight, bias});
  builder.follow(mean, outputs.at(3), options_.momentum);
  builder.follow(variance, outputs.at(4), options_.momentum);
  return outputs[0];
}

ValueId LayerNorm::apply(LayerBuilder& builder, ValueId input) const {
  const Shape& shape = builder.shape(input);
  if (shape.rank() < 2) builder.fail(fmt::format("expected input (N,...,features), got {}", shape.to_string()));
  if (!(options_.epsilon > 0)) builder.fail(fmt::format("expected epsilon above 0, got {}", options_.epsilon));
  const Shape features{shape[shape.rank() - 1]};
  const ValueId weight = builder.parameter("weight", features, initializers::ones());
  const ValueId bias = builder.parameter("bias", features, initializers::zeros());
  return builder.keep_mask(input, builder.node({"layer_norm", {{"epsilon", options_.epsilon}}}, {input, weight, bias}));
}

}  // namespace skua
