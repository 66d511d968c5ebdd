#include "skua/layers/convolution.h"

#include <fmt/format.h>

#include <algorithm>

namespace skua {
namespace {

using Integers = std::vector<std::int64_t>;
using Pads = std::array<std::int64_t, 4>;

bool positive(const Size2& size) {
  return size[0] >= 1 && size[1] >= 1;
}

Integers list(const auto& values) {
  return Integers(values.begin(), values.end());
}

void check_padding(const LayerBuilder& builder, const std::string& name, const std::optional<Pads>& pads) {
  if (name != "valid" && name != "same") {
    builder.fail(fmt::format("expected padding valid or same, got '{}'", name));
  }
  if (pads && *std::min_element(pads->begin(), pads->end()) < 0) {
    builder.fail(fmt::format("expected pads of at least 0, got {}", fmt::join(*pads, ",")));
  }
}

// What keeps ceil(extent / stride) windows; the odd pixel is at the bottom right.
Pads same_pads(const Size2& extents, const Size2& window, const Size2& strides) {
  Pads pads{};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t outputs = (extents[axis] + strides[axis] - 1) / strides[axis];
    const std::int64_t total = std::max<std::int64_t>((outputs - 1) * strides[axis] + window[axis] - extents[axis], 0);
    pads[axis] = total / 2;
    pads[axis + 2] = total - total / 2;
  }
  return pads;
}

// Of an image that windows slide over; they must fit.
Pads pads_of(const LayerBuilder& builder, const std::string& name, const std::optional<Pads>& explicit_pads,
             ValueId input, const Size2& window, const Size2& strides) {
  check_padding(builder, name, explicit_pads);
  const Shape& shape = builder.shape(input);
  if (!explicit_pads && name == "same") return same_pads({shape[2], shape[3]}, window, strides);
  const Pads pads = explicit_pads.value_or(Pads{});
  if (window[0] > shape[2] + pads[0] + pads[2] || window[1] > shape[3] + pads[1] + pads[3]) {
    builder.fail(fmt::format("expected images of at least {}x{}, got {}x{}", window[0], window[1], shape[2], shape[3]));
  }
  return pads;
}

Size2 span_of(const Size2& kernel, const Size2& dilation) {
  return {dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1};
}

void check_sizes(const LayerBuilder& builder, ValueId input, std::int64_t filters, const Size2& kernel,
                 const Conv2DOptions& options) {
  builder.expect_rank(input, 4, "(N,C,H,W)");
  if (filters < 1 || !positive(kernel) || !positive(options.strides) || !positive(options.dilation)) {
    builder.fail(fmt::format(
        "expected filters, kernel, strides and dilation of at least 1, got {}, {}x{}, {}x{} and {}x{}", filters,
        kernel[0], kernel[1], options.strides[0], options.strides[1], options.dilation[0], options.dilation[1]));
  }
  const std::int64_t channels = builder.shape(input)[1];
  if (options.groups < 1 || channels % options.groups != 0 || filters % options.groups != 0) {
    builder.fail(fmt::format("expected groups that divide {} channels and {} filters, got {}", channels, filters,
                             options.groups));
  }
}

Attributes attributes_of(const Conv2DOptions& options, const Pads& pads) {
  return {{"strides", list(options.strides)},
          {"padding", list(pads)},
          {"dilations", list(options.dilation)},
          {"groups", options.groups}};
}

ValueId pool(LayerBuilder& builder, const char* type, ValueId input, const Size2& window,
             const Pool2DOptions& options) {
  builder.expect_rank(input, 4, "(N,C,H,W)");
  const Size2 strides = options.strides.value_or(window);
  if (!positive(window) || !positive(strides)) {
    builder.fail(fmt::format("expected a window and strides of at least 1, got {}x{} and {}x{}", window[0], window[1],
                             strides[0], strides[1]));
  }
  const Pads pads = pads_of(builder, options.padding, options.pads, input, window, strides);
  return builder.node({type, {{"window", list(window)}, {"strides", list(strides)}, {"padding", list(pads)}}}, {input});
}

}  // namespace

Conv2D::Conv2D(std::int64_t filters, Size2 kernel, Options options)
    : UnaryLayer("Conv2D", "conv", options.name), filters_(filters), kernel_(kernel), options_(std::move(options)) {}

ValueId Conv2D::apply(LayerBuilder& builder, ValueId input) const {
  check_sizes(builder, input, filters_, kernel_, options_);
  const Pads pads =
      pads_of(builder, options_.padding, options_.pads, input, span_of(kernel_, options_.dilation), options_.strides);
  const std::int64_t channels = builder.shape(input)[1] / options_.groups;
  std::vector<ValueId> inputs{
      input, builder.parameter("weight", {filters_, channels, kernel_[0], kernel_[1]}, options_.kernel_initializer)};
  if (options_.use_bias) inputs.push_back(builder.parameter("bias", {filters_}, options_.bias_initializer));
  return builder.activation(options_.activation, builder.node({"conv2d", attributes_of(options_, pads)}, inputs));
}

Conv2DTranspose::Conv2DTranspose(std::int64_t filters, Size2 kernel, Options options)
    : UnaryLayer("Conv2DTranspose", "conv_transpose", options.name),
      filters_(filters),
      kernel_(kernel),
      options_(std::move(options)) {}

ValueId Conv2DTranspose::apply(LayerBuilder& builder, ValueId input) const {
  check_sizes(builder, input, filters_, kernel_, options_);
  check_padding(builder, options_.padding, options_.pads);
  const Shape& x = builder.shape(input);
  const Size2 span = span_of(kernel_, options_.dilation);
  const bool same = !options_.pads && options_.padding == "same";
  Pads pads = options_.pads.value_or(Pads{});
  if (same) pads = same_pads({x[2] * options_.strides[0], x[3] * options_.strides[1]}, span, options_.strides);
  Integers output{x[0], filters_};
  for (std::size_t axis = 0; axis < 2; ++axis) {
    const std::int64_t stride = options_.strides[axis];
    const std::int64_t whole = (x[axis + 2] - 1) * stride + span[axis] - pads[axis] - pads[axis + 2];
    output.push_back(same ? x[axis + 2] * stride : whole);
    if (output.back() < 1) builder.fail(fmt::format("expected less padding, got an output extent of {}", whole));
  }
  const ValueId weight = builder.parameter("weight", {x[1], filters_ / options_.groups, kernel_[0], kernel_[1]},
                                           options_.kernel_initializer);
  Op op{"conv2d_backward_data", attributes_of(options_, pads)};
  op.attributes.set("input_shape", output);
  ValueId y = builder.node(std::move(op), {input, weight});
  if (options_.use_bias) {
    y = builder.node({"bias_add", {}}, {y, builder.parameter("bias", {filters_}, options_.bias_initializer)},
                     "bias_add");
  }
  return builder.activation(options_.activation, y);
}

ValueId MaxPool2D::apply(LayerBuilder& builder, ValueId input) const {
  return pool(builder, "max_pool2d", input, window_, options_);
}

ValueId AveragePool2D::apply(LayerBuilder& builder, ValueId input) const {
  return pool(builder, "average_pool2d", input, window_, options_);
}

ValueId GlobalAveragePool2D::apply(LayerBuilder& builder, ValueId input) const {
  builder.expect_rank(input, 4, "(N,C,H,W)");
  return builder.node({"reduce_mean", {{"axes", Integers{2, 3}}}}, {input});
}

}  // namespace skua
