// A row-major product as BLAS has it, by columns.
#pragma once

#include <algorithm>
#include <cstdint>

#include "libraries.h"

namespace skua::cuda {

// d (m,n) = op(a) (m,k) by op(b) (k,n), each stored column by column, with so many elements from a column to the next.
// What is stored row by row is its transpose stored column by column, and y' = b' a': so BLAS's a is the product's b,
// and its b the product's a. A bias for each of y's columns is one for each of d's rows, as cuBLASLt has it.
struct ColumnProduct {
  struct Operand {
    bool transposed = false;
    std::int64_t rows = 0;  // as stored
    std::int64_t columns = 0;
    std::int64_t leading = 0;
    std::int64_t batch_stride = 0;
  };
  Operand a;
  Operand b;
  Operand d;
};

[[nodiscard]] inline ColumnProduct by_columns(const ProductSpec& spec) {
  // `count` stored rows of `length` elements. The stride of a single one means nothing, and may be too small for BLAS.
  const auto stored = [](bool transposed, std::int64_t count, std::int64_t length, std::int64_t stride,
                         std::int64_t batch_stride) {
    return ColumnProduct::Operand{transposed, length, count, std::max(stride, length), batch_stride};
  };
  const ProductSpec::Operand& a = spec.a;
  const ProductSpec::Operand& b = spec.b;
  return {.a = b.transposed ? stored(true, spec.columns, spec.inner, b.stride, b.batch_stride)
                            : stored(false, spec.inner, spec.columns, b.stride, b.batch_stride),
          .b = a.transposed ? stored(true, spec.inner, spec.rows, a.stride, a.batch_stride)
                            : stored(false, spec.rows, spec.inner, a.stride, a.batch_stride),
          .d = stored(false, spec.rows, spec.columns, spec.y_stride, spec.y_batch_stride)};
}

}  // namespace skua::cuda
