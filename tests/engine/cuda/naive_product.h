// ProductSpec read literally: row by row, in double precision. And specs that have every freedom at least once.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/cuda/libraries.h"

namespace skua::test {

struct ProductProblem {
  cuda::ProductSpec spec;
  std::vector<float> a;
  std::vector<float> b;
  std::vector<float> bias;
  std::vector<float> y;  // before
};

inline std::vector<float> random_floats(std::int64_t count, std::uint64_t seed) {
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<float>((i * 2654435761U + seed * 40503U) % 1021) / 510.5F - 1;
  }
  return values;
}

// `pad` elements lie between rows, and as many between the operands of a batch.
inline ProductProblem make_problem(std::int64_t rows, std::int64_t columns, std::int64_t inner, bool transposed_a,
                                   bool transposed_b, std::int64_t count, std::int64_t pad, bool add, bool bias) {
  ProductProblem problem;
  cuda::ProductSpec& s = problem.spec;
  s.rows = rows;
  s.columns = columns;
  s.inner = inner;
  s.count = count;
  s.a = {transposed_a, (transposed_a ? rows : inner) + pad, 0};
  s.b = {transposed_b, (transposed_b ? inner : columns) + pad, 0};
  s.y_stride = columns + pad;
  s.a.batch_stride = (transposed_a ? inner : rows) * s.a.stride + pad;
  s.b.batch_stride = (transposed_b ? columns : inner) * s.b.stride + pad;
  s.y_batch_stride = rows * s.y_stride + pad;
  s.beta = add ? 1 : 0;
  s.bias = bias;
  problem.a = random_floats(count * s.a.batch_stride, 1);
  problem.b = random_floats(count * s.b.batch_stride, 2);
  problem.bias = random_floats(columns, 3);
  problem.y = random_floats(count * s.y_batch_stride, 4);
  return problem;
}

inline std::vector<ProductProblem> product_problems() {
  std::vector<ProductProblem> problems;
  for (const bool transposed_a : {false, true}) {
    for (const bool transposed_b : {false, true}) {
      for (const std::int64_t pad : {0, 3}) {
        problems.push_back(make_problem(5, 7, 11, transposed_a, transposed_b, 1, pad, false, false));
        problems.push_back(make_problem(64, 32, 16, transposed_a, transposed_b, 1, pad, true, false));
        problems.push_back(make_problem(8, 12, 33, transposed_a, transposed_b, 1, pad, false, true));
        problems.push_back(make_problem(6, 4, 9, transposed_a, transposed_b, 3, pad, false, false));
        problems.push_back(make_problem(3, 10, 2, transposed_a, transposed_b, 2, pad, true, false));
        problems.push_back(make_problem(1, 1, 300, transposed_a, transposed_b, 1, pad, false, false));
      }
    }
  }
  return problems;
}

inline std::vector<double> naive_product(const ProductProblem& problem) {
  const cuda::ProductSpec& s = problem.spec;
  std::vector<double> y(problem.y.begin(), problem.y.end());
  const auto at = [](const std::vector<float>& data, const cuda::ProductSpec::Operand& operand, std::int64_t batch,
                     std::int64_t row, std::int64_t column) {
    const std::int64_t place = operand.transposed ? column * operand.stride + row : row * operand.stride + column;
    return static_cast<double>(data[static_cast<std::size_t>(batch * operand.batch_stride + place)]);
  };
  for (std::int64_t batch = 0; batch < s.count; ++batch) {
    for (std::int64_t row = 0; row < s.rows; ++row) {
      for (std::int64_t column = 0; column < s.columns; ++column) {
        double& to = y[static_cast<std::size_t>(batch * s.y_batch_stride + row * s.y_stride + column)];
        double sum = s.beta * to + (s.bias ? problem.bias[static_cast<std::size_t>(column)] : 0);
        for (std::int64_t k = 0; k < s.inner; ++k) {
          sum += at(problem.a, s.a, batch, row, k) * at(problem.b, s.b, batch, k, column);
        }
        to = sum;
      }
    }
  }
  return y;
}

}  // namespace skua::test
