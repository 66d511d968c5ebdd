#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "reference/operators.h"

namespace skua::reference {

namespace {

// Calls visit(x index, weight index, y index) for every product of y (N,O) = x (N,I) weight (O,I) transposed.
template <class Visit>
void for_each_product(std::int64_t n, std::int64_t in, std::int64_t out, Visit visit) {
  const auto rows = static_cast<std::size_t>(n);
  const auto inner = static_cast<std::size_t>(in);
  const auto columns = static_cast<std::size_t>(out);
  for (std::size_t r = 0; r < rows; ++r)
    for (std::size_t o = 0; o < columns; ++o)
      for (std::size_t i = 0; i < inner; ++i) visit(r * inner + i, o * inner + i, r * columns + o);
}

void dense(const Call& call) {
  for_each_product(call.in_shape(0).rows(), call.in_shape(0).last(), call.out_shape(0).last(),
                   [&](auto x, auto w, auto y) { call.out(0)[y] += call.in(0)[x] * call.in(1)[w]; });
  if (call.inputs.size() < 3) return;
  for (std::size_t y = 0; y < call.out(0).size(); ++y) call.out(0)[y] += call.in(2)[y % call.in(2).size()];
}

void dense_backward_data(const Call& call) {
  for_each_product(call.out_shape(0).rows(), call.out_shape(0).last(), call.in_shape(0).last(),
                   [&](auto x, auto w, auto y) { call.out(0)[x] += call.in(0)[y] * call.in(1)[w]; });
}

void dense_backward_weight(const Call& call) {
  for_each_product(call.in_shape(0).rows(), call.in_shape(0).last(), call.in_shape(1).last(),
                   [&](auto x, auto w, auto y) { call.out(0)[w] += call.in(0)[x] * call.in(1)[y]; });
  if (call.outputs.size() < 2) return;
  for (std::size_t y = 0; y < call.in(1).size(); ++y) call.out(1)[y % call.out(1).size()] += call.in(1)[y];
}

std::size_t label_of(const Array& labels, std::size_t row, std::size_t classes) {
  if (labels[row] < 0 || labels[row] >= static_cast<double>(classes)) {
    throw std::invalid_argument(fmt::format("expected labels in [0,{}), got {}", classes, labels[row]));
  }
  return static_cast<std::size_t>(labels[row]);
}

void softmax_cross_entropy(const Call& call) {
  const auto classes = static_cast<std::size_t>(call.in_shape(0).last());
  const Array& logits = call.in(0);
  double loss = 0;
  for (std::size_t row = 0; row < call.in(1).size(); ++row) {
    const std::size_t begin = row * classes;
    double largest = logits[begin];
    for (std::size_t c = 0; c < classes; ++c) largest = std::max(largest, logits[begin + c]);
    double sum = 0;
    for (std::size_t c = 0; c < classes; ++c) sum += std::exp(logits[begin + c] - largest);
    for (std::size_t c = 0; c < classes; ++c) call.out(1)[begin + c] = std::exp(logits[begin + c] - largest) / sum;
    loss += std::log(sum) + largest - logits[begin + label_of(call.in(1), row, classes)];
  }
  call.out(0)[0] = call.op.attributes.real("scale") * loss;
}

void softmax_cross_entropy_backward(const Call& call) {
  const auto classes = static_cast<std::size_t>(call.in_shape(0).last());
  const double factor = call.in(2)[0] * call.op.attributes.real("scale");
  for (std::size_t i = 0; i < call.out(0).size(); ++i) {
    const bool is_label = label_of(call.in(1), i / classes, classes) == i % classes;
    call.out(0)[i] = factor * (call.in(0)[i] - (is_label ? 1 : 0));
  }
}

void count_correct(const Call& call) {
  const auto classes = static_cast<std::size_t>(call.in_shape(0).last());
  for (std::size_t row = 0; row < call.in(1).size(); ++row) {
    std::size_t best = 0;
    for (std::size_t c = 1; c < classes; ++c) {
      if (call.in(0)[row * classes + c] > call.in(0)[row * classes + best]) best = c;
    }
    if (label_of(call.in(1), row, classes) == best) call.out(0)[0] += 1;
  }
}

}  // namespace

const std::map<std::string, Kernel>& matrix_kernels() {
  static const std::map<std::string, Kernel> kernels{{"dense", dense},
                                                     {"dense_backward_data", dense_backward_data},
                                                     {"dense_backward_weight", dense_backward_weight},
                                                     {"softmax_cross_entropy", softmax_cross_entropy},
                                                     {"softmax_cross_entropy_backward", softmax_cross_entropy_backward},
                                                     {"count_correct", count_correct}};
  return kernels;
}

}  // namespace skua::reference
