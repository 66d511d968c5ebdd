// All that is made with oneDNN's C++ API (2.x): descriptors, primitives and their execution. Scratchpads are the
// caller's, and algorithms are direct ones, so that results do not change from run to run.
#pragma once

#include <oneapi/dnnl/dnnl.hpp>
#include <span>
#include <vector>

#include "skua/graph/window.h"

namespace skua::cpu {

using MemoryDesc = dnnl::memory::desc;

// A primitive bound to its arguments. run() is for one thread at a time and allocates nothing of ours.
class Execution {
 public:
  // `arguments`: oneDNN's ids of what run() gets, in that order.
  Execution(const dnnl::primitive& primitive, const dnnl::primitive_desc_base& desc, std::span<const int> arguments);

  [[nodiscard]] std::size_t scratch_bytes() const { return scratch_bytes_; }
  [[nodiscard]] std::size_t argument_count() const { return arguments_.size(); }  // with the scratchpad
  // Throws dnnl::error.
  void run(std::span<void* const> data, void* scratch);

 private:
  void bind(std::size_t i, void* data);

  dnnl::primitive primitive_;
  dnnl::stream stream_;
  std::vector<dnnl::memory> memories_;  // of the arguments, then of the scratchpad
  std::vector<dnnl_exec_arg_t> arguments_;
  std::vector<void*> bound_;
  std::size_t scratch_bytes_;
};

// Layouts are left to oneDNN.
[[nodiscard]] dnnl::convolution_forward::primitive_desc convolution(const Window2d& window, bool bias);
[[nodiscard]] dnnl::convolution_backward_data::primitive_desc convolution_backward_data(const Window2d& window);
[[nodiscard]] dnnl::convolution_backward_weights::primitive_desc convolution_backward_weights(const Window2d& window,
                                                                                              bool bias);

// y (batch, out) = x (batch, in) by weight (out, in) transposed, plus bias (out).
struct DenseSize {
  std::int64_t batch = 0;
  std::int64_t in = 0;
  std::int64_t out = 0;
};
[[nodiscard]] dnnl::inner_product_forward::primitive_desc inner_product(const DenseSize& size, bool bias);
[[nodiscard]] dnnl::inner_product_backward_data::primitive_desc inner_product_backward_data(const DenseSize& size);
[[nodiscard]] dnnl::inner_product_backward_weights::primitive_desc inner_product_backward_weights(const DenseSize& size,
                                                                                                  bool bias);

// A row-major matrix of `stride` elements a row, or its transpose.
struct Matrix {
  const float* data;
  bool transposed = false;
  std::int64_t stride = 0;
};
struct ProductSize {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t inner = 0;
};
// y (rows,columns) = a (rows,inner) by b (inner,columns), plus `beta` times y; y is row-major. Throws dnnl::error.
void multiply(const ProductSize& size, const Matrix& a, const Matrix& b, float beta, float* y, std::int64_t y_stride);

// From DNNL_ARG_FROM to DNNL_ARG_TO.
[[nodiscard]] Execution reorder(const MemoryDesc& from, const MemoryDesc& to);

// multiply() for many products by one b, which is packed first: y, whose rows are adjacent, becomes a by b, plus y
// where `adds`. Scratch has scratch_bytes() and keeps the packed b. For one thread at a time; throws dnnl::error.
class PackedProduct {
 public:
  // b is row-major without gaps, or the transpose of such a matrix.
  PackedProduct(const ProductSize& size, std::int64_t a_stride, bool b_transposed, bool adds);
  [[nodiscard]] std::size_t scratch_bytes() const { return packed_bytes_ + rest_bytes_; }
  void pack(const float* b, void* scratch);
  void run(const float* a, float* y, void* scratch);

 private:
  explicit PackedProduct(const dnnl::matmul::primitive_desc& desc, const MemoryDesc& b);

  Execution pack_;
  Execution product_;
  std::size_t packed_bytes_;
  std::size_t rest_bytes_;
};

}  // namespace skua::cpu
