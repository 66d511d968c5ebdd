#include "kernels.h"
#include "onednn_kernel.h"

namespace skua::cpu {

KernelPointer make_conv2d(NodeBuilder& builder) {
  const bool bias = builder.input_count() == 3;
  std::vector<int> arguments{DNNL_ARG_SRC, DNNL_ARG_WEIGHTS};
  if (bias) arguments.push_back(DNNL_ARG_BIAS);
  arguments.push_back(DNNL_ARG_DST);
  return with_activation(builder,
                         make_onednn_kernel<dnnl::convolution_forward>(
                             builder, convolution(window_of(builder.op(), builder.input_types()), bias), arguments));
}

KernelPointer make_conv2d_backward_data(NodeBuilder& builder) {
  return make_onednn_kernel<dnnl::convolution_backward_data>(
      builder, convolution_backward_data(window_of(builder.op(), builder.input_types())),
      std::vector<int>{DNNL_ARG_DIFF_DST, DNNL_ARG_WEIGHTS, DNNL_ARG_DIFF_SRC});
}

KernelPointer make_conv2d_backward_weight(NodeBuilder& builder) {
  const bool bias = builder.output_count() == 2;
  std::vector<int> arguments{DNNL_ARG_SRC, DNNL_ARG_DIFF_DST, DNNL_ARG_DIFF_WEIGHTS};
  if (bias) arguments.push_back(DNNL_ARG_DIFF_BIAS);
  return make_onednn_kernel<dnnl::convolution_backward_weights>(
      builder, convolution_backward_weights(window_of(builder.op(), builder.input_types()), bias), arguments);
}

}  // namespace skua::cpu
