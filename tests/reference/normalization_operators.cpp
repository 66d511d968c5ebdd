#include <cmath>

#include "reference/operators.h"

namespace skua::reference {

namespace {

// Elements that are normalised together, and each one's weight.
struct Groups {
  std::vector<std::size_t> group;   // by element
  std::vector<std::size_t> weight;  // by element
  std::size_t count;
};

Groups channels_of(const Shape& x) {
  Groups groups{{}, {}, static_cast<std::size_t>(x[1])};
  const auto inner = static_cast<std::size_t>(x.elements() / (x[0] * x[1]));
  for (std::size_t i = 0; i < static_cast<std::size_t>(x.elements()); ++i) {
    groups.group.push_back(i / inner % groups.count);
    groups.weight.push_back(groups.group.back());
  }
  return groups;
}

Groups rows_of(const Shape& x) {
  const auto width = static_cast<std::size_t>(x[x.rank() - 1]);
  Groups groups{{}, {}, static_cast<std::size_t>(x.elements()) / width};
  for (std::size_t i = 0; i < static_cast<std::size_t>(x.elements()); ++i) {
    groups.group.push_back(i / width);
    groups.weight.push_back(i % width);
  }
  return groups;
}

void normalize(const Call& call, const Groups& groups) {
  Array count(groups.count, 0);
  Array mean(groups.count, 0);
  Array squares(groups.count, 0);
  const Array& x = call.in(0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    count[groups.group[i]] += 1;
    mean[groups.group[i]] += x[i];
  }
  for (std::size_t g = 0; g < groups.count; ++g) mean[g] /= count[g];
  for (std::size_t i = 0; i < x.size(); ++i) squares[groups.group[i]] += std::pow(x[i] - mean[groups.group[i]], 2);
  for (std::size_t g = 0; g < groups.count; ++g) {
    call.out(1)[g] = mean[g];
    call.out(2)[g] = 1 / std::sqrt(squares[g] / count[g] + call.op.attributes.real("epsilon"));
    if (call.outputs.size() < 5) continue;
    call.out(3)[g] = mean[g];
    call.out(4)[g] = count[g] > 1 ? squares[g] / (count[g] - 1) : 0;
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t g = groups.group[i];
    call.out(0)[i] = (x[i] - mean[g]) * call.out(2)[g] * call.in(1)[groups.weight[i]] + call.in(2)[groups.weight[i]];
  }
}

// z = (x - mean) s: each x reaches every y of its group, through z_k: dz_k/dx_i = s (δ_ik - 1/m - z_i z_k / m).
void normalize_backward(const Call& call, const Groups& groups) {
  const Array& x = call.in(0);
  Array z(x.size());
  Array dz(x.size());
  Array count(groups.count, 0);
  Array sum(groups.count, 0);
  Array product(groups.count, 0);
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t g = groups.group[i];
    z[i] = (x[i] - call.in(2)[g]) * call.in(3)[g];
    dz[i] = call.in(4)[i] * call.in(1)[groups.weight[i]];
    count[g] += 1;
    sum[g] += dz[i];
    product[g] += dz[i] * z[i];
    call.out(1)[groups.weight[i]] += call.in(4)[i] * z[i];
    call.out(2)[groups.weight[i]] += call.in(4)[i];
  }
  for (std::size_t i = 0; i < x.size(); ++i) {
    const std::size_t g = groups.group[i];
    call.out(0)[i] = call.in(3)[g] * (dz[i] - sum[g] / count[g] - z[i] * product[g] / count[g]);
  }
}

void batch_norm(const Call& call) {
  normalize(call, channels_of(call.in_shape(0)));
}
void batch_norm_backward(const Call& call) {
  normalize_backward(call, channels_of(call.in_shape(0)));
}
void layer_norm(const Call& call) {
  normalize(call, rows_of(call.in_shape(0)));
}
void layer_norm_backward(const Call& call) {
  normalize_backward(call, rows_of(call.in_shape(0)));
}

void batch_norm_inference(const Call& call) {
  const Groups groups = channels_of(call.in_shape(0));
  for (std::size_t i = 0; i < call.in(0).size(); ++i) {
    const std::size_t c = groups.group[i];
    const double deviation = std::sqrt(call.in(4)[c] + call.op.attributes.real("epsilon"));
    call.out(0)[i] = (call.in(0)[i] - call.in(3)[c]) / deviation * call.in(1)[c] + call.in(2)[c];
  }
}

}  // namespace

const std::map<std::string, Kernel>& normalization_kernels() {
  static const std::map<std::string, Kernel> kernels{{"batch_norm", batch_norm},
                                                     {"batch_norm_backward", batch_norm_backward},
                                                     {"batch_norm_inference", batch_norm_inference},
                                                     {"layer_norm", layer_norm},
                                                     {"layer_norm_backward", layer_norm_backward}};
  return kernels;
}

}  // namespace skua::reference
