// Sums in double on a GPU, in an order that the sizes alone fix.
#pragma once

#include "../kernel.h"
#include "launch.h"
#include "skua/engine/elementwise.h"

namespace skua::cuda {

struct Plus {
  template <class Sum>
  SKUA_HOST_DEVICE Sum operator()(const Sum& a, const Sum& b) const {
    return a + b;
  }
};

// All of [0, count).
namespace all {

inline constexpr std::int64_t kPart = 8192;

[[nodiscard]] inline std::int64_t parts(std::int64_t count) {
  return (count + kPart - 1) / kPart;
}

}  // namespace all

template <class Sum>
[[nodiscard]] std::size_t sum_bytes(std::int64_t count) {
  return static_cast<std::size_t>(all::parts(count)) * sizeof(Sum);
}

// finish(the sum of term(i) for i in [0, count)), once; `scratch` has sum_bytes<Sum>(count).
template <class Sum, class Term, class Finish>
void sum_all(GpuStream& stream, std::int64_t count, void* scratch, Term term, Finish finish) {
  const std::int64_t parts = all::parts(count);
  auto* const sums = static_cast<Sum*>(scratch);
  for_each_row(stream, parts, std::min(count, all::kPart), [=] SKUA_DEVICE(std::int64_t part, const Block& block) {
    const std::int64_t first = part * all::kPart;
    const std::int64_t length = count - first < all::kPart ? count - first : all::kPart;
    const Sum sum = block.reduce(
        length, Sum(), [=](std::int64_t i) { return term(first + i); }, Plus());
    if (block.first()) sums[part] = sum;
  });
  for_each_row(stream, 1, parts, [=] SKUA_DEVICE(std::int64_t, const Block& block) {
    const Sum sum = block.reduce(
        parts, Sum(), [=](std::int64_t i) { return sums[i]; }, Plus());
    if (block.first()) finish(sum);
  });
}

// Of a matrix (rows,columns), for each column.
namespace columns {

inline constexpr std::int64_t kPart = 64;  // rows that one thread adds

[[nodiscard]] inline std::int64_t parts(std::int64_t rows) {
  return (rows + kPart - 1) / kPart;
}

}  // namespace columns

template <class Sum>
[[nodiscard]] std::size_t column_sum_bytes(std::int64_t rows, std::int64_t width) {
  return static_cast<std::size_t>(columns::parts(rows) * width) * sizeof(Sum);
}

// finish(column, the sum of term(row, column) for row in [0, rows)); `scratch` has column_sum_bytes<Sum>(rows, width).
// Neighbouring threads take neighbouring columns.
template <class Sum, class Term, class Finish>
void sum_columns(GpuStream& stream, std::int64_t rows, std::int64_t width, void* scratch, Term term, Finish finish) {
  const std::int64_t parts = columns::parts(rows);
  auto* const sums = static_cast<Sum*>(scratch);
  for_each(stream, parts * width, [=] SKUA_DEVICE(std::int64_t i) {
    const std::int64_t first = i / width * columns::kPart;
    const std::int64_t end = first + columns::kPart < rows ? first + columns::kPart : rows;
    Sum sum = Sum();
    for (std::int64_t row = first; row < end; ++row) sum = sum + term(row, i % width);
    sums[i] = sum;
  });
  for_each(stream, width, [=] SKUA_DEVICE(std::int64_t column) {
    Sum sum = Sum();
    for (std::int64_t part = 0; part < parts; ++part) sum = sum + sums[part * width + column];
    finish(column, sum);
  });
}

}  // namespace skua::cuda
