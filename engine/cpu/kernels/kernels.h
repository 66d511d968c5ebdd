// The factories of all kernels, by family; table.cpp says which operator type each makes.
#pragma once

#include "../kernel.h"

namespace skua::cpu {

using KernelPointer = std::unique_ptr<Kernel>;

// conv2d.cpp
KernelPointer make_conv2d(NodeBuilder& builder);
KernelPointer make_conv2d_backward_data(NodeBuilder& builder);
KernelPointer make_conv2d_backward_weight(NodeBuilder& builder);

// dense.cpp
KernelPointer make_dense(NodeBuilder& builder);
KernelPointer make_dense_backward_data(NodeBuilder& builder);
KernelPointer make_dense_backward_weight(NodeBuilder& builder);

// max_pool2d.cpp
KernelPointer make_max_pool2d(NodeBuilder& builder);
KernelPointer make_max_pool2d_backward(NodeBuilder& builder);

// activations.cpp
KernelPointer make_relu(NodeBuilder& builder);
KernelPointer make_relu_backward(NodeBuilder& builder);
KernelPointer make_sigmoid(NodeBuilder& builder);
KernelPointer make_sigmoid_backward(NodeBuilder& builder);
KernelPointer make_tanh(NodeBuilder& builder);
KernelPointer make_tanh_backward(NodeBuilder& builder);
KernelPointer make_add(NodeBuilder& builder);

// shape_ops.cpp
KernelPointer make_reshape(NodeBuilder& builder);
KernelPointer make_fill(NodeBuilder& builder);

// reduce.cpp
KernelPointer make_reduce_sum(NodeBuilder& builder);
KernelPointer make_reduce_mean(NodeBuilder& builder);
KernelPointer make_broadcast(NodeBuilder& builder);

// classification.cpp
KernelPointer make_softmax_cross_entropy(NodeBuilder& builder);
KernelPointer make_softmax_cross_entropy_backward(NodeBuilder& builder);
KernelPointer make_count_correct(NodeBuilder& builder);

// updates.cpp
KernelPointer make_sgd_update(NodeBuilder& builder);
KernelPointer make_adam_update(NodeBuilder& builder);

}  // namespace skua::cpu
