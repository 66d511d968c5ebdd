// Recurrences over plain sequences: at each step one product with weight_hh, then the cell, sample by sample.
#include <algorithm>

#include "../parallel.h"
#include "kernels.h"
#include "rows.h"
#include "skua/engine/recurrent_cells.h"

namespace skua::cpu {

namespace {

struct Sizes {
  std::int64_t batch;
  std::int64_t steps;
  std::int64_t units;
  bool reverse;

  // The i-th step to run.
  [[nodiscard]] std::int64_t step(std::int64_t i) const { return reverse ? steps - 1 - i : i; }
  // Of row (n,t) in a sequence `width` elements wide.
  [[nodiscard]] std::int64_t at(std::int64_t n, std::int64_t t, std::int64_t width) const {
    return (n * steps + t) * width;
  }
};

bool is_masked(const float* mask, std::int64_t row) {
  return mask != nullptr && mask[row] == 0;
}

// The states that a sequence holds, step by step, and the one before the first step run.
struct States {
  const float* first;
  const float* sequence;

  [[nodiscard]] const float* before(const Sizes& s, std::int64_t i, std::int64_t n) const {
    return i == 0 ? first + n * s.units : sequence + s.at(n, s.step(i - 1), s.units);
  }
};

template <class Cell>
class Recurrence final : public Kernel {
 public:
  explicit Recurrence(const Sizes& sizes)
      : s_(sizes), hidden_({s_.batch, kWide * s_.units, s_.units}, s_.units, true, false) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return array_bytes() + hidden_.scratch_bytes(); }
  // gates, weight_hh, bias_hh, h0, [c0], [mask] to y, h_n, [c_n], [activations], [cells]
  void run(const KernelArguments& a) override {
    constexpr std::size_t kStates = Cell::kHasCells ? 2 : 1;
    const float* const mask = a.inputs.size() > 3 + kStates ? a.in(3 + kStates) : nullptr;
    float* const y = a.out(0);
    float* const kept = Cell::kKept > 0 ? a.out(1 + kStates) : nullptr;
    float* const cells = Cell::kHasCells ? a.out(4) : nullptr;
    const States h{a.in(3), y};
    const States c{Cell::kHasCells ? a.in(4) : nullptr, cells};
    auto* const hidden = static_cast<float*>(a.scratch);
    const std::int64_t wide = kWide * s_.units;
    float* const before = hidden + s_.batch * wide;
    void* const packed = static_cast<std::byte*>(a.scratch) + array_bytes();
    hidden_.pack(a.in(1), packed);
    for (std::int64_t i = 0; i < s_.steps; ++i) {
      const std::int64_t t = s_.step(i);
      for_each_row(s_.batch,
                   [=, this](std::int64_t n) { copy_row(h.before(s_, i, n), s_.units, before + n * s_.units); });
      hidden_.run(before, hidden, packed);
      for_each_row(s_.batch, [&, this](std::int64_t n) {
        const std::int64_t at = s_.at(n, t, 1);
        float* const c_now = Cell::kHasCells ? cells + at * s_.units : nullptr;
        const float* const c_before = Cell::kHasCells ? c.before(s_, i, n) : nullptr;
        float* const kept_now = Cell::kKept > 0 ? kept + at * Cell::kKept * s_.units : nullptr;
        if (is_masked(mask, at)) {
          copy_row(h.before(s_, i, n), s_.units, y + at * s_.units);
          if (Cell::kHasCells) copy_row(c_before, s_.units, c_now);
          if (Cell::kKept > 0) std::fill_n(kept_now, Cell::kKept * s_.units, 0.0F);
          return;
        }
        const recurrent::ForwardStep step{s_.units,
                                          a.in(0) + at * wide,
                                          hidden + n * wide,
                                          a.in(2),
                                          h.before(s_, i, n),
                                          c_before,
                                          y + at * s_.units,
                                          c_now,
                                          kept_now};
#pragma omp simd
        for (std::int64_t j = 0; j < step.units; ++j) Cell::forward(step, j);
      });
    }
    for (std::int64_t n = 0; n < s_.batch; ++n) {
      copy_row(h.before(s_, s_.steps, n), s_.units, a.out(1) + n * s_.units);
      if (Cell::kHasCells) copy_row(c.before(s_, s_.steps, n), s_.units, a.out(2) + n * s_.units);
    }
  }

 private:
  static constexpr std::int64_t kWide = Cell::kGates;
  [[nodiscard]] std::size_t array_bytes() const {
    return aligned(static_cast<std::size_t>(s_.batch * (kWide + 1) * s_.units) * sizeof(float));
  }

  Sizes s_;
  PackedProduct hidden_;  // of the states before a step, side by side
};

template <class Cell>
class RecurrenceBackward final : public Kernel {
 public:
  explicit RecurrenceBackward(const Sizes& sizes)
      : s_(sizes), dstate_({s_.batch, s_.units, wide()}, wide(), false, true) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return array_bytes() + dstate_.scratch_bytes(); }
  // weight_hh, h0, [c0], y, [activations], [cells], dy, dh_n, [dc_n], [mask] to dgates, dweight_hh, dbias_hh, dh0,
  // [dc0]
  void run(const KernelArguments& a) override {
    constexpr std::size_t kStates = Cell::kHasCells ? 2 : 1;
    constexpr std::size_t kY = 1 + kStates;
    constexpr std::size_t kDy = kY + 1 + (Cell::kKept > 0 ? 1 : 0) + (Cell::kHasCells ? 1 : 0);
    constexpr std::size_t kMask = kDy + 1 + kStates;
    Arrays arrays;
    arrays.h = {a.in(1), a.in(kY)};
    arrays.c = {Cell::kHasCells ? a.in(2) : nullptr, Cell::kHasCells ? a.in(kY + 2) : nullptr};
    arrays.kept = Cell::kKept > 0 ? a.in(kY + 1) : nullptr;
    arrays.dy = a.in(kDy);
    arrays.mask = a.inputs.size() > kMask ? a.in(kMask) : nullptr;
    arrays.dgates = a.out(0);
    arrays.dh = a.out(3);  // the running gradients by the states
    arrays.dc = Cell::kHasCells ? a.out(4) : nullptr;
    arrays.dweight = a.out(1);
    arrays.dbias = static_cast<double*>(a.scratch);
    arrays.total = reinterpret_cast<float*>(arrays.dbias + wide());
    arrays.before = arrays.total + state_count();
    arrays.dhidden = arrays.before + chunk_steps() * state_count();
    arrays.packed = static_cast<std::byte*>(a.scratch) + array_bytes();
    dstate_.pack(a.in(0), arrays.packed);
    std::fill_n(arrays.dbias, wide(), 0.0);
    copy_row(a.in(kDy + 1), state_count(), arrays.dh);
    if (Cell::kHasCells) copy_row(a.in(kDy + 2), state_count(), arrays.dc);
    for (std::int64_t end = s_.steps; end > 0; end -= chunk_steps()) {
      run_chunk(arrays, std::max<std::int64_t>(0, end - chunk_steps()), end);
    }
    std::copy_n(arrays.dbias, wide(), a.out(2));
  }

 private:
  struct Arrays {
    States h;
    States c;
    const float* kept;
    const float* dy;
    const float* mask;
    float* dgates;
    float* dh;       // (N,H)
    float* dc;       // (N,H)
    float* total;    // (N,H): by h of the step
    float* before;   // (steps of a chunk,N,H): h before each step
    float* dhidden;  // (steps of a chunk,N,gates H)
    float* dweight;  // (gates H,H)
    double* dbias;   // (gates H)
    void* packed;    // weight
  };

  [[nodiscard]] std::int64_t wide() const { return Cell::kGates * s_.units; }
  [[nodiscard]] std::int64_t state_count() const { return s_.batch * s_.units; }

  [[nodiscard]] std::size_t array_bytes() const {
    const std::int64_t floats = state_count() + chunk_steps() * s_.batch * (s_.units + wide());
    return aligned(static_cast<std::size_t>(wide()) * sizeof(double) +
                   static_cast<std::size_t>(floats) * sizeof(float));
  }
  // So many that what is kept of them stays in the cache.
  [[nodiscard]] std::int64_t chunk_steps() const {
    constexpr std::int64_t kCacheFloats = 1 << 17;
    return std::clamp<std::int64_t>(kCacheFloats / (s_.batch * (s_.units + wide())), 1, s_.steps);
  }

  // `slot`: of the step's place in the chunk.
  void run_cells(const Arrays& arrays, std::int64_t i, std::int64_t slot) const {
    const std::int64_t t = s_.step(i);
    const std::int64_t units = s_.units;
    for_each_row(s_.batch, [&, this](std::int64_t n) {
      const std::int64_t at = s_.at(n, t, 1);
      float* const total = arrays.total + n * units;
      const float* const dy = arrays.dy + at * units;
      float* const dh = arrays.dh + n * units;
      for (std::int64_t j = 0; j < units; ++j) total[j] = dh[j] + dy[j];
      float* const dgates = arrays.dgates + at * wide();
      float* const dhidden = arrays.dhidden + (slot * s_.batch + n) * wide();
      copy_row(arrays.h.before(s_, i, n), units, arrays.before + (slot * s_.batch + n) * units);
      if (is_masked(arrays.mask, at)) {
        std::fill_n(dgates, wide(), 0.0F);
        std::fill_n(dhidden, wide(), 0.0F);
        copy_row(total, units, dh);
        return;
      }
      const recurrent::BackwardStep step{units,
                                         arrays.h.sequence + at * units,
                                         Cell::kHasCells ? arrays.c.sequence + at * units : nullptr,
                                         arrays.h.before(s_, i, n),
                                         Cell::kHasCells ? arrays.c.before(s_, i, n) : nullptr,
                                         Cell::kKept > 0 ? arrays.kept + at * Cell::kKept * units : nullptr,
                                         total,
                                         Cell::kHasCells ? arrays.dc + n * units : nullptr,
                                         dgates,
                                         dhidden,
                                         dh};
#pragma omp simd
      for (std::int64_t j = 0; j < units; ++j) Cell::backward(step, j);
      if (!Cell::kHiddenDiffers) copy_row(dgates, wide(), dhidden);
    });
  }

  // Steps [first, end), the last one first; then what they add to the gradients of weight and bias.
  void run_chunk(const Arrays& arrays, std::int64_t first, std::int64_t end) {
    for (std::int64_t i = end - 1; i >= first; --i) {
      const std::int64_t slot = end - 1 - i;
      run_cells(arrays, i, slot);
      dstate_.run(arrays.dhidden + slot * s_.batch * wide(), arrays.dh, arrays.packed);
    }
    const std::int64_t rows = (end - first) * s_.batch;
    multiply({wide(), s_.units, rows}, {arrays.dhidden, true, wide()}, {arrays.before, false, s_.units},
             end == s_.steps ? 0.0F : 1.0F, arrays.dweight, s_.units);
    add_rows(arrays.dhidden, rows, wide(), arrays.dbias);
  }

  Sizes s_;
  PackedProduct dstate_;
};

template <template <class> class RecurrenceKernel, class Cell>
KernelPointer make(NodeBuilder& builder, const Shape& y) {
  read_all_plain(builder);
  const bool reverse = builder.op().attributes.integer("reverse") == 1;
  return std::make_unique<RecurrenceKernel<Cell>>(Sizes{y[0], y[1], y[2], reverse});
}

template <class Cell>
KernelPointer make_forward(NodeBuilder& builder) {
  if (Cell::kKept == Cell::kGates) builder.may_overwrite(0, Cell::kHasCells ? 3 : 2);  // activations for gates
  if (Cell::kKept == 0) builder.may_overwrite(0, 0);
  return make<Recurrence, Cell>(builder, builder.output_type(0).shape);
}
template <class Cell>
KernelPointer make_backward(NodeBuilder& builder) {
  if (Cell::kKept == Cell::kGates) builder.may_overwrite(Cell::kHasCells ? 4 : 3, 0);
  if (Cell::kKept == 0) builder.may_overwrite(3, 0);  // dgates for dy
  return make<RecurrenceBackward, Cell>(builder, builder.input_type(Cell::kHasCells ? 3 : 2).shape);
}

}  // namespace

KernelPointer make_simple_rnn(NodeBuilder& builder) {
  const bool tanh = builder.op().attributes.text("activation") == "tanh";
  return tanh ? make_forward<recurrent::TanhCell>(builder) : make_forward<recurrent::ReluCell>(builder);
}
KernelPointer make_simple_rnn_backward(NodeBuilder& builder) {
  const bool tanh = builder.op().attributes.text("activation") == "tanh";
  return tanh ? make_backward<recurrent::TanhCell>(builder) : make_backward<recurrent::ReluCell>(builder);
}

KernelPointer make_lstm(NodeBuilder& builder) {
  return make_forward<recurrent::LstmCell>(builder);
}
KernelPointer make_lstm_backward(NodeBuilder& builder) {
  return make_backward<recurrent::LstmCell>(builder);
}

KernelPointer make_gru(NodeBuilder& builder) {
  return make_forward<recurrent::GruCell>(builder);
}
KernelPointer make_gru_backward(NodeBuilder& builder) {
  return make_backward<recurrent::GruCell>(builder);
}

}  // namespace skua::cpu
