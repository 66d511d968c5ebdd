// The operators of reference.h, one function per type.
#pragma once

#include "reference/reference.h"

namespace skua::reference {

// One run of one node: arrays and types in the node's order. Outputs have their size and hold zeros.
struct Call {
  const Op& op;
  const Step& step;
  std::span<Array* const> inputs;
  std::span<Array* const> outputs;
  std::vector<ValueType> input_types;
  std::vector<ValueType> output_types;

  [[nodiscard]] Array& in(std::size_t i) const { return *inputs[i]; }
  [[nodiscard]] Array& out(std::size_t i) const { return *outputs[i]; }
  [[nodiscard]] const Shape& in_shape(std::size_t i) const { return input_types[i].shape; }
  [[nodiscard]] const Shape& out_shape(std::size_t i) const { return output_types[i].shape; }
};

using Kernel = void (*)(const Call&);

// By operator type.
const std::map<std::string, Kernel>& image_kernels();        // convolution, pooling
const std::map<std::string, Kernel>& matrix_kernels();       // dense, softmax cross-entropy, count_correct
const std::map<std::string, Kernel>& elementwise_kernels();  // activations, reshape, add, fill, reductions, broadcast
const std::map<std::string, Kernel>& update_kernels();       // and clipping
const std::map<std::string, Kernel>& loss_kernels();         // and binary_counts, count_top_k
const std::map<std::string, Kernel>& array_kernels();        // moving elements, matmul, random numbers
const std::map<std::string, Kernel>& normalization_kernels();
const std::map<std::string, Kernel>& recurrent_kernels();

}  // namespace skua::reference
