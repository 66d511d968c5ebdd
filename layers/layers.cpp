#include "skua/layers/layers.h"

#include <fmt/format.h>

#include <algorithm>

namespace skua {
namespace {

using Integers = std::vector<std::int64_t>;

bool positive(const Size2& size) {
  return size[0] >= 1 && size[1] >= 1;
}

// [top, left, bottom, right]; for "same" the odd pixel is at the bottom right.
Integers padding_of(const std::string& name, const Shape& input, const Size2& kernel, const Size2& strides) {
  Integers padding(4, 0);
  if (name == "valid") return padding;
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t extent = input[axis + 2];
    const std::int64_t outputs = (extent + strides[axis] - 1) / strides[axis];
    const std::int64_t total = std::max<std::int64_t>((outputs - 1) * strides[axis] + kernel[axis] - extent, 0);
    padding[axis] = total / 2;
    padding[axis + 2] = total - total / 2;
  }
  return padding;
}

void expect_window_inside(const LayerBuilder& builder, ValueId input, const Size2& window) {
  const Shape& shape = builder.shape(input);
  if (window[0] <= shape[2] && window[1] <= shape[3]) return;
  builder.fail(fmt::format("expected images of at least {}x{}, got {}x{}", window[0], window[1], shape[2], shape[3]));
}

}  // namespace

Conv2D::Conv2D(std::int64_t filters, Size2 kernel, Options options)
    : Layer(options.name), filters_(filters), kernel_(kernel), options_(std::move(options)) {}

ValueId Conv2D::build(LayerBuilder& builder, ValueId input) const {
  builder.expect_rank(input, 4, "(N,C,H,W)");
  if (filters_ < 1 || !positive(kernel_) || !positive(options_.strides)) {
    builder.fail(fmt::format("expected filters, kernel and strides of at least 1, got {}, {}x{} and {}x{}", filters_,
                             kernel_[0], kernel_[1], options_.strides[0], options_.strides[1]));
  }
  if (options_.padding != "valid" && options_.padding != "same") {
    builder.fail(fmt::format("expected padding valid or same, got '{}'", options_.padding));
  }
  if (options_.padding == "valid") expect_window_inside(builder, input, kernel_);
  const std::int64_t channels = builder.shape(input)[1];
  const Integers padding = padding_of(options_.padding, builder.shape(input), kernel_, options_.strides);
  const ValueId weight =
      builder.parameter("weight", {filters_, channels, kernel_[0], kernel_[1]}, options_.kernel_initializer);
  const ValueId bias = builder.parameter("bias", {filters_}, initializers::zeros());
  const Op op{"conv2d",
              {{"strides", Integers(options_.strides.begin(), options_.strides.end())},
               {"padding", padding},
               {"dilations", Integers{1, 1}},
               {"groups", std::int64_t{1}}}};
  return builder.activation(options_.activation, builder.node(op, {input, weight, bias}));
}

MaxPool2D::MaxPool2D(Size2 window, Size2 strides, std::string name)
    : Layer(std::move(name)), window_(window), strides_(strides) {}

ValueId MaxPool2D::build(LayerBuilder& builder, ValueId input) const {
  builder.expect_rank(input, 4, "(N,C,H,W)");
  if (!positive(window_) || !positive(strides_)) {
    builder.fail(fmt::format("expected a window and strides of at least 1, got {}x{} and {}x{}", window_[0], window_[1],
                             strides_[0], strides_[1]));
  }
  expect_window_inside(builder, input, window_);
  const Op op{"max_pool2d",
              {{"window", Integers(window_.begin(), window_.end())},
               {"strides", Integers(strides_.begin(), strides_.end())},
               {"padding", Integers{0, 0, 0, 0}}}};
  return builder.node(op, {input});
}

ValueId Flatten::build(LayerBuilder& builder, ValueId input) const {
  const Shape& shape = builder.shape(input);
  if (shape.rank() < 1) builder.fail("expected input (N,...), got a scalar");
  return builder.node({"reshape", {{"shape", Integers{shape[0], shape.elements() / shape[0]}}}}, {input});
}

Dense::Dense(std::int64_t units, Options options) : Layer(options.name), units_(units), options_(std::move(options)) {}

ValueId Dense::build(LayerBuilder& builder, ValueId input) const {
  builder.expect_rank(input, 2, "(N,features)");
  if (units_ < 1) builder.fail(fmt::format("expected units of at least 1, got {}", units_));
  const ValueId weight = builder.parameter("weight", {units_, builder.shape(input)[1]}, options_.kernel_initializer);
  const ValueId bias = builder.parameter("bias", {units_}, initializers::zeros());
  return builder.activation(options_.activation, builder.node({"dense", {}}, {input, weight, bias}));
}

ValueId Activation::build(LayerBuilder& builder, ValueId input) const {
  return builder.activation(function_, input);
}

}  // namespace skua
