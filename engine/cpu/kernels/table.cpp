#include <map>

#include "kernels.h"

namespace skua::cpu {

KernelFactory find_kernel(std::string_view op_type) {
  static const std::map<std::string_view, KernelFactory> table{
      {"adam_update", make_adam_update},
      {"add", make_add},
      {"broadcast", make_broadcast},
      {"conv2d", make_conv2d},
      {"conv2d_backward_data", make_conv2d_backward_data},
      {"conv2d_backward_weight", make_conv2d_backward_weight},
      {"count_correct", make_count_correct},
      {"dense", make_dense},
      {"dense_backward_data", make_dense_backward_data},
      {"dense_backward_weight", make_dense_backward_weight},
      {"fill", make_fill},
      {"max_pool2d", make_max_pool2d},
      {"max_pool2d_backward", make_max_pool2d_backward},
      {"reduce_mean", make_reduce_mean},
      {"reduce_sum", make_reduce_sum},
      {"relu", make_relu},
      {"relu_backward", make_relu_backward},
      {"reshape", make_reshape},
      {"sgd_update", make_sgd_update},
      {"sigmoid", make_sigmoid},
      {"sigmoid_backward", make_sigmoid_backward},
      {"softmax_cross_entropy", make_softmax_cross_entropy},
      {"softmax_cross_entropy_backward", make_softmax_cross_entropy_backward},
      {"tanh", make_tanh},
      {"tanh_backward", make_tanh_backward},
  };
  const auto found = table.find(op_type);
  return found == table.end() ? nullptr : found->second;
}

}  // namespace skua::cpu
