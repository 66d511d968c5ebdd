#include <algorithm>
#include <cmath>
#include <functional>

#include "reference/operators.h"

namespace skua::reference {

namespace {

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

double clamped_log(double x) {
  return std::max(std::log(x), -100.0);
}

// The loss of one element and its derivative, by type.
struct Term {
  std::function<double(double p, double t)> loss;
  std::function<double(double p, double t)> derivative;
};

Term term_of(const Call& call) {
  std::string type = call.op.type;
  if (type.ends_with("_backward")) type.erase(type.rfind("_backward"));
  if (type == "squared_error") {
    return {[](double p, double t) { return (p - t) * (p - t); }, [](double p, double t) { return 2 * (p - t); }};
  }
  if (type == "absolute_error") {
    return {[](double p, double t) { return std::abs(p - t); },
            [](double p, double t) { return p == t ? 0.0 : std::copysign(1.0, p - t); }};
  }
  if (type == "huber") {
    const double delta = call.op.attributes.real("delta");
    return {[=](double p, double t) {
              const double e = std::abs(p - t);
              return e <= delta ? e * e / 2 : delta * (e - delta / 2);
            },
            [=](double p, double t) { return std::clamp(p - t, -delta, delta); }};
  }
  if (type == "binary_cross_entropy") {
    return {[](double p, double t) { return -(t * clamped_log(p) + (1 - t) * clamped_log(1 - p)); },
            [](double p, double t) { return (p - t) / std::max(p * (1 - p), 1e-12); }};
  }
  return {[](double x, double t) { return -(t * std::log(sigmoid(x)) + (1 - t) * std::log(sigmoid(-x))); },
          [](double x, double t) { return sigmoid(x) - t; }};
}

void loss(const Call& call) {
  const Term term = term_of(call);
  for (std::size_t i = 0; i < call.in(0).size(); ++i) {
    call.out(0)[0] += call.op.attributes.real("scale") * term.loss(call.in(0)[i], call.in(1)[i]);
  }
}

void loss_backward(const Call& call) {
  const Term term = term_of(call);
  for (std::size_t i = 0; i < call.in(0).size(); ++i) {
    call.out(0)[i] = call.in(2)[0] * call.op.attributes.real("scale") * term.derivative(call.in(0)[i], call.in(1)[i]);
  }
}

void categorical(const Call& call) {
  const auto classes = static_cast<std::size_t>(call.in_shape(0)[1]);
  for (std::size_t row = 0; row < call.in(0).size(); row += classes) {
    double sum = 0;
    for (std::size_t c = 0; c < classes; ++c) sum += std::exp(call.in(0)[row + c]);
    for (std::size_t c = 0; c < classes; ++c) {
      const double p = std::exp(call.in(0)[row + c]) / sum;
      call.out(1)[row + c] = p;
      call.out(0)[0] -= call.op.attributes.real("scale") * call.in(1)[row + c] * std::log(p);
    }
  }
}

void categorical_backward(const Call& call) {
  const auto classes = static_cast<std::size_t>(call.in_shape(0)[1]);
  const double factor = call.in(2)[0] * call.op.attributes.real("scale");
  for (std::size_t row = 0; row < call.in(0).size(); row += classes) {
    double weight = 0;
    for (std::size_t c = 0; c < classes; ++c) weight += call.in(1)[row + c];
    for (std::size_t c = row; c < row + classes; ++c) {
      call.out(0)[c] = factor * (call.in(0)[c] * weight - call.in(1)[c]);
    }
  }
}

void count_top_k(const Call& call) {
  const auto classes = static_cast<std::size_t>(call.in_shape(0).last());
  const auto k = static_cast<std::size_t>(call.op.attributes.integer("k"));
  for (std::size_t n = 0; n < call.in(1).size(); ++n) {
    std::vector<std::size_t> order(classes);
    for (std::size_t c = 0; c < classes; ++c) order[c] = c;
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      return call.in(0)[n * classes + a] > call.in(0)[n * classes + b];
    });
    const auto label = static_cast<std::size_t>(call.in(1)[n]);
    const auto end = order.begin() + static_cast<std::ptrdiff_t>(k);
    call.out(0)[0] += std::find(order.begin(), end, label) != end ? 1 : 0;
  }
}

void binary_counts(const Call& call) {
  for (std::size_t i = 0; i < call.in(0).size(); ++i) {
    const bool predicted = call.in(0)[i] > call.op.attributes.real("threshold");
    const bool is = call.in(1)[i] > 0.5;
    call.out(0)[predicted ? (is ? 0 : 1) : (is ? 2 : 3)] += 1;
  }
}

}  // namespace

const std::map<std::string, Kernel>& loss_kernels() {
  static const std::map<std::string, Kernel> kernels = [] {
    std::map<std::string, Kernel> map{{"categorical_cross_entropy", categorical},
                                      {"categorical_cross_entropy_backward", categorical_backward},
                                      {"count_top_k", count_top_k},
                                      {"binary_counts", binary_counts}};
    for (const std::string type :
         {"binary_cross_entropy", "binary_cross_entropy_with_logits", "squared_error", "absolute_error", "huber"}) {
      map[type] = loss;
      map[type + "_backward"] = loss_backward;
    }
    return map;
  }();
  return kernels;
}

}  // namespace skua::reference
