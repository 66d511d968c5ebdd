#include <cmath>
#include <stdexcept>

#include "reference/operators.h"
#include "skua/graph/random.h"

namespace skua::reference {

namespace {

using Index = std::vector<std::int64_t>;

// Row-major position of an element, and back.
std::size_t position(const Shape& shape, const Index& index) {
  std::int64_t at = 0;
  for (std::size_t i = 0; i < shape.rank(); ++i) at = at * shape[i] + index[i];
  return static_cast<std::size_t>(at);
}

Index index_of(const Shape& shape, std::size_t at) {
  Index index(shape.rank());
  auto rest = static_cast<std::int64_t>(at);
  for (std::size_t i = shape.rank(); i-- > 0;) {
    index[i] = rest % shape[i];
    rest /= shape[i];
  }
  return index;
}

void split(const Call& call) {
  const auto axis = static_cast<std::size_t>(call.op.attributes.integer("axis"));
  std::int64_t first = 0;
  for (std::size_t o = 0; o < call.outputs.size(); ++o) {
    for (std::size_t i = 0; i < call.out(o).size(); ++i) {
      Index index = index_of(call.out_shape(o), i);
      index[axis] += first;
      call.out(o)[i] = call.in(0)[position(call.in_shape(0), index)];
    }
    first += call.out_shape(o)[axis];
  }
}

void concatenate(const Call& call) {
  const auto axis = static_cast<std::size_t>(call.op.attributes.integer("axis"));
  std::int64_t first = 0;
  for (std::size_t n = 0; n < call.inputs.size(); ++n) {
    for (std::size_t i = 0; i < call.in(n).size(); ++i) {
      Index index = index_of(call.in_shape(n), i);
      index[axis] += first;
      call.out(0)[position(call.out_shape(0), index)] = call.in(n)[i];
    }
    first += call.in_shape(n)[axis];
  }
}

void transpose(const Call& call) {
  const auto& permutation = call.op.attributes.integers("permutation");
  for (std::size_t i = 0; i < call.out(0).size(); ++i) {
    const Index to = index_of(call.out_shape(0), i);
    Index from(to.size());
    for (std::size_t axis = 0; axis < to.size(); ++axis) from[static_cast<std::size_t>(permutation[axis])] = to[axis];
    call.out(0)[i] = call.in(0)[position(call.in_shape(0), from)];
  }
}

void matmul(const Call& call) {
  const bool ta = call.op.attributes.integer("transpose_a") == 1;
  const bool tb = call.op.attributes.integer("transpose_b") == 1;
  const std::int64_t inner = call.in_shape(0)[ta ? 1 : 2];
  for (std::size_t i = 0; i < call.out(0).size(); ++i) {
    const Index at = index_of(call.out_shape(0), i);
    for (std::int64_t k = 0; k < inner; ++k) {
      const Index a = ta ? Index{at[0], k, at[1]} : Index{at[0], at[1], k};
      const Index b = tb ? Index{at[0], at[2], k} : Index{at[0], k, at[2]};
      call.out(0)[i] += call.in(0)[position(call.in_shape(0), a)] * call.in(1)[position(call.in_shape(1), b)];
    }
  }
}

std::size_t row_of(double id, std::int64_t rows) {
  if (id < 0 || id >= static_cast<double>(rows)) throw std::invalid_argument("expected ids among the rows");
  return static_cast<std::size_t>(id);
}

void embedding(const Call& call) {
  const auto columns = static_cast<std::size_t>(call.in_shape(0)[1]);
  for (std::size_t i = 0; i < call.out(0).size(); ++i) {
    call.out(0)[i] = call.in(0)[row_of(call.in(1)[i / columns], call.in_shape(0)[0]) * columns + i % columns];
  }
}

void embedding_backward(const Call& call) {
  const auto columns = static_cast<std::size_t>(call.out_shape(0)[1]);
  for (std::size_t i = 0; i < call.in(1).size(); ++i) {
    call.out(0)[row_of(call.in(0)[i / columns], call.out_shape(0)[0]) * columns + i % columns] += call.in(1)[i];
  }
}

// Calls visit(table index, weight index, y index) for every product.
template <class Visit>
void for_each_embedding_product(const Call& call, Visit visit) {
  const auto width = static_cast<std::size_t>(call.in_shape(0)[1]);
  const auto units = static_cast<std::size_t>(call.in_shape(2)[0]);
  for (std::size_t i = 0; i < call.in(1).size(); ++i) {
    const std::size_t row = row_of(call.in(1)[i], call.in_shape(0)[0]);
    for (std::size_t o = 0; o < units; ++o) {
      for (std::size_t d = 0; d < width; ++d) visit(row * width + d, o * width + d, i * units + o);
    }
  }
}

void embedding_dense(const Call& call) {
  for_each_embedding_product(
      call, [&](auto table, auto weight, auto y) { call.out(0)[y] += call.in(0)[table] * call.in(2)[weight]; });
  if (call.inputs.size() < 4) return;
  for (std::size_t y = 0; y < call.out(0).size(); ++y) call.out(0)[y] += call.in(3)[y % call.in(3).size()];
}

void embedding_dense_backward(const Call& call) {
  const Array& dy = call.in(3);
  for_each_embedding_product(call, [&](auto table, auto weight, auto y) {
    call.out(0)[table] += dy[y] * call.in(2)[weight];
    call.out(1)[weight] += dy[y] * call.in(0)[table];
  });
  if (call.outputs.size() < 3) return;
  for (std::size_t y = 0; y < dy.size(); ++y) call.out(2)[y % call.out(2).size()] += dy[y];
}

void not_equal(const Call& call) {
  const auto value = static_cast<double>(call.op.attributes.integer("value"));
  for (std::size_t i = 0; i < call.in(0).size(); ++i) call.out(0)[i] = call.in(0)[i] != value ? 1 : 0;
}

void causal_mask(const Call& call) {
  for (std::size_t i = 0; i < call.in(0).size(); ++i) {
    const Index at = index_of(call.in_shape(0), i);
    call.out(0)[i] = at[2] <= at[1] ? call.in(0)[i] : -static_cast<double>(std::numeric_limits<float>::max());
  }
}

// The draw of an element, straight from the definition.
std::uint32_t draw_of(const Call& call, const Shape& shape, std::size_t i, std::size_t draw) {
  const std::int64_t elements = shape.elements() / shape[0];
  const std::int64_t n = static_cast<std::int64_t>(i) / elements;
  const std::int64_t block = static_cast<std::int64_t>(i) % elements / 4;
  const std::int64_t sample = call.step.micro_batch * shape[0] + n;
  const auto seed = call.step.seed;
  const auto bits = philox4x32(
      {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(sample),
       static_cast<std::uint32_t>(call.op.attributes.integer("stream")), static_cast<std::uint32_t>(call.step.step)},
      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32) ^ 0xD1B54A33U});
  return bits[draw];
}

void dropout(const Call& call) {
  const double rate = call.op.attributes.real("rate");
  const Shape& shape = call.in_shape(0);
  const auto elements = static_cast<std::size_t>(shape.elements() / shape[0]);
  for (std::size_t i = 0; i < call.in(0).size(); ++i) {
    const double draw = draw_of(call, shape, i, i % elements % 4);
    call.out(0)[i] = draw >= std::floor(rate * 4294967296.0) ? call.in(0)[i] / (1 - rate) : 0;
  }
}

void random_normal(const Call& call) {
  const Shape& shape = call.out_shape(0);
  const auto elements = static_cast<std::size_t>(shape.elements() / shape[0]);
  for (std::size_t i = 0; i < call.out(0).size(); ++i) {
    const std::size_t in_block = i % elements % 4;
    const double a = (draw_of(call, shape, i, in_block / 2 * 2) + 1.0) / 4294967296.0;
    const double b = draw_of(call, shape, i, in_block / 2 * 2 + 1) / 4294967296.0;
    const double angle = 2 * std::acos(-1.0) * b;
    call.out(0)[i] = std::sqrt(-2 * std::log(a)) * (in_block % 2 == 0 ? std::cos(angle) : std::sin(angle));
  }
}

}  // namespace

const std::map<std::string, Kernel>& array_kernels() {
  static const std::map<std::string, Kernel> kernels{{"split", split},
                                                     {"concatenate", concatenate},
                                                     {"transpose", transpose},
                                                     {"matmul", matmul},
                                                     {"embedding", embedding},
                                                     {"embedding_backward", embedding_backward},
                                                     {"embedding_dense", embedding_dense},
                                                     {"embedding_dense_backward", embedding_dense_backward},
                                                     {"not_equal", not_equal},
                                                     {"causal_mask", causal_mask},
                                                     {"dropout", dropout},
                                                     {"random_normal", random_normal}};
  return kernels;
}

}  // namespace skua::reference
