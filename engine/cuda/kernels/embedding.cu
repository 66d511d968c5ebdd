// Rows of a table by ids, and their gradient.
#include <algorithm>
#include <initializer_list>
#include <utility>
#include <vector>

#include "checks.h"
#include "kernels.h"
#include "scratch.h"
#include "skua/engine/elementwise.h"

namespace skua::cuda {

namespace {

SKUA_HOST_DEVICE bool is_id(std::int32_t id, std::int64_t rows) {
  return id >= 0 && id < rows;
}

class Embedding final : public Kernel {
 public:
  Embedding(const Shape& weight, std::int64_t count) : rows_(weight[0]), columns_(weight[1]), count_(count) {}
  [[nodiscard]] bool finds_faults() const override { return true; }
  [[nodiscard]] std::string describe(const Fault& fault) const override { return describe_id(fault, rows_); }
  void submit(const Arguments& arguments) override {
    const float* const weight = arguments.in(0);
    const std::int32_t* const ids = arguments.in_ints(1);
    float* const y = arguments.out(0);
    check_range(arguments, ids, count_, rows_);
    const std::int64_t rows = rows_;
    const std::int64_t columns = columns_;
    for_each(arguments.stream, count_ * columns, [=] SKUA_DEVICE(std::int64_t i) {
      const std::int32_t id = ids[i / columns];
      y[i] = is_id(id, rows) ? weight[id * columns + i % columns] : 0.0F;
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t count_;
};

// An id and its position in one number: the order is by id, then by position.
using Key = std::uint64_t;

struct Keys {
  const Key* of;
  std::int64_t count;

  [[nodiscard]] SKUA_HOST_DEVICE std::uint32_t id(std::int64_t i) const {
    return static_cast<std::uint32_t>(of[i] >> 32);
  }
  [[nodiscard]] SKUA_HOST_DEVICE std::int64_t position(std::int64_t i) const {
    return static_cast<std::uint32_t>(of[i]);
  }
  // The key before has another id.
  [[nodiscard]] SKUA_HOST_DEVICE bool starts_row(std::int64_t i) const { return i == 0 || id(i) != id(i - 1); }
  // The key i is the last of its row.
  [[nodiscard]] SKUA_HOST_DEVICE bool ends_row(std::int64_t i) const { return i + 1 == count || id(i) != id(i + 1); }
};

// Merges neighbouring sorted runs, `width` long, in pairs: each key counts those of the other run that are smaller.
struct MergeRuns {
  const Key* from;
  Key* to;
  std::int64_t count;
  std::int64_t width;

  SKUA_HOST_DEVICE void operator()(std::int64_t i) const {
    const std::int64_t pair = i / (2 * width) * 2 * width;
    const bool in_first = i < pair + width;
    const std::int64_t other = in_first ? pair + width : pair;
    std::int64_t low = other < count ? other : count;
    std::int64_t high = other + width < count ? other + width : count;
    const std::int64_t begin = low;
    while (low < high) {
      const std::int64_t middle = (low + high) / 2;
      if (from[middle] < from[i]) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    const std::int64_t own = in_first ? i - pair : i - pair - width;
    to[pair + own + low - begin] = from[i];
  }
};

constexpr std::int64_t kPart = 64;

// A row's sum is made of pieces, which end where the row or a part of kPart keys ends. A piece that is all of its row
// is the row's gradient; the sums of others are kept, by part: first the one that began before the part or at its
// start.
struct SumPieces {
  Keys keys;
  const float* dy;
  std::int64_t rows;
  std::int64_t columns;
  double* sums;  // (parts,2,columns)
  float* dweight;

  SKUA_HOST_DEVICE void operator()(std::int64_t index) const {
    const std::int64_t begin = index / columns;
    const std::int64_t column = index % columns;
    const bool starts_row = keys.starts_row(begin);
    if (!starts_row && begin % kPart != 0) return;
    if (keys.id(begin) >= rows) return;
    double sum = 0;
    std::int64_t i = begin;
    while (true) {
      sum += static_cast<double>(dy[keys.position(i) * columns + column]);
      if (keys.ends_row(i) || (i + 1) % kPart == 0) break;
      ++i;
    }
    if (starts_row && keys.ends_row(i)) {
      dweight[keys.id(begin) * columns + column] = static_cast<float>(sum);
    } else {
      sums[(begin / kPart * 2 + (begin % kPart == 0 ? 0 : 1)) * columns + column] = sum;
    }
  }
};

// For the row that begins in a part and goes on behind it: the sum of its pieces.
struct JoinPieces {
  Keys keys;
  std::int64_t rows;
  std::int64_t columns;
  const double* sums;
  float* dweight;

  SKUA_HOST_DEVICE void operator()(std::int64_t index) const {
    std::int64_t part = index / columns;
    const std::int64_t column = index % columns;
    const std::int64_t begin = part * kPart;
    std::int64_t last = begin + kPart - 1;
    if (last >= keys.count || keys.ends_row(last) || keys.id(last) >= rows) return;
    const bool from_begin = keys.id(begin) == keys.id(last);
    if (from_begin && !keys.starts_row(begin)) return;
    double sum = sums[(part * 2 + (from_begin ? 0 : 1)) * columns + column];
    while (!keys.ends_row(last)) {
      ++part;
      sum += sums[part * 2 * columns + column];
      // Where the row ends within this part, nothing behind is its own.
      const std::int64_t end = part * kPart + kPart - 1;
      last = end < keys.count && keys.id(end) == keys.id(last) ? end : row_end(part * kPart);
    }
    dweight[keys.id(begin + kPart - 1) * columns + column] = static_cast<float>(sum);
  }

  [[nodiscard]] SKUA_HOST_DEVICE std::int64_t row_end(std::int64_t i) const {
    while (!keys.ends_row(i)) ++i;
    return i;
  }
};

// The keys are sorted, so that each row's positions lie side by side in their order; sums are in double.
class EmbeddingBackward final : public Kernel {
 public:
  EmbeddingBackward(const Shape& dweight, std::int64_t count)
      : rows_(dweight[0]), columns_(dweight[1]), count_(count), parts_((count + kPart - 1) / kPart) {
    for (std::size_t& keys : keys_) keys = scratch_.add(static_cast<std::size_t>(count) * sizeof(Key));
    sums_ = scratch_.add(static_cast<std::size_t>(2 * parts_ * columns_) * sizeof(double));
  }
  [[nodiscard]] std::size_t scratch_bytes() const override { return scratch_.bytes(); }
  [[nodiscard]] bool finds_faults() const override { return true; }
  [[nodiscard]] std::string describe(const Fault& fault) const override { return describe_id(fault, rows_); }

  void submit(const Arguments& arguments) override {
    check_range(arguments, arguments.in_ints(0), count_, rows_);
    const Keys keys = sort(arguments);
    float* const dweight = arguments.out(0);
    for_each(arguments.stream, rows_ * columns_, [=] SKUA_DEVICE(std::int64_t i) { dweight[i] = 0; });
    auto* const sums = static_cast<double*>(piece(arguments.scratch, sums_));
    for_each(arguments.stream, count_ * columns_, SumPieces{keys, arguments.in(1), rows_, columns_, sums, dweight});
    for_each(arguments.stream, parts_ * columns_, JoinPieces{keys, rows_, columns_, sums, dweight});
  }

  // Ids that are none are the largest.
  [[nodiscard]] Keys sort(const Arguments& arguments) const {
    const std::int32_t* const ids = arguments.in_ints(0);
    auto* from = static_cast<Key*>(piece(arguments.scratch, keys_[0]));
    auto* to = static_cast<Key*>(piece(arguments.scratch, keys_[1]));
    const std::int64_t rows = rows_;
    for_each(arguments.stream, count_, [=] SKUA_DEVICE(std::int64_t i) {
      const Key id = is_id(ids[i], rows) ? static_cast<Key>(ids[i]) : 0xffffffffU;
      from[i] = id << 32 | static_cast<Key>(i);
    });
    for (std::int64_t width = 1; width < count_; width *= 2) {
      for_each(arguments.stream, count_, MergeRuns{from, to, count_, width});
      std::swap(from, to);
    }
    return {from, count_};
  }

 private:
  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t count_;
  std::int64_t parts_;
  Scratch scratch_;
  std::size_t keys_[2];
  std::size_t sums_;
};

// By the kernels of `embedding` and `dense`, with the rows (T,D) and their gradient in scratch.
class EmbeddingWithDense : public Kernel {
 public:
  [[nodiscard]] std::size_t scratch_bytes() const override { return scratch_.bytes(); }
  [[nodiscard]] bool finds_faults() const override { return true; }
  [[nodiscard]] std::string describe(const Fault& fault) const override { return embedding_->describe(fault); }

 protected:
  // table, ids, weight, ...
  explicit EmbeddingWithDense(const NodeView& node)
      : row_type_{outputs_of(node.inputs[1].shape, node.inputs[0].shape.last())},
        embedding_(make_embedding({node.op, {node.inputs[0], node.inputs[1]}, {row_type_}, node.libraries})),
        rows_(scratch_.add(row_type_.bytes())) {}

  [[nodiscard]] const ValueType& row_type() const { return row_type_; }
  // All parts' scratch is one piece.
  void add_part_scratch(std::initializer_list<const Kernel*> parts) {
    std::size_t most = embedding_->scratch_bytes();
    for (const Kernel* part : parts) most = std::max(most, part->scratch_bytes());
    parts_ = scratch_.add(most);
  }
  void* rows(const Arguments& a) const { return piece(a.scratch, rows_); }
  void submit_rows(const Arguments& a) { submit_part(*embedding_, a, {a.inputs[0], a.inputs[1]}, {rows(a)}); }
  void submit_part(Kernel& part, const Arguments& a, std::initializer_list<void*> inputs,
                   std::initializer_list<void*> outputs) const {
    part.submit({a.stream, {inputs.begin(), inputs.size()}, {outputs.begin(), outputs.size()}, piece(a.scratch, parts_),
                 a.step, a.fault, a.micro_batch});
  }

 private:
  static ValueType outputs_of(const Shape& ids, std::int64_t columns) {
    std::vector<std::int64_t> extents = ids.extents();
    extents.push_back(columns);
    return {Shape(std::move(extents))};
  }

  ValueType row_type_;
  KernelPointer embedding_;
  Scratch scratch_;
  std::size_t rows_;
  std::size_t parts_ = 0;
};

class EmbeddingDense final : public EmbeddingWithDense {
 public:
  explicit EmbeddingDense(const NodeView& node) : EmbeddingWithDense(node) {
    std::vector<ValueType> inputs{row_type()};
    inputs.insert(inputs.end(), node.inputs.begin() + 2, node.inputs.end());
    dense_ = make_dense({node.op, std::move(inputs), node.outputs, node.libraries});
    add_part_scratch({dense_.get()});
  }
  void submit(const Arguments& a) override {
    submit_rows(a);
    if (a.inputs.size() > 3) {
      submit_part(*dense_, a, {rows(a), a.inputs[2], a.inputs[3]}, {a.outputs[0]});
    } else {
      submit_part(*dense_, a, {rows(a), a.inputs[2]}, {a.outputs[0]});
    }
  }

 private:
  KernelPointer dense_;
};

class EmbeddingDenseBackward final : public EmbeddingWithDense {
 public:
  explicit EmbeddingDenseBackward(const NodeView& node) : EmbeddingWithDense(node) {
    const ValueType& dy = node.inputs[3];
    const std::vector<ValueType> weight_outputs(node.outputs.begin() + 1, node.outputs.end());
    weight_ = make_dense_backward_weight({node.op, {row_type(), dy}, weight_outputs, node.libraries});
    data_ = make_dense_backward_data({node.op, {dy, node.inputs[2]}, {row_type()}, node.libraries});
    table_ = make_embedding_backward({node.op, {node.inputs[1], row_type()}, {node.outputs[0]}, node.libraries});
    add_part_scratch({weight_.get(), data_.get(), table_.get()});
  }
  void submit(const Arguments& a) override {
    submit_rows(a);
    if (a.outputs.size() > 2) {
      submit_part(*weight_, a, {rows(a), a.inputs[3]}, {a.outputs[1], a.outputs[2]});
    } else {
      submit_part(*weight_, a, {rows(a), a.inputs[3]}, {a.outputs[1]});
    }
    submit_part(*data_, a, {a.inputs[3], a.inputs[2]}, {rows(a)});
    submit_part(*table_, a, {a.inputs[1], rows(a)}, {a.outputs[0]});
  }

 private:
  KernelPointer weight_;
  KernelPointer data_;
  KernelPointer table_;
};

}  // namespace

KernelPointer make_embedding(const NodeView& node) {
  return std::make_unique<Embedding>(node.inputs[0].shape, node.inputs[1].shape.elements());
}
KernelPointer make_embedding_backward(const NodeView& node) {
  return std::make_unique<EmbeddingBackward>(node.outputs[0].shape, node.inputs[0].shape.elements());
}
KernelPointer make_embedding_dense(const NodeView& node) {
  return std::make_unique<EmbeddingDense>(node);
}
KernelPointer make_embedding_dense_backward(const NodeView& node) {
  return std::make_unique<EmbeddingDenseBackward>(node);
}

}  // namespace skua::cuda
