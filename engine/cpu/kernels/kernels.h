// The factories of all kernels, by family; table.cpp says which operator type each makes.
#pragma once

#include "../kernel.h"

namespace skua::cpu {

using KernelPointer = std::unique_ptr<Kernel>;

// For kernels that know no layouts.
inline void read_all_plain(NodeBuilder& builder) {
  for (std::size_t i = 0; i < builder.input_count(); ++i) builder.read_plain(i);
  for (std::size_t i = 0; i < builder.output_count(); ++i) builder.write_plain(i);
}

// conv2d.cpp
KernelPointer make_conv2d(NodeBuilder& builder);
KernelPointer make_conv2d_backward_data(NodeBuilder& builder);
KernelPointer make_conv2d_backward_weight(NodeBuilder& builder);

// scattered_convolution.cpp, a conv2d_backward_data without groups
KernelPointer make_scattered_convolution(NodeBuilder& builder, const Window2d& window);

// dense.cpp
KernelPointer make_dense(NodeBuilder& builder);
KernelPointer make_dense_backward_data(NodeBuilder& builder);
KernelPointer make_dense_backward_weight(NodeBuilder& builder);

// max_pool2d.cpp
KernelPointer make_max_pool2d(NodeBuilder& builder);
KernelPointer make_max_pool2d_backward(NodeBuilder& builder);

// activations.cpp
// `kernel`, and after it the activation that the node carries, in place. REQUIRES: output 0 was written.
KernelPointer with_activation(NodeBuilder& builder, KernelPointer kernel);
KernelPointer make_relu(NodeBuilder& builder);
KernelPointer make_relu_backward(NodeBuilder& builder);
KernelPointer make_sigmoid(NodeBuilder& builder);
KernelPointer make_sigmoid_backward(NodeBuilder& builder);
KernelPointer make_tanh(NodeBuilder& builder);
KernelPointer make_tanh_backward(NodeBuilder& builder);
KernelPointer make_leaky_relu(NodeBuilder& builder);
KernelPointer make_leaky_relu_backward(NodeBuilder& builder);
KernelPointer make_elu(NodeBuilder& builder);
KernelPointer make_elu_backward(NodeBuilder& builder);
KernelPointer make_softplus(NodeBuilder& builder);
KernelPointer make_softplus_backward(NodeBuilder& builder);
KernelPointer make_gelu(NodeBuilder& builder);
KernelPointer make_gelu_backward(NodeBuilder& builder);
KernelPointer make_softmax(NodeBuilder& builder);
KernelPointer make_softmax_backward(NodeBuilder& builder);
KernelPointer make_bias_add(NodeBuilder& builder);
KernelPointer make_multiply(NodeBuilder& builder);
KernelPointer make_add(NodeBuilder& builder);

// arrays.cpp
KernelPointer make_split(NodeBuilder& builder);
KernelPointer make_concatenate(NodeBuilder& builder);
KernelPointer make_transpose(NodeBuilder& builder);
KernelPointer make_matmul(NodeBuilder& builder);
KernelPointer make_not_equal(NodeBuilder& builder);
KernelPointer make_causal_mask(NodeBuilder& builder);

// embedding.cpp
KernelPointer make_embedding(NodeBuilder& builder);
KernelPointer make_embedding_backward(NodeBuilder& builder);
KernelPointer make_embedding_dense(NodeBuilder& builder);
KernelPointer make_embedding_dense_backward(NodeBuilder& builder);

// normalization.cpp
KernelPointer make_batch_norm(NodeBuilder& builder);
KernelPointer make_batch_norm_backward(NodeBuilder& builder);
KernelPointer make_batch_norm_inference(NodeBuilder& builder);
KernelPointer make_layer_norm(NodeBuilder& builder);
KernelPointer make_layer_norm_backward(NodeBuilder& builder);

// random.cpp
KernelPointer make_random_normal(NodeBuilder& builder);

// element_wise.cpp
KernelPointer make_element_wise(NodeBuilder& builder);
KernelPointer make_dropout(NodeBuilder& builder);

// average_pool2d.cpp
KernelPointer make_average_pool2d(NodeBuilder& builder);
KernelPointer make_average_pool2d_backward(NodeBuilder& builder);

// crop2d.cpp
KernelPointer make_crop2d(NodeBuilder& builder);  // and backward

// recurrent.cpp
KernelPointer make_simple_rnn(NodeBuilder& builder);
KernelPointer make_simple_rnn_backward(NodeBuilder& builder);
KernelPointer make_lstm(NodeBuilder& builder);
KernelPointer make_lstm_backward(NodeBuilder& builder);
KernelPointer make_gru(NodeBuilder& builder);
KernelPointer make_gru_backward(NodeBuilder& builder);

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
KernelPointer make_count_top_k(NodeBuilder& builder);

// losses.cpp
KernelPointer make_elementwise_loss(NodeBuilder& builder);  // the type says which, and whether backward
KernelPointer make_categorical_cross_entropy(NodeBuilder& builder);
KernelPointer make_categorical_cross_entropy_backward(NodeBuilder& builder);
KernelPointer make_binary_counts(NodeBuilder& builder);
KernelPointer make_sum_of_squares(NodeBuilder& builder);
KernelPointer make_clip_by_value(NodeBuilder& builder);
KernelPointer make_clip_by_norm(NodeBuilder& builder);

// updates.cpp
KernelPointer make_sgd_update(NodeBuilder& builder);
KernelPointer make_adam_update(NodeBuilder& builder);
KernelPointer make_rmsprop_update(NodeBuilder& builder);
KernelPointer make_adagrad_update(NodeBuilder& builder);
KernelPointer make_moving_average_update(NodeBuilder& builder);

}  // namespace skua::cpu
