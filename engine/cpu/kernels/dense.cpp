#include "kernels.h"
#include "onednn_kernel.h"

namespace skua::cpu {

KernelPointer make_dense(NodeBuilder& builder) {
  const bool bias = builder.input_count() == 3;
  const Shape& x = builder.input_type(0).shape;
  std::vector<int> arguments{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS};
  if (bias) arguments.push_back(DNNL_ARG_BIAS);
  arguments.push_back(DNNL_ARG_DST);
  return with_activation(
      builder, make_onednn_kernel<dnnl::inner_product_forward>(
                   builder, inner_product({x.rows(), x.last(), builder.output_type(0).shape.last()}, bias), arguments));
}

KernelPointer make_dense_backward_data(NodeBuilder& builder) {
  const Shape& dy = builder.input_type(0).shape;
  return make_onednn_kernel<dnnl::inner_product_backward_data>(
      builder, inner_product_backward_data({dy.rows(), builder.output_type(0).shape.last(), dy.last()}),
      std::vector<int>{DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC});
}

KernelPointer make_dense_backward_weight(NodeBuilder& builder) {
  const bool bias = builder.output_count() == 2;
  const Shape& x = builder.input_type(0).shape;
  std::vector<int> arguments{DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS};
  if (bias) arguments.push_back(DNNL_ARG_DIFF_BIAS);
  return make_onednn_kernel<dnnl::inner_product_backward_weights>(
      builder, inner_product_backward_weights({x.rows(), x.last(), builder.input_type(1).shape.last()}, bias),
      arguments);
}

}  // namespace skua::cpu
