#include <algorithm>
#include <cmath>

#include "reference/operators.h"

namespace skua::reference {

namespace {

template <double (*function)(double)>
void unary(const Call& call) {
  std::transform(call.in(0).begin(), call.in(0).end(), call.out(0).begin(), function);
}

template <double (*function)(double, double)>
void binary(const Call& call) {
  std::transform(call.in(0).begin(), call.in(0).end(), call.in(1).begin(), call.out(0).begin(), function);
}

double relu(double x) {
  return x > 0 ? x : 0;
}
double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}
double hyperbolic_tangent(double x) {
  return std::tanh(x);
}
double copy(double x) {
  return x;
}
double sum(double a, double b) {
  return a + b;
}
double relu_backward(double y, double dy) {
  return y > 0 ? dy : 0;
}
double sigmoid_backward(double y, double dy) {
  return dy * y * (1 - y);
}
double tanh_backward(double y, double dy) {
  return dy * (1 - y * y);
}

double product(double a, double b) {
  return a * b;
}
double softplus(double x) {
  return std::log1p(std::exp(x));
}
double softplus_backward(double y, double dy) {
  return dy * (1 - std::exp(-y));
}
double gelu(double x) {
  return x * (1 + std::erf(x / std::sqrt(2))) / 2;
}
double gelu_backward(double x, double dy) {
  const double density = std::exp(-x * x / 2) / std::sqrt(2 * std::acos(-1.0));
  return dy * ((1 + std::erf(x / std::sqrt(2))) / 2 + x * density);
}

void leaky_relu(const Call& call) {
  const double alpha = call.op.attributes.real("alpha");
  for (std::size_t i = 0; i < call.in(0).size(); ++i) call.out(0)[i] = call.in(0)[i] * (call.in(0)[i] > 0 ? 1 : alpha);
}
void leaky_relu_backward(const Call& call) {
  const double alpha = call.op.attributes.real("alpha");
  for (std::size_t i = 0; i < call.in(0).size(); ++i) call.out(0)[i] = call.in(1)[i] * (call.in(0)[i] > 0 ? 1 : alpha);
}
void elu(const Call& call) {
  const double alpha = call.op.attributes.real("alpha");
  for (std::size_t i = 0; i < call.in(0).size(); ++i) {
    call.out(0)[i] = call.in(0)[i] > 0 ? call.in(0)[i] : alpha * (std::exp(call.in(0)[i]) - 1);
  }
}
void elu_backward(const Call& call) {
  const double alpha = call.op.attributes.real("alpha");
  for (std::size_t i = 0; i < call.in(0).size(); ++i) {
    call.out(0)[i] = call.in(1)[i] * (call.in(0)[i] > 0 ? 1 : call.in(0)[i] + alpha);
  }
}

void softmax(const Call& call) {
  const auto width = static_cast<std::size_t>(call.in_shape(0)[call.in_shape(0).rank() - 1]);
  for (std::size_t first = 0; first < call.in(0).size(); first += width) {
    double sum_of_powers = 0;
    for (std::size_t i = first; i < first + width; ++i) sum_of_powers += std::exp(call.in(0)[i]);
    for (std::size_t i = first; i < first + width; ++i) call.out(0)[i] = std::exp(call.in(0)[i]) / sum_of_powers;
  }
}
void softmax_backward(const Call& call) {
  const auto width = static_cast<std::size_t>(call.in_shape(0)[call.in_shape(0).rank() - 1]);
  for (std::size_t first = 0; first < call.in(0).size(); first += width) {
    for (std::size_t i = first; i < first + width; ++i) {
      for (std::size_t k = first; k < first + width; ++k) {
        const double slope = call.in(0)[k] * ((i == k ? 1 : 0) - call.in(0)[i]);
        call.out(0)[i] += call.in(1)[k] * slope;
      }
    }
  }
}

void bias_add(const Call& call) {
  const Shape& x = call.in_shape(0);
  const auto inner = static_cast<std::size_t>(x.elements() / (x[0] * x[1]));
  const auto channels = static_cast<std::size_t>(x[1]);
  for (std::size_t i = 0; i < call.in(0).size(); ++i) call.out(0)[i] = call.in(0)[i] + call.in(1)[i / inner % channels];
}

void fill(const Call& call) {
  call.out(0).assign(call.out(0).size(), call.op.attributes.real("value"));
}

// For each element of a value of `shape`: its position in the value without `axes`.
std::vector<std::size_t> positions_without_axes(const Shape& shape, const std::vector<std::int64_t>& axes) {
  std::vector<std::size_t> positions(static_cast<std::size_t>(shape.elements()), 0);
  for (std::size_t i = 0; i < positions.size(); ++i) {
    std::size_t rest = i;
    std::size_t stride = 1;
    for (std::size_t axis = shape.rank(); axis-- > 0;) {
      const auto extent = static_cast<std::size_t>(shape[axis]);
      if (std::find(axes.begin(), axes.end(), static_cast<std::int64_t>(axis)) == axes.end()) {
        positions[i] += rest % extent * stride;
        stride *= extent;
      }
      rest /= extent;
    }
  }
  return positions;
}

void reduce_sum(const Call& call) {
  const auto positions = positions_without_axes(call.in_shape(0), call.op.attributes.integers("axes"));
  for (std::size_t i = 0; i < positions.size(); ++i) call.out(0)[positions[i]] += call.in(0)[i];
}

void reduce_mean(const Call& call) {
  reduce_sum(call);
  const auto count = static_cast<double>(call.in(0).size() / call.out(0).size());
  for (double& y : call.out(0)) y /= count;
}

void broadcast(const Call& call) {
  const auto positions = positions_without_axes(call.out_shape(0), call.op.attributes.integers("axes"));
  const double scale = call.op.attributes.real("scale");
  for (std::size_t i = 0; i < positions.size(); ++i) call.out(0)[i] = scale * call.in(0)[positions[i]];
}

}  // namespace

const std::map<std::string, Kernel>& elementwise_kernels() {
  static const std::map<std::string, Kernel> kernels{{"relu", unary<relu>},
                                                     {"sigmoid", unary<sigmoid>},
                                                     {"tanh", unary<hyperbolic_tangent>},
                                                     {"reshape", unary<copy>},
                                                     {"multiply", binary<product>},
                                                     {"softplus", unary<softplus>},
                                                     {"softplus_backward", binary<softplus_backward>},
                                                     {"gelu", unary<gelu>},
                                                     {"gelu_backward", binary<gelu_backward>},
                                                     {"leaky_relu", leaky_relu},
                                                     {"leaky_relu_backward", leaky_relu_backward},
                                                     {"elu", elu},
                                                     {"elu_backward", elu_backward},
                                                     {"softmax", softmax},
                                                     {"softmax_backward", softmax_backward},
                                                     {"bias_add", bias_add},
                                                     {"add", binary<sum>},
                                                     {"relu_backward", binary<relu_backward>},
                                                     {"sigmoid_backward", binary<sigmoid_backward>},
                                                     {"tanh_backward", binary<tanh_backward>},
                                                     {"fill", fill},
                                                     {"reduce_sum", reduce_sum},
                                                     {"reduce_mean", reduce_mean},
                                                     {"broadcast", broadcast}};
  return kernels;
}

}  // namespace skua::reference
