// Rows of a table by ids, their gradient, and both joined with the dense layer behind them.
#include <fmt/format.h>

#include <algorithm>
#include <span>
#include <stdexcept>

#include "../parallel.h"
#include "kernels.h"
#include "rows.h"

namespace skua::cpu {

namespace {

void check_ids(const std::int32_t* ids, std::int64_t count, std::int64_t rows) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (ids[i] < 0 || ids[i] >= rows) {
      throw std::invalid_argument(fmt::format("expected ids in [0,{}), got {} at position {}", rows, ids[i], i));
    }
  }
}

class Embedding final : public Kernel {
 public:
  Embedding(const Shape& weight, std::int64_t count) : rows_(weight[0]), columns_(weight[1]), count_(count) {}
  void run(const KernelArguments& arguments) override {
    const std::int32_t* const ids = arguments.in_ints(1);
    check_ids(ids, count_, rows_);
    for_each_row(count_, [=, this, weight = arguments.in(0), y = arguments.out(0)](std::int64_t i) {
      copy_row(weight + ids[i] * columns_, columns_, y + i * columns_);
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t count_;
};

// Which rows of a table occur in a list of ids, in the order in which they first do, and where.
class Occurrences {
 public:
  Occurrences(std::int64_t rows, std::int64_t count) : rows_(rows), count_(count) {}

  // Everything lies in scratch; the ids must be those of rows.
  struct Lists {
    std::int64_t found = 0;         // different ids
    std::int32_t* index = nullptr;  // by row: its place among those that occur; -1: it does not
    std::int32_t* ids = nullptr;    // by place
    std::int32_t* first = nullptr;  // by place, and an end: where its positions begin
    std::int32_t* positions = nullptr;

    [[nodiscard]] std::span<const std::int32_t> positions_of(std::int64_t place) const {
      return {positions + first[place], positions + first[place + 1]};
    }
  };
  [[nodiscard]] std::size_t scratch_bytes() const {
    return aligned(static_cast<std::size_t>(rows_ + 3 * count_ + 2) * sizeof(std::int32_t));
  }
  [[nodiscard]] Lists find(const std::int32_t* ids, void* scratch) const {
    Lists lists;
    lists.index = static_cast<std::int32_t*>(scratch);
    lists.ids = lists.index + rows_;
    lists.first = lists.ids + count_;
    lists.positions = lists.first + count_ + 2;
    std::fill_n(lists.index, rows_, -1);
    std::fill_n(lists.first, count_ + 2, 0);
    // `first` holds counts, two places on; then where the next position of each goes, one place on.
    for (std::int64_t i = 0; i < count_; ++i) {
      std::int32_t& index = lists.index[ids[i]];
      if (index < 0) {
        index = static_cast<std::int32_t>(lists.found);
        lists.ids[lists.found++] = ids[i];
      }
      ++lists.first[index + 2];
    }
    for (std::int64_t u = 2; u < lists.found + 2; ++u) lists.first[u] += lists.first[u - 1];
    for (std::int64_t i = 0; i < count_; ++i) {
      lists.positions[lists.first[lists.index[ids[i]] + 1]++] = static_cast<std::int32_t>(i);
    }
    return lists;
  }

 private:
  std::int64_t rows_;
  std::int64_t count_;
};

// Rows that lie anywhere are asked for so many rows ahead of their turn.
constexpr std::int64_t kAhead = 8;
void prefetch_row(const float* row, std::int64_t width) {
  constexpr std::int64_t kCacheLine = 16;
  for (std::int64_t c = 0; c < width; c += kCacheLine) __builtin_prefetch(row + c);
}

// The sum of the rows of x at these positions, in order; of many, as of a padding token, in double.
void sum_rows(const float* x, std::span<const std::int32_t> positions, std::int64_t width, float* sum) {
  constexpr std::size_t kMany = 64;
  constexpr std::int64_t kColumns = 64;
  if (positions.size() < kMany) {
    copy_row(x + positions[0] * width, width, sum);
    for (const std::int32_t position : positions.subspan(1)) {
      const float* const row = x + position * width;
#pragma omp simd
      for (std::int64_t c = 0; c < width; ++c) sum[c] += row[c];
    }
    return;
  }
  for (std::int64_t first = 0; first < width; first += kColumns) {
    const std::int64_t count = std::min(kColumns, width - first);
    double sums[kColumns] = {};
    for (const std::int32_t position : positions) {
      const float* const row = x + position * width + first;
#pragma omp simd
      for (std::int64_t c = 0; c < count; ++c) sums[c] += static_cast<double>(row[c]);
    }
    for (std::int64_t c = 0; c < count; ++c) sum[first + c] = static_cast<float>(sums[c]);
  }
}

void clear_absent_rows(const Occurrences::Lists& lists, std::int64_t rows, std::int64_t width, float* table) {
  for_each_row(rows, [=](std::int64_t row) {
    if (lists.index[row] < 0) std::fill_n(table + row * width, width, 0.0F);
  });
}

class EmbeddingBackward final : public Kernel {
 public:
  EmbeddingBackward(const Shape& dweight, std::int64_t count)
      : rows_(dweight[0]), columns_(dweight[1]), count_(count), occurrences_(rows_, count) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return occurrences_.scratch_bytes(); }
  void run(const KernelArguments& arguments) override {
    check_ids(arguments.in_ints(0), count_, rows_);
    const Occurrences::Lists lists = occurrences_.find(arguments.in_ints(0), arguments.scratch);
    float* const dweight = arguments.out(0);
    clear_absent_rows(lists, rows_, columns_, dweight);
    for_each_row(lists.found, [=, this, dy = arguments.in(1)](std::int64_t u) {
      sum_rows(dy, lists.positions_of(u), columns_, dweight + lists.ids[u] * columns_);
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t count_;
  Occurrences occurrences_;
};

struct EmbeddingDenseSizes {
  static constexpr std::int64_t kBlock = 256;  // rows that are multiplied together, so that they stay in the cache

  std::int64_t rows;   // of the table
  std::int64_t width;  // of the table
  std::int64_t units;
  std::int64_t count;  // of ids

  [[nodiscard]] std::size_t block_bytes() const {
    return static_cast<std::size_t>(kBlock * (width + units)) * sizeof(float);
  }
  void gather(const float* table, const std::int32_t* ids, std::int64_t block, float* x) const {
    for_each_row(block, [=, w = width](std::int64_t u) {
      if (u + kAhead < block) prefetch_row(table + ids[u + kAhead] * w, w);
      copy_row(table + ids[u] * w, w, x + u * w);
    });
  }
};

// Only rows that occur are multiplied, once each.
class EmbeddingDense final : public Kernel {
 public:
  explicit EmbeddingDense(const EmbeddingDenseSizes& sizes) : s_(sizes), occurrences_(sizes.rows, sizes.count) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return occurrences_.scratch_bytes() + s_.block_bytes(); }
  // table, ids, weight, [bias] to y
  void run(const KernelArguments& a) override {
    check_ids(a.in_ints(1), s_.count, s_.rows);
    const Occurrences::Lists lists = occurrences_.find(a.in_ints(1), a.scratch);
    auto* const x = reinterpret_cast<float*>(static_cast<std::byte*>(a.scratch) + occurrences_.scratch_bytes());
    float* const products = x + s_.kBlock * s_.width;
    const float* const bias = a.inputs.size() > 3 ? a.in(3) : nullptr;
    for (std::int64_t begin = 0; begin < lists.found; begin += s_.kBlock) {
      const std::int64_t block = std::min(s_.kBlock, lists.found - begin);
      s_.gather(a.in(0), lists.ids + begin, block, x);
      multiply({block, s_.units, s_.width}, {x, false, s_.width}, {a.in(2), true, s_.width}, 0, products, s_.units);
      for_each_row(block, [=, units = s_.units, y = a.out(0)](std::int64_t u) {
        float* const product = products + u * units;
        if (bias != nullptr) {
#pragma omp simd
          for (std::int64_t j = 0; j < units; ++j) product[j] += bias[j];
        }
        for (const std::int32_t position : lists.positions_of(begin + u))
          copy_row(product, units, y + position * units);
      });
    }
  }

 private:
  EmbeddingDenseSizes s_;
  Occurrences occurrences_;
};

// The gradient of each row that occurs is summed first.
class EmbeddingDenseBackward final : public Kernel {
 public:
  explicit EmbeddingDenseBackward(const EmbeddingDenseSizes& sizes)
      : s_(sizes), occurrences_(sizes.rows, sizes.count) {}
  [[nodiscard]] std::size_t scratch_bytes() const override {
    return occurrences_.scratch_bytes() + s_.block_bytes() +
           static_cast<std::size_t>(s_.kBlock * s_.width) * sizeof(float) +
           static_cast<std::size_t>(s_.units) * sizeof(double);
  }
  // table, ids, weight, dy to dtable, dweight, [dbias]
  void run(const KernelArguments& a) override {
    check_ids(a.in_ints(1), s_.count, s_.rows);
    const Occurrences::Lists lists = occurrences_.find(a.in_ints(1), a.scratch);
    auto* const bias_sums =
        reinterpret_cast<double*>(static_cast<std::byte*>(a.scratch) + occurrences_.scratch_bytes());
    auto* const x = reinterpret_cast<float*>(bias_sums + s_.units);
    float* const sums = x + s_.kBlock * s_.width;
    float* const dx = sums + s_.kBlock * s_.units;
    std::fill_n(bias_sums, s_.units, 0.0);
    clear_absent_rows(lists, s_.rows, s_.width, a.out(0));
    for (std::int64_t begin = 0; begin < lists.found; begin += s_.kBlock) {
      const std::int64_t block = std::min(s_.kBlock, lists.found - begin);
      for_each_row(block, [=, units = s_.units, dy = a.in(3)](std::int64_t u) {
        if (u + kAhead < block) prefetch_row(dy + lists.positions_of(begin + u + kAhead)[0] * units, units);
        sum_rows(dy, lists.positions_of(begin + u), units, sums + u * units);
      });
      multiply({block, s_.width, s_.units}, {sums, false, s_.units}, {a.in(2), false, s_.width}, 0, dx, s_.width);
      for_each_row(block, [=, width = s_.width, dtable = a.out(0)](std::int64_t u) {
        if (u + kAhead < block) prefetch_row(dtable + lists.ids[begin + u + kAhead] * width, width);
        copy_row(dx + u * width, width, dtable + lists.ids[begin + u] * width);
      });
      s_.gather(a.in(0), lists.ids + begin, block, x);
      multiply({s_.units, s_.width, block}, {sums, true, s_.units}, {x, false, s_.width}, begin == 0 ? 0.0F : 1.0F,
               a.out(1), s_.width);
      if (a.outputs.size() > 2) add_rows(sums, block, s_.units, bias_sums);
    }
    if (a.outputs.size() > 2) std::copy_n(bias_sums, s_.units, a.out(2));
  }

 private:
  EmbeddingDenseSizes s_;
  Occurrences occurrences_;
};

EmbeddingDenseSizes sizes_of(const NodeBuilder& builder) {
  const Shape& table = builder.input_type(0).shape;
  return {table[0], table[1], builder.input_type(2).shape[0], builder.input_type(1).shape.elements()};
}

}  // namespace

KernelPointer make_embedding(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<Embedding>(builder.input_type(0).shape, builder.input_type(1).shape.elements());
}

KernelPointer make_embedding_backward(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<EmbeddingBackward>(builder.output_type(0).shape, builder.input_type(0).shape.elements());
}

KernelPointer make_embedding_dense(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<EmbeddingDense>(sizes_of(builder));
}

KernelPointer make_embedding_dense_backward(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<EmbeddingDenseBackward>(sizes_of(builder));
}

}  // namespace skua::cpu
