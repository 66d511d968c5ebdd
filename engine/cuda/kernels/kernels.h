// The factories of all kernels, by family: a factory makes each type of its family. table.cpp says which types it has.
#pragma once

#include "../kernel.h"

namespace skua::cuda {

// checks.cpp: the errors for what kernels found.
[[nodiscard]] std::string describe_label(const Fault& fault, std::int64_t classes);
[[nodiscard]] std::string describe_id(const Fault& fault, std::int64_t rows);

// arrays.cu: what moves elements.
KernelPointer make_split(const NodeView& node);
KernelPointer make_concatenate(const NodeView& node);
KernelPointer make_transpose(const NodeView& node);
KernelPointer make_broadcast(const NodeView& node);
KernelPointer make_reshape(const NodeView& node);
KernelPointer make_fill(const NodeView& node);
KernelPointer make_not_equal(const NodeView& node);
KernelPointer make_causal_mask(const NodeView& node);

// element_wise.cpp
KernelPointer make_element_wise(const NodeView& node);

// elementwise.cu
KernelPointer make_activation(const NodeView& node);
KernelPointer make_activation_backward(const NodeView& node);
// `kernel`, and after it the activation that the node carries, in place on output 0.
KernelPointer with_activation(const NodeView& node, KernelPointer kernel);
KernelPointer make_add(const NodeView& node);
KernelPointer make_multiply(const NodeView& node);
KernelPointer make_bias_add(const NodeView& node);
KernelPointer make_clip_by_value(const NodeView& node);
KernelPointer make_clip_by_norm(const NodeView& node);
KernelPointer make_dropout(const NodeView& node);
KernelPointer make_random_normal(const NodeView& node);

// into += from.
void add_into(GpuStream& stream, const ValueType& type, void* into, const void* from);

// embedding.cu
KernelPointer make_embedding(const NodeView& node);
KernelPointer make_embedding_backward(const NodeView& node);
KernelPointer make_embedding_dense(const NodeView& node);
KernelPointer make_embedding_dense_backward(const NodeView& node);

// losses.cu
KernelPointer make_elementwise_loss(const NodeView& node);
KernelPointer make_elementwise_loss_backward(const NodeView& node);
KernelPointer make_softmax_cross_entropy(const NodeView& node);
KernelPointer make_softmax_cross_entropy_backward(const NodeView& node);
KernelPointer make_categorical_cross_entropy(const NodeView& node);
KernelPointer make_categorical_cross_entropy_backward(const NodeView& node);
KernelPointer make_count_correct(const NodeView& node);
KernelPointer make_count_top_k(const NodeView& node);
KernelPointer make_binary_counts(const NodeView& node);

// normalization.cu
KernelPointer make_batch_norm(const NodeView& node);
KernelPointer make_batch_norm_backward(const NodeView& node);
KernelPointer make_batch_norm_inference(const NodeView& node);
KernelPointer make_layer_norm(const NodeView& node);
KernelPointer make_layer_norm_backward(const NodeView& node);

// pooling.cu
KernelPointer make_max_pool2d(const NodeView& node);
KernelPointer make_max_pool2d_backward(const NodeView& node);
KernelPointer make_average_pool2d(const NodeView& node);
KernelPointer make_average_pool2d_backward(const NodeView& node);

KernelPointer make_crop2d(const NodeView& node);  // and backward

// products.cu: what is left to cuDNN and cuBLAS, and what goes around it.
KernelPointer make_conv2d(const NodeView& node);
KernelPointer make_conv2d_backward_data(const NodeView& node);
KernelPointer make_conv2d_backward_weight(const NodeView& node);
KernelPointer make_dense(const NodeView& node);
KernelPointer make_dense_backward_data(const NodeView& node);
KernelPointer make_dense_backward_weight(const NodeView& node);
KernelPointer make_matmul(const NodeView& node);

// recurrent.cu
KernelPointer make_simple_rnn(const NodeView& node);
KernelPointer make_simple_rnn_backward(const NodeView& node);
KernelPointer make_lstm(const NodeView& node);
KernelPointer make_lstm_backward(const NodeView& node);
KernelPointer make_gru(const NodeView& node);
KernelPointer make_gru_backward(const NodeView& node);

// reduce.cu
KernelPointer make_softmax(const NodeView& node);
KernelPointer make_softmax_backward(const NodeView& node);
KernelPointer make_reduce(const NodeView& node);
KernelPointer make_sum_of_squares(const NodeView& node);

// updates.cu
KernelPointer make_update(const NodeView& node);

}  // namespace skua::cuda
