// A row-major product handed to BLAS gives the same when it is computed as BLAS does: by columns.
#include "engine/cuda/product_layout.h"

#include <gtest/gtest.h>

#include "naive_product.h"

namespace skua::test {
namespace {

using cuda::ColumnProduct;

TEST(ProductLayout, BlasComputesTheRowMajorProduct) {
  for (const ProductProblem& problem : product_problems()) {
    const cuda::ProductSpec& spec = problem.spec;
    const ColumnProduct product = cuda::by_columns(spec);
    // op(x) at (i,j).
    const auto at = [](const ColumnProduct::Operand& x, const std::vector<float>& data, std::int64_t batch,
                       std::int64_t i, std::int64_t j) {
      if (x.transposed) std::swap(i, j);
      EXPECT_LT(i, x.rows);
      EXPECT_LT(j, x.columns);
      EXPECT_GE(x.leading, x.rows);
      return static_cast<double>(data.at(static_cast<std::size_t>(batch * x.batch_stride + j * x.leading + i)));
    };
    std::vector<double> y(problem.y.begin(), problem.y.end());
    const std::int64_t inner = product.a.transposed ? product.a.rows : product.a.columns;
    for (std::int64_t batch = 0; batch < spec.count; ++batch) {
      for (std::int64_t i = 0; i < product.d.rows; ++i) {
        for (std::int64_t j = 0; j < product.d.columns; ++j) {
          double& to = y.at(static_cast<std::size_t>(batch * product.d.batch_stride + j * product.d.leading + i));
          double sum = spec.beta * to + (spec.bias ? problem.bias.at(static_cast<std::size_t>(i)) : 0);
          for (std::int64_t k = 0; k < inner; ++k) {
            sum += at(product.a, problem.b, batch, i, k) * at(product.b, problem.a, batch, k, j);
          }
          to = sum;
        }
      }
    }
    EXPECT_EQ(y, naive_product(problem));
  }
}

TEST(ProductLayout, TheStrideOfASingleRowMeansNothing) {
  cuda::ProductSpec spec{.rows = 1, .columns = 3, .inner = 2, .a = {.stride = 1}, .b = {.stride = 3}, .y_stride = 1};
  const ColumnProduct product = cuda::by_columns(spec);
  EXPECT_EQ(product.b.leading, 2);
  EXPECT_EQ(product.d.leading, 3);
}

}  // namespace
}  // namespace skua::test
