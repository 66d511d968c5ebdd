#include "skua/graph/window.h"

#include <fmt/format.h>

#include <limits>
#include <stdexcept>

#include "ops/check.h"

namespace skua {

namespace {

constexpr const char* kImage = "(N,C,H,W)";
constexpr const char* kWeight = "(O,C/groups,KH,KW)";
constexpr const char* kOutput = "(N,O,OH,OW)";

// The shape named by an attribute of four integers.
Shape shape_attribute(const Op& op, const std::string& name) {
  return Shape(ops::small_integers(op, name, 4, 1));
}

void expect_small(const char* what, const Shape& shape) {
  for (const std::int64_t extent : shape.extents()) {
    if (extent > std::numeric_limits<std::int32_t>::max()) {
      throw std::invalid_argument(fmt::format("expected {} extents < 2^31, got {}", what, shape.to_string()));
    }
  }
}

std::int64_t output_extent(const char* axis, std::int64_t padded, std::int64_t kernel, std::int64_t stride,
                           std::int64_t dilation) {
  const std::int64_t span = dilation * (kernel - 1) + 1;
  if (span > padded) {
    throw std::invalid_argument(
        fmt::format("expected a window that fits into the padded input, got {} {} in {} {}", axis, span, axis, padded));
  }
  return (padded - span) / stride + 1;
}

void read_strides_and_padding(const Op& op, Window2d& window) {
  const auto& strides = ops::small_integers(op, "strides", 2, 1);
  const auto& padding = ops::small_integers(op, "padding", 4, 0);
  window.stride_height = strides[0];
  window.stride_width = strides[1];
  window.pad_top = padding[0];
  window.pad_left = padding[1];
  window.pad_bottom = padding[2];
  window.pad_right = padding[3];
}

// REQUIRES: everything else is set.
void set_output_extents(Window2d& window) {
  window.out_height = output_extent("height", window.height + window.pad_top + window.pad_bottom, window.kernel_height,
                                    window.stride_height, window.dilation_height);
  window.out_width = output_extent("width", window.width + window.pad_left + window.pad_right, window.kernel_width,
                                   window.stride_width, window.dilation_width);
}

void set_image(const Shape& x, Window2d& window) {
  expect_small("input", x);
  window.batch = x[0];
  window.in_channels = x[1];
  window.height = x[2];
  window.width = x[3];
}

Window2d conv2d_window(const Op& op, const Shape& x, const Shape& weight) {
  Window2d window;
  read_strides_and_padding(op, window);
  const auto& dilations = ops::small_integers(op, "dilations", 2, 1);
  window.dilation_height = dilations[0];
  window.dilation_width = dilations[1];
  window.groups = op.attributes.integer("groups");
  set_image(x, window);
  expect_small("weight", weight);
  window.out_channels = weight[0];
  window.kernel_height = weight[2];
  window.kernel_width = weight[3];
  if (window.groups < 1 || window.in_channels % window.groups != 0 || window.out_channels % window.groups != 0) {
    throw std::invalid_argument(
        fmt::format("expected groups >= 1 that divide the {} input and {} output channels, got {}", window.in_channels,
                    window.out_channels, window.groups));
  }
  ops::expect_shape("weight", window.weight_shape(), weight);
  set_output_extents(window);
  return window;
}

// The first window must reach down to row 0 and the last one must start above the last row; those between do as well.
void expect_covering(const char* axis, std::int64_t extent, std::int64_t before, std::int64_t kernel,
                     std::int64_t stride, std::int64_t out) {
  if (kernel <= before || (out - 1) * stride - before >= extent) {
    throw std::invalid_argument(fmt::format(
        "expected every window to cover an element of the input, got one that lies in the padding of the {}", axis));
  }
}

Window2d pool_window(const Op& op, const Shape& x) {
  Window2d window;
  read_strides_and_padding(op, window);
  const auto& kernel = ops::small_integers(op, "window", 2, 1);
  window.kernel_height = kernel[0];
  window.kernel_width = kernel[1];
  set_image(x, window);
  window.out_channels = window.in_channels;
  set_output_extents(window);
  expect_covering("height", window.height, window.pad_top, window.kernel_height, window.stride_height,
                  window.out_height);
  expect_covering("width", window.width, window.pad_left, window.kernel_width, window.stride_width, window.out_width);
  return window;
}

Window2d forward_conv2d_window(const Op& op, TypeSpan inputs) {
  ops::expect_inputs(inputs, 2, 3);
  const Shape& x = ops::float_shape("input", inputs[0], kImage);
  const Window2d window = conv2d_window(op, x, ops::float_shape("weight", inputs[1], kWeight));
  if (inputs.size() == 3) ops::expect_shape("bias", Shape{window.out_channels}, ops::float_shape("bias", inputs[2]));
  return window;
}

Window2d backward_data_window(const Op& op, TypeSpan inputs) {
  ops::expect_inputs(inputs, 2, 2);
  const Shape& dy = ops::float_shape("dy", inputs[0], kOutput);
  const Shape& weight = ops::float_shape("weight", inputs[1], kWeight);
  const Window2d window = conv2d_window(op, shape_attribute(op, "input_shape"), weight);
  ops::expect_shape("dy", window.output_shape(), dy);
  return window;
}

Window2d backward_weight_window(const Op& op, TypeSpan inputs) {
  ops::expect_inputs(inputs, 2, 2);
  const Shape& x = ops::float_shape("input", inputs[0], kImage);
  const Shape& dy = ops::float_shape("dy", inputs[1], kOutput);
  const Window2d window = conv2d_window(op, x, shape_attribute(op, "weight_shape"));
  ops::expect_shape("dy", window.output_shape(), dy);
  return window;
}

Window2d pool_backward_window(const Op& op, TypeSpan inputs, bool indices) {
  const bool result = op.attributes.has("activation");
  const std::size_t count = 1U + (indices ? 1U : 0U) + (result ? 1U : 0U);
  ops::expect_inputs(inputs, count, count);
  const Window2d window = pool_window(op, shape_attribute(op, "input_shape"));
  ops::expect_shape("dy", window.output_shape(), ops::float_shape("dy", inputs[0]));
  if (indices) ops::expect_shape("indices", window.output_shape(), ops::int_shape("indices", inputs[1]));
  if (result) ops::expect_shape("y", window.output_shape(), ops::float_shape("y", inputs[2]));
  return window;
}

}  // namespace

Window2d window_of(const Op& op, std::span<const ValueType> inputs) {
  if (op.type == "conv2d") return forward_conv2d_window(op, inputs);
  if (op.type == "conv2d_backward_data") return backward_data_window(op, inputs);
  if (op.type == "conv2d_backward_weight") return backward_weight_window(op, inputs);
  if (op.type == "max_pool2d_backward") return pool_backward_window(op, inputs, true);
  if (op.type == "average_pool2d_backward") return pool_backward_window(op, inputs, false);
  if (op.type == "max_pool2d" || op.type == "average_pool2d") {
    ops::expect_inputs(inputs, 1, 1);
    return pool_window(op, ops::float_shape("input", inputs[0], kImage));
  }
  throw std::invalid_argument(fmt::format("expected a convolution or pooling, got '{}'", op.type));
}

}  // namespace skua
