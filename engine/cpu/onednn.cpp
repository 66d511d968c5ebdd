#include "onednn.h"

#include <algorithm>
#include <array>

namespace skua::cpu {

namespace {

using dnnl::algorithm;
using dnnl::memory;
using dnnl::prop_kind;

const dnnl::engine& engine() {
  static const dnnl::engine instance(dnnl::engine::kind::cpu, 0);
  return instance;
}

dnnl::primitive_attr user_scratchpad() {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attributes;
}

MemoryDesc any(const memory::dims& dims) {
  return {dims, memory::data_type::f32, memory::format_tag::any};
}

MemoryDesc vector(bool present, std::int64_t elements) {
  return present ? MemoryDesc({elements}, memory::data_type::f32, memory::format_tag::a) : MemoryDesc();
}

// What the three convolution primitives are made from.
struct ConvolutionShape {
  MemoryDesc x;
  MemoryDesc weight;  // with a dimension of its own for groups
  MemoryDesc y;
  memory::dims strides;
  memory::dims dilations;  // oneDNN counts the gaps
  memory::dims pad_begin;
  memory::dims pad_end;

  explicit ConvolutionShape(const Window2d& w)
      : x(any(w.input_shape().extents())),
        weight(any(w.groups == 1 ? w.weight_shape().extents()
                                 : memory::dims{w.groups, w.out_channels / w.groups, w.in_channels / w.groups,
                                                w.kernel_height, w.kernel_width})),
        y(any(w.output_shape().extents())),
        strides{w.stride_height, w.stride_width},
        dilations{w.dilation_height - 1, w.dilation_width - 1},
        pad_begin{w.pad_top, w.pad_left},
        pad_end{w.pad_bottom, w.pad_right} {}
};

}  // namespace

Execution::Execution(const dnnl::primitive& primitive, const dnnl::primitive_desc_base& desc,
                     std::span<const int> arguments)
    : primitive_(primitive), stream_(engine()), scratch_bytes_(desc.scratchpad_desc().get_size()) {
  const auto add = [&](int id, const MemoryDesc& memory_desc) {
    memories_.emplace_back(memory_desc, engine(), nullptr);
    arguments_.push_back({id, memories_.back().get()});
  };
  for (const int id : arguments) add(id, desc.query_md(dnnl::query::exec_arg_md, id));
  if (scratch_bytes_ != 0) add(DNNL_ARG_SCRATCHPAD, desc.scratchpad_desc());
  bound_.resize(memories_.size());
}

// Setting a handle writes zeros into the padding, so it is left alone where it is right already.
void Execution::bind(std::size_t i, void* data) {
  if (bound_[i] == data) return;
  dnnl::error::wrap_c_api(dnnl_memory_set_data_handle(arguments_[i].memory, data), "could not set a data handle");
  bound_[i] = data;
}

void Execution::run(std::span<void* const> data, void* scratch) {
  for (std::size_t i = 0; i < data.size(); ++i) bind(i, data[i]);
  if (scratch_bytes_ != 0) bind(data.size(), scratch);
  dnnl::error::wrap_c_api(
      dnnl_primitive_execute(primitive_.get(), stream_.get(), static_cast<int>(arguments_.size()), arguments_.data()),
      "could not execute a primitive");
}

dnnl::convolution_forward::primitive_desc convolution(const Window2d& window, bool bias) {
  const ConvolutionShape s(window);
  const MemoryDesc bias_desc = vector(bias, window.out_channels);
  return {{prop_kind::forward_training, algorithm::convolution_direct, s.x, s.weight, bias_desc, s.y, s.strides,
           s.dilations, s.pad_begin, s.pad_end},
          user_scratchpad(),
          engine()};
}

dnnl::convolution_backward_data::primitive_desc convolution_backward_data(const Window2d& window) {
  const ConvolutionShape s(window);
  return {{algorithm::convolution_direct, s.x, s.weight, s.y, s.strides, s.dilations, s.pad_begin, s.pad_end},
          user_scratchpad(),
          engine(),
          convolution(window, false)};
}

dnnl::convolution_backward_weights::primitive_desc convolution_backward_weights(const Window2d& window, bool bias) {
  const ConvolutionShape s(window);
  const MemoryDesc bias_desc = vector(bias, window.out_channels);
  return {
      {algorithm::convolution_direct, s.x, s.weight, bias_desc, s.y, s.strides, s.dilations, s.pad_begin, s.pad_end},
      user_scratchpad(),
      engine(),
      convolution(window, bias)};
}

dnnl::inner_product_forward::primitive_desc inner_product(const DenseSize& size, bool bias) {
  return {{prop_kind::forward_training, any({size.batch, size.in}), any({size.out, size.in}), vector(bias, size.out),
           any({size.batch, size.out})},
          user_scratchpad(),
          engine()};
}

dnnl::inner_product_backward_data::primitive_desc inner_product_backward_data(const DenseSize& size) {
  return {{any({size.batch, size.in}), any({size.out, size.in}), any({size.batch, size.out})},
          user_scratchpad(),
          engine(),
          inner_product(size, false)};
}

dnnl::inner_product_backward_weights::primitive_desc inner_product_backward_weights(const DenseSize& size, bool bias) {
  return {{any({size.batch, size.in}), any({size.out, size.in}), vector(bias, size.out), any({size.batch, size.out})},
          user_scratchpad(),
          engine(),
          inner_product(size, bias)};
}

void multiply(const ProductSize& size, const Matrix& a, const Matrix& b, float beta, float* y, std::int64_t y_stride) {
  dnnl::error::wrap_c_api(dnnl_sgemm(a.transposed ? 'T' : 'N', b.transposed ? 'T' : 'N', size.rows, size.columns,
                                     size.inner, 1.0F, a.data, a.stride, b.data, b.stride, beta, y, y_stride),
                          "could not multiply matrices");
}

namespace {

MemoryDesc matrix(std::int64_t rows, std::int64_t columns, const memory::dims& strides) {
  return {{rows, columns}, memory::data_type::f32, strides};
}

dnnl::matmul::primitive_desc product_by_packed(const ProductSize& size, std::int64_t a_stride, bool adds) {
  dnnl::primitive_attr attributes = user_scratchpad();
  if (adds) {
    dnnl::post_ops sum;
    sum.append_sum();
    attributes.set_post_ops(sum);
  }
  return {{matrix(size.rows, size.inner, {a_stride, 1}), any({size.inner, size.columns}),
           matrix(size.rows, size.columns, {size.columns, 1})},
          attributes,
          engine()};
}

}  // namespace

PackedProduct::PackedProduct(const ProductSize& size, std::int64_t a_stride, bool b_transposed, bool adds)
    : PackedProduct(product_by_packed(size, a_stride, adds),
                    matrix(size.inner, size.columns,
                           b_transposed ? memory::dims{1, size.inner} : memory::dims{size.columns, 1})) {}

PackedProduct::PackedProduct(const dnnl::matmul::primitive_desc& desc, const MemoryDesc& b)
    : pack_(reorder(b, desc.weights_desc())),
      product_(dnnl::matmul(desc), desc, std::vector<int>{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST}),
      packed_bytes_((desc.weights_desc().get_size() + 63) / 64 * 64),
      rest_bytes_(std::max(pack_.scratch_bytes(), product_.scratch_bytes())) {}

// oneDNN's memories are not const; what is read stays as it is.
void PackedProduct::pack(const float* b, void* scratch) {
  pack_.run(std::array<void*, 2>{const_cast<float*>(b), scratch}, static_cast<std::byte*>(scratch) + packed_bytes_);
}

void PackedProduct::run(const float* a, float* y, void* scratch) {
  product_.run(std::array<void*, 3>{const_cast<float*>(a), scratch, y},
               static_cast<std::byte*>(scratch) + packed_bytes_);
}

Execution reorder(const MemoryDesc& from, const MemoryDesc& to) {
  const dnnl::reorder::primitive_desc desc(engine(), from, engine(), to, user_scratchpad());
  return {dnnl::reorder(desc), desc, std::vector<int>{DNNL_ARG_FROM, DNNL_ARG_TO}};
}

}  // namespace skua::cpu
