#include <cmath>
#include <limits>

#include "reference/operators.h"

namespace skua::reference {

namespace {

std::size_t at(const Shape& shape, std::int64_t a, std::int64_t b, std::int64_t c, std::int64_t d) {
  return static_cast<std::size_t>(((a * shape[1] + b) * shape[2] + c) * shape[3] + d);
}

// Calls visit(x index, weight index, y index) for every product of the convolution.
template <class Visit>
void for_each_product(const Op& op, const Shape& x, const Shape& weight, const Shape& y, Visit visit) {
  const auto& strides = op.attributes.integers("strides");
  const auto& padding = op.attributes.integers("padding");
  const auto& dilations = op.attributes.integers("dilations");
  const std::int64_t outputs_per_group = weight[0] / op.attributes.integer("groups");
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t o = 0; o < y[1]; ++o)
      for (std::int64_t i = 0; i < y[2]; ++i)
        for (std::int64_t j = 0; j < y[3]; ++j)
          for (std::int64_t c = 0; c < weight[1]; ++c)
            for (std::int64_t k = 0; k < weight[2]; ++k)
              for (std::int64_t l = 0; l < weight[3]; ++l) {
                const std::int64_t row = i * strides[0] + k * dilations[0] - padding[0];
                const std::int64_t column = j * strides[1] + l * dilations[1] - padding[1];
                if (row < 0 || row >= x[2] || column < 0 || column >= x[3]) continue;
                const std::int64_t channel = o / outputs_per_group * weight[1] + c;
                visit(at(x, n, channel, row, column), at(weight, o, c, k, l), at(y, n, o, i, j));
              }
}

// Calls visit(y index, y's channel).
template <class Visit>
void for_each_output(const Shape& y, Visit visit) {
  for (std::size_t i = 0; i < static_cast<std::size_t>(y.elements()); ++i) {
    visit(i, static_cast<std::size_t>(static_cast<std::int64_t>(i) / (y[2] * y[3]) % y[1]));
  }
}

void conv2d(const Call& call) {
  for_each_product(call.op, call.in_shape(0), call.in_shape(1), call.out_shape(0),
                   [&](auto x, auto w, auto y) { call.out(0)[y] += call.in(0)[x] * call.in(1)[w]; });
  if (call.inputs.size() < 3) return;
  for_each_output(call.out_shape(0), [&](auto y, auto channel) { call.out(0)[y] += call.in(2)[channel]; });
}

void conv2d_backward_data(const Call& call) {
  for_each_product(call.op, call.out_shape(0), call.in_shape(1), call.in_shape(0),
                   [&](auto x, auto w, auto y) { call.out(0)[x] += call.in(0)[y] * call.in(1)[w]; });
}

void conv2d_backward_weight(const Call& call) {
  for_each_product(call.op, call.in_shape(0), call.out_shape(0), call.in_shape(1),
                   [&](auto x, auto w, auto y) { call.out(0)[w] += call.in(0)[x] * call.in(1)[y]; });
  if (call.outputs.size() < 2) return;
  for_each_output(call.in_shape(1), [&](auto y, auto channel) { call.out(1)[channel] += call.in(1)[y]; });
}

void max_pool2d_at(const Call& call, std::int64_t n, std::int64_t c, std::int64_t i, std::int64_t j) {
  const auto& window = call.op.attributes.integers("window");
  const auto& strides = call.op.attributes.integers("strides");
  const auto& padding = call.op.attributes.integers("padding");
  const Shape& x = call.in_shape(0);
  const std::size_t y = at(call.out_shape(0), n, c, i, j);
  call.out(0)[y] = -std::numeric_limits<double>::infinity();
  for (std::int64_t k = 0; k < window[0]; ++k)
    for (std::int64_t l = 0; l < window[1]; ++l) {
      const std::int64_t row = i * strides[0] + k - padding[0];
      const std::int64_t column = j * strides[1] + l - padding[1];
      if (row < 0 || row >= x[2] || column < 0 || column >= x[3]) continue;
      const std::size_t index = at(x, n, c, row, column);
      if (call.in(0)[index] <= call.out(0)[y]) continue;
      call.out(0)[y] = call.in(0)[index];
      call.out(1)[y] = static_cast<double>(index);
    }
}

// The indices are positions in x.
void max_pool2d(const Call& call) {
  const Shape& y = call.out_shape(0);
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t c = 0; c < y[1]; ++c)
      for (std::int64_t i = 0; i < y[2]; ++i)
        for (std::int64_t j = 0; j < y[3]; ++j) max_pool2d_at(call, n, c, i, j);
}

// dy before the activation that the pool carries, whose result is y.
Array before_activation(const Call& call) {
  if (!call.op.attributes.has("activation")) return call.in(0);
  Op op{call.op.attributes.text("activation") + "_backward", {}};
  if (call.op.attributes.has("alpha")) op.attributes.set("alpha", call.op.attributes.real("alpha"));
  Array dx(call.in(0).size());
  std::vector<Array*> inputs{call.inputs[2], call.inputs[0]};
  std::vector<Array*> outputs{&dx};
  elementwise_kernels().at(op.type)({op, call.step, inputs, outputs, {}, {}});
  return dx;
}

void max_pool2d_backward(const Call& call) {
  const Array dy = before_activation(call);
  for (std::size_t i = 0; i < dy.size(); ++i) call.out(0)[static_cast<std::size_t>(call.in(1)[i])] += dy[i];
}

// visit(element of y, element of x) for every element of x in the window of each of y, none in the padding.
template <class Visit>
void for_each_in_window(const Call& call, const Shape& x, const Shape& y, Visit visit) {
  const auto& window = call.op.attributes.integers("window");
  const auto& strides = call.op.attributes.integers("strides");
  const auto& padding = call.op.attributes.integers("padding");
  for (std::int64_t n = 0; n < y[0]; ++n)
    for (std::int64_t c = 0; c < y[1]; ++c)
      for (std::int64_t i = 0; i < y[2]; ++i)
        for (std::int64_t j = 0; j < y[3]; ++j)
          for (std::int64_t row = 0; row < x[2]; ++row)
            for (std::int64_t column = 0; column < x[3]; ++column) {
              const std::int64_t k = row + padding[0] - i * strides[0];
              const std::int64_t l = column + padding[1] - j * strides[1];
              if (k >= 0 && k < window[0] && l >= 0 && l < window[1])
                visit(at(y, n, c, i, j), at(x, n, c, row, column));
            }
}

void average_pool2d(const Call& call) {
  Array counts(call.out(0).size(), 0);
  for_each_in_window(call, call.in_shape(0), call.out_shape(0), [&](std::size_t y, std::size_t x) {
    counts[y] += 1;
    call.out(0)[y] += call.in(0)[x];
  });
  for (std::size_t y = 0; y < counts.size(); ++y) call.out(0)[y] /= counts[y];
}

void average_pool2d_backward(const Call& call) {
  Array counts(call.in(0).size(), 0);
  for_each_in_window(call, call.out_shape(0), call.in_shape(0), [&](std::size_t y, std::size_t) { counts[y] += 1; });
  for_each_in_window(call, call.out_shape(0), call.in_shape(0),
                     [&](std::size_t y, std::size_t x) { call.out(0)[x] += call.in(0)[y] / counts[y]; });
}

}  // namespace

const std::map<std::string, Kernel>& image_kernels() {
  static const std::map<std::string, Kernel> kernels{{"conv2d", conv2d},
                                                     {"conv2d_backward_data", conv2d_backward_data},
                                                     {"conv2d_backward_weight", conv2d_backward_weight},
                                                     {"average_pool2d", average_pool2d},
                                                     {"average_pool2d_backward", average_pool2d_backward},
                                                     {"max_pool2d", max_pool2d},
                                                     {"max_pool2d_backward", max_pool2d_backward}};
  return kernels;
}

}  // namespace skua::reference
