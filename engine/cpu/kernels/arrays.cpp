// Moving elements between plain arrays, and products of batches of matrices.
#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "../parallel.h"
#include "kernels.h"

namespace skua::cpu {

namespace {

// One array that lies in pieces along an axis in several others; all elements have four bytes.
class Pieces {
 public:
  Pieces(const Shape& whole, std::size_t axis, const std::vector<std::int64_t>& extents) {
    std::int64_t inner = 1;
    for (std::size_t i = axis + 1; i < whole.rank(); ++i) inner *= whole[i];
    for (std::size_t i = 0; i < axis; ++i) outer_ *= whole[i];
    row_ = whole[axis] * inner;
    for (const std::int64_t extent : extents) widths_.push_back(extent * inner);
  }

  // copy(piece, offset in the piece, offset in the whole, count of elements)
  template <class Copy>
  void for_each_run(Copy copy) const {
    for_each_row(outer_, [=, this](std::int64_t outer) {
      std::int64_t offset = outer * row_;
      for (std::size_t i = 0; i < widths_.size(); ++i) {
        copy(i, outer * widths_[i], offset, static_cast<std::size_t>(widths_[i]));
        offset += widths_[i];
      }
    });
  }

 private:
  std::int64_t outer_ = 1;
  std::int64_t row_ = 1;
  std::vector<std::int64_t> widths_;
};

constexpr std::size_t kElement = 4;
static_assert(sizeof(float) == kElement && sizeof(std::int32_t) == kElement);

std::byte* at(void* data, std::int64_t offset) {
  return static_cast<std::byte*>(data) + static_cast<std::size_t>(offset) * kElement;
}

class Split final : public Kernel {
 public:
  explicit Split(Pieces pieces) : pieces_(std::move(pieces)) {}
  void run(const KernelArguments& arguments) override {
    pieces_.for_each_run([&](std::size_t piece, std::int64_t to, std::int64_t from, std::size_t count) {
      std::memcpy(at(arguments.outputs[piece], to), at(arguments.inputs[0], from), count * kElement);
    });
  }

 private:
  Pieces pieces_;
};

class Concatenate final : public Kernel {
 public:
  explicit Concatenate(Pieces pieces) : pieces_(std::move(pieces)) {}
  void run(const KernelArguments& arguments) override {
    pieces_.for_each_run([&](std::size_t piece, std::int64_t from, std::int64_t to, std::size_t count) {
      std::memcpy(at(arguments.outputs[0], to), at(arguments.inputs[piece], from), count * kElement);
    });
  }

 private:
  Pieces pieces_;
};

// Writes in order; the innermost output axis is a strided run of the input.
class Transpose final : public Kernel {
 public:
  Transpose(const Shape& x, const std::vector<std::int64_t>& permutation) {
    std::vector<std::int64_t> strides(x.rank(), 1);
    for (std::size_t i = x.rank(); i-- > 1;) strides[i - 1] = strides[i] * x[i];
    for (const std::int64_t axis : permutation) {
      extents_.push_back(x[static_cast<std::size_t>(axis)]);
      strides_.push_back(strides[static_cast<std::size_t>(axis)]);
    }
    if (!extents_.empty()) run_ = extents_.back();
    rows_ = x.elements() / run_;
  }
  void run(const KernelArguments& arguments) override {
    const float* const x = arguments.in(0);
    float* const y = arguments.out(0);
    const std::int64_t stride = strides_.empty() ? 1 : strides_.back();
    for_each_row(rows_, [=, this](std::int64_t row) {
      std::int64_t index = row;
      std::int64_t offset = 0;
      for (std::size_t i = extents_.size(); i-- > 1;) {
        offset += index % extents_[i - 1] * strides_[i - 1];
        index /= extents_[i - 1];
      }
      for (std::int64_t i = 0; i < run_; ++i) y[row * run_ + i] = x[offset + i * stride];
    });
  }

 private:
  std::vector<std::int64_t> extents_;
  std::vector<std::int64_t> strides_;  // of x, by axis of y
  std::int64_t run_ = 1;
  std::int64_t rows_ = 1;
};

class MatMul final : public Kernel {
 public:
  MatMul(const Shape& a, const Shape& b, const Shape& y, bool transpose_a, bool transpose_b)
      : batch_(y[0]),
        a_size_(a[1] * a[2]),
        b_size_(b[1] * b[2]),
        a_{transpose_a, a[2]},
        b_{transpose_b, b[2]},
        rows_(y[1]),
        columns_(y[2]),
        inner_(a[transpose_a ? 1 : 2]) {}
  void run(const KernelArguments& arguments) override {
    for (std::int64_t i = 0; i < batch_; ++i) {
      multiply({rows_, columns_, inner_}, {arguments.in(0) + i * a_size_, a_.transposed, a_.stride},
               {arguments.in(1) + i * b_size_, b_.transposed, b_.stride}, 0, arguments.out(0) + i * rows_ * columns_,
               columns_);
    }
  }

 private:
  struct Operand {
    bool transposed;
    std::int64_t stride;
  };
  std::int64_t batch_;
  std::int64_t a_size_;
  std::int64_t b_size_;
  Operand a_;
  Operand b_;
  std::int64_t rows_;
  std::int64_t columns_;
  std::int64_t inner_;
};

class NotEqual final : public Kernel {
 public:
  NotEqual(std::int64_t value, std::int64_t count) : value_(value), count_(count) {}
  void run(const KernelArguments& arguments) override {
    const std::int32_t* const ids = arguments.in_ints(0);
    float* const y = arguments.out(0);
    for_each_element(count_, [=, value = value_](std::int64_t i) { y[i] = ids[i] != value ? 1.0F : 0.0F; });
  }

 private:
  std::int64_t value_;
  std::int64_t count_;
};

class CausalMask final : public Kernel {
 public:
  explicit CausalMask(const Shape& x) : rows_(x[0] * x[1]), steps_(x[1]) {}
  void run(const KernelArguments& arguments) override {
    for_each_row(rows_, [=, this, x = arguments.in(0), y = arguments.out(0)](std::int64_t row) {
      const std::int64_t seen = row % steps_ + 1;
      const float* const from = x + row * steps_;
      float* const to = y + row * steps_;
      std::copy(from, from + seen, to);
      std::fill(to + seen, to + steps_, std::numeric_limits<float>::lowest());
    });
  }

 private:
  std::int64_t rows_;
  std::int64_t steps_;
};

}  // namespace

KernelPointer make_split(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<Split>(Pieces(builder.input_type(0).shape,
                                        static_cast<std::size_t>(builder.op().attributes.integer("axis")),
                                        builder.op().attributes.integers("sizes")));
}

KernelPointer make_concatenate(NodeBuilder& builder) {
  read_all_plain(builder);
  const auto axis = static_cast<std::size_t>(builder.op().attributes.integer("axis"));
  std::vector<std::int64_t> extents;
  for (const ValueType& type : builder.input_types()) extents.push_back(type.shape[axis]);
  return std::make_unique<Concatenate>(Pieces(builder.output_type(0).shape, axis, extents));
}

KernelPointer make_transpose(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<Transpose>(builder.input_type(0).shape, builder.op().attributes.integers("permutation"));
}

KernelPointer make_matmul(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<MatMul>(builder.input_type(0).shape, builder.input_type(1).shape,
                                  builder.output_type(0).shape, builder.op().attributes.integer("transpose_a") == 1,
                                  builder.op().attributes.integer("transpose_b") == 1);
}

KernelPointer make_not_equal(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<NotEqual>(builder.op().attributes.integer("value"), builder.input_type(0).shape.elements());
}

KernelPointer make_causal_mask(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<CausalMask>(builder.input_type(0).shape);
}

}  // namespace skua::cpu
