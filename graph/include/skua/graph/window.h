// Geometry of convolution and pooling, read from an operator and its input types and checked: what the shape rules and
// the devices' kernels share. Plain values; safe from any thread.
#pragma once

#include <cstdint>
#include <span>

#include "skua/graph/op.h"
#include "skua/graph/shape.h"

namespace skua {

// Sliding windows over an image. Output row r, kernel row k read input row r * stride_height - pad_top +
// k * dilation_height, which lies in the padding where it is outside [0, height); columns likewise.
// Every extent, stride, dilation and group count is >= 1, every padding >= 0, and each is below 2^31.
struct Window2d {
  std::int64_t batch = 0;
  std::int64_t in_channels = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;
  std::int64_t out_channels = 0;  // pooling: in_channels
  std::int64_t out_height = 0;
  std::int64_t out_width = 0;
  std::int64_t kernel_height = 0;
  std::int64_t kernel_width = 0;
  std::int64_t stride_height = 1;
  std::int64_t stride_width = 1;
  std::int64_t pad_top = 0;
  std::int64_t pad_left = 0;
  std::int64_t pad_bottom = 0;
  std::int64_t pad_right = 0;
  std::int64_t dilation_height = 1;  // pooling: 1
  std::int64_t dilation_width = 1;
  std::int64_t groups = 1;  // pooling: 1

  [[nodiscard]] Shape input_shape() const { return {batch, in_channels, height, width}; }
  [[nodiscard]] Shape output_shape() const { return {batch, out_channels, out_height, out_width}; }
  [[nodiscard]] Shape weight_shape() const { return {out_channels, in_channels / groups, kernel_height, kernel_width}; }

  friend bool operator==(const Window2d&, const Window2d&) = default;
};

// Of conv2d, conv2d_backward_data, conv2d_backward_weight, a pooling or its backward with these inputs; forward
// and backward nodes of one layer have equal windows. Throws std::invalid_argument unless all shapes and attributes
// agree, the window fits into the padded image, groups divide the channels, and every pooling window covers an element.
[[nodiscard]] Window2d window_of(const Op& op, std::span<const ValueType> inputs);

}  // namespace skua
