// Recurrences over sequences: at each step one product with weight_hh, then the cell, a thread for each unit of a
// sample.
#include <algorithm>

#include "kernels.h"
#include "scratch.h"
#include "skua/engine/recurrent_cells.h"
#include "sums.h"

namespace skua::cuda {

namespace {

struct Sizes {
  std::int64_t batch;
  std::int64_t steps;
  std::int64_t units;
  bool reverse;

  // The i-th step to run.
  [[nodiscard]] SKUA_HOST_DEVICE std::int64_t step(std::int64_t i) const { return reverse ? steps - 1 - i : i; }
  [[nodiscard]] std::int64_t state_count() const { return batch * units; }
  [[nodiscard]] std::int64_t sequence_count() const { return batch * steps * units; }
};

SKUA_HOST_DEVICE inline bool is_masked(const float* mask, std::int64_t row) {
  return mask != nullptr && mask[row] == 0;
}

// The states that a sequence holds, step by step, and the one before the first step run.
struct States {
  const float* first;
  const float* sequence;

  [[nodiscard]] SKUA_HOST_DEVICE const float* before(const Sizes& s, std::int64_t i, std::int64_t n) const {
    return i == 0 ? first + n * s.units : sequence + (n * s.steps + s.step(i - 1)) * s.units;
  }
};

// What the i-th step of a forward pass reads and writes; one call for each unit of each sample.
template <class Cell>
struct ForwardUnit {
  Sizes s;
  std::int64_t i;
  const float* gates;
  const float* hidden;  // (N, gates H)
  const float* bias;
  States h;
  States c;
  const float* mask;
  float* y;
  float* cells;
  float* kept;

  SKUA_HOST_DEVICE void operator()(std::int64_t index) const {
    const std::int64_t n = index / s.units;
    const std::int64_t j = index % s.units;
    const std::int64_t row = n * s.steps + s.step(i);
    recurrent::ForwardStep step{};
    step.units = s.units;
    step.gates = gates + row * Cell::kGates * s.units;
    step.hidden = hidden + n * Cell::kGates * s.units;
    step.bias = bias;
    step.h_before = h.before(s, i, n);
    step.h = y + row * s.units;
    if constexpr (Cell::kHasCells) {
      step.c_before = c.before(s, i, n);
      step.c = cells + row * s.units;
    }
    if constexpr (Cell::kKept > 0) step.kept = kept + row * Cell::kKept * s.units;
    if (!is_masked(mask, row)) return Cell::forward(step, j);
    step.h[j] = step.h_before[j];
    if constexpr (Cell::kHasCells) step.c[j] = step.c_before[j];
    for (std::int64_t k = 0; k < Cell::kKept; ++k) step.kept[k * s.units + j] = 0;
  }
};

template <class Cell>
class Recurrence final : public Kernel {
 public:
  Recurrence(Libraries& libraries, const Sizes& sizes) : s_(sizes) {
    ProductSpec spec;
    spec.rows = s_.batch;
    spec.columns = Cell::kGates * s_.units;
    spec.inner = s_.units;
    spec.a = {false, s_.units, 0};
    spec.b = {true, s_.units, 0};
    spec.y_stride = spec.columns;
    from_first_ = libraries.product(spec);
    spec.a.stride = s_.steps * s_.units;
    from_sequence_ = libraries.product(spec);
    hidden_ = scratch_.add_floats(s_.batch * spec.columns);
    workspace_ = scratch_.add(std::max(from_first_->workspace_bytes(), from_sequence_->workspace_bytes()));
  }
  [[nodiscard]] std::size_t scratch_bytes() const override { return scratch_.bytes(); }

  // gates, weight_hh, bias_hh, h0, [c0], [mask] to y, h_n, [c_n], [activations], [cells]
  void submit(const Arguments& a) override {
    constexpr std::size_t kStates = Cell::kHasCells ? 2 : 1;
    auto* const hidden = static_cast<float*>(piece(a.scratch, hidden_));
    ForwardUnit<Cell> unit{};
    unit.s = s_;
    unit.gates = a.in(0);
    unit.hidden = hidden;
    unit.bias = a.in(2);
    unit.y = a.out(0);
    unit.h = {a.in(3), unit.y};
    if (Cell::kHasCells) unit.cells = a.out(4);
    if (Cell::kHasCells) unit.c = {a.in(4), unit.cells};
    if (Cell::kKept > 0) unit.kept = a.out(1 + kStates);
    if (a.inputs.size() > 3 + kStates) unit.mask = a.in(3 + kStates);
    for (unit.i = 0; unit.i < s_.steps; ++unit.i) {
      Prepared& product = unit.i == 0 ? *from_first_ : *from_sequence_;
      product.run(a.stream, unit.h.before(s_, unit.i, 0), a.in(1), nullptr, hidden, piece(a.scratch, workspace_));
      for_each(a.stream, s_.state_count(), unit);
    }
    copy_last(a.stream, unit.h, a.out(1));
    if (Cell::kHasCells) copy_last(a.stream, unit.c, a.out(2));
  }

  void copy_last(GpuStream& stream, const States& states, float* to) const {
    const Sizes s = s_;
    for_each(stream, s.state_count(),
             [=] SKUA_DEVICE(std::int64_t i) { to[i] = states.before(s, s.steps, i / s.units)[i % s.units]; });
  }

 private:
  Sizes s_;
  std::unique_ptr<Prepared> from_first_;
  std::unique_ptr<Prepared> from_sequence_;
  Scratch scratch_;
  std::size_t hidden_;
  std::size_t workspace_;
};

// What the i-th step of a backward pass reads and writes, but for the product that follows.
template <class Cell>
struct BackwardUnit {
  Sizes s;
  std::int64_t i;
  States h;
  States c;
  const float* kept;
  const float* dy;
  const float* mask;
  float* dgates;
  float* dhidden;  // (N,T,gates H); dgates where they do not differ
  float* dh;       // (N,H): in: by h of this step; out: by the h before, but for what goes through the product
  float* dc;       // (N,H)
  float* before;   // (N,T,H): the state before each step

  SKUA_HOST_DEVICE void operator()(std::int64_t index) const {
    const std::int64_t n = index / s.units;
    const std::int64_t j = index % s.units;
    const std::int64_t row = n * s.steps + s.step(i);
    recurrent::BackwardStep step{};
    step.units = s.units;
    step.h = h.sequence + row * s.units;
    step.h_before = h.before(s, i, n);
    step.dgates = dgates + row * Cell::kGates * s.units;
    step.dhidden = dhidden + row * Cell::kGates * s.units;
    step.dh = step.dh_direct = dh + n * s.units;
    if constexpr (Cell::kHasCells) {
      step.c = c.sequence + row * s.units;
      step.c_before = c.before(s, i, n);
      step.dc = dc + n * s.units;
    }
    if constexpr (Cell::kKept > 0) step.kept = kept + row * Cell::kKept * s.units;
    dh[index] += dy[row * s.units + j];
    before[row * s.units + j] = step.h_before[j];
    if (!is_masked(mask, row)) return Cell::backward(step, j);
    for (std::int64_t k = 0; k < Cell::kGates; ++k) step.dgates[k * s.units + j] = step.dhidden[k * s.units + j] = 0;
  }
};

template <class Cell>
class RecurrenceBackward final : public Kernel {
 public:
  RecurrenceBackward(Libraries& libraries, const Sizes& sizes) : s_(sizes) {
    ProductSpec step;
    step.rows = s_.batch;
    step.columns = s_.units;
    step.inner = wide();
    step.a = {false, s_.steps * wide(), 0};
    step.b = {false, s_.units, 0};
    step.y_stride = s_.units;
    step.beta = 1;
    to_state_ = libraries.product(step);
    ProductSpec weight;
    weight.rows = wide();
    weight.columns = s_.units;
    weight.inner = rows();
    weight.a = {true, wide(), 0};
    weight.b = {false, s_.units, 0};
    weight.y_stride = s_.units;
    to_weight_ = libraries.product(weight);
    before_ = scratch_.add_floats(s_.sequence_count());
    dhidden_ = scratch_.add_floats(Cell::kHiddenDiffers ? rows() * wide() : 0);
    sums_ = scratch_.add(column_sum_bytes<double>(rows(), wide()));
    workspace_ = scratch_.add(std::max(to_state_->workspace_bytes(), to_weight_->workspace_bytes()));
  }
  [[nodiscard]] std::size_t scratch_bytes() const override { return scratch_.bytes(); }

  // weight_hh, h0, [c0], y, [activations], [cells], dy, dh_n, [dc_n], [mask] to dgates, dweight_hh, dbias_hh, dh0,
  // [dc0]
  void submit(const Arguments& a) override {
    constexpr std::size_t kStates = Cell::kHasCells ? 2 : 1;
    constexpr std::size_t kY = 1 + kStates;
    constexpr std::size_t kDy = kY + 1 + (Cell::kKept > 0 ? 1 : 0) + (Cell::kHasCells ? 1 : 0);
    constexpr std::size_t kMask = kDy + 1 + kStates;
    BackwardUnit<Cell> unit{};
    unit.s = s_;
    unit.h = {a.in(1), a.in(kY)};
    if (Cell::kHasCells) unit.c = {a.in(2), a.in(kY + 2)};
    if (Cell::kKept > 0) unit.kept = a.in(kY + 1);
    unit.dy = a.in(kDy);
    if (a.inputs.size() > kMask) unit.mask = a.in(kMask);
    unit.dgates = a.out(0);
    unit.dhidden = Cell::kHiddenDiffers ? static_cast<float*>(piece(a.scratch, dhidden_)) : unit.dgates;
    unit.before = static_cast<float*>(piece(a.scratch, before_));
    unit.dh = a.out(3);
    const std::size_t state_bytes = static_cast<std::size_t>(s_.state_count()) * sizeof(float);
    a.stream.copy(unit.dh, a.in(kDy + 1), state_bytes);
    if (Cell::kHasCells) {
      unit.dc = a.out(4);
      a.stream.copy(unit.dc, a.in(kDy + 2), state_bytes);
    }
    void* const workspace = piece(a.scratch, workspace_);
    for (unit.i = s_.steps - 1; unit.i >= 0; --unit.i) {
      for_each(a.stream, s_.state_count(), unit);
      to_state_->run(a.stream, unit.dhidden + s_.step(unit.i) * wide(), a.in(0), nullptr, unit.dh, workspace);
    }
    to_weight_->run(a.stream, unit.dhidden, unit.before, nullptr, a.out(1), workspace);
    sum_bias(a, unit.dhidden, a.out(2));
  }

  void sum_bias(const Arguments& a, const float* dhidden, float* dbias) const {
    const std::int64_t width = wide();
    sum_columns<double>(
        a.stream, rows(), width, piece(a.scratch, sums_),
        [=] SKUA_DEVICE(std::int64_t row, std::int64_t column) {
          return static_cast<double>(dhidden[row * width + column]);
        },
        [=] SKUA_DEVICE(std::int64_t column, double sum) { dbias[column] = static_cast<float>(sum); });
  }

 private:
  [[nodiscard]] std::int64_t wide() const { return Cell::kGates * s_.units; }
  [[nodiscard]] std::int64_t rows() const { return s_.batch * s_.steps; }

  Sizes s_;
  std::unique_ptr<Prepared> to_state_;
  std::unique_ptr<Prepared> to_weight_;
  Scratch scratch_;
  std::size_t before_;
  std::size_t dhidden_;
  std::size_t sums_;
  std::size_t workspace_;
};

Sizes sizes_of(const NodeView& node, const Shape& y) {
  return {y[0], y[1], y[2], node.op.attributes.integer("reverse") == 1};
}
template <class Cell>
KernelPointer make_forward(const NodeView& node) {
  return std::make_unique<Recurrence<Cell>>(node.libraries, sizes_of(node, node.outputs[0].shape));
}
template <class Cell>
KernelPointer make_backward(const NodeView& node) {
  const Shape& y = node.inputs[Cell::kHasCells ? 3 : 2].shape;
  return std::make_unique<RecurrenceBackward<Cell>>(node.libraries, sizes_of(node, y));
}

}  // namespace

KernelPointer make_simple_rnn(const NodeView& node) {
  const bool tanh = node.op.attributes.text("activation") == "tanh";
  return tanh ? make_forward<recurrent::TanhCell>(node) : make_forward<recurrent::ReluCell>(node);
}
KernelPointer make_simple_rnn_backward(const NodeView& node) {
  const bool tanh = node.op.attributes.text("activation") == "tanh";
  return tanh ? make_backward<recurrent::TanhCell>(node) : make_backward<recurrent::ReluCell>(node);
}

KernelPointer make_lstm(const NodeView& node) {
  return make_forward<recurrent::LstmCell>(node);
}
KernelPointer make_lstm_backward(const NodeView& node) {
  return make_backward<recurrent::LstmCell>(node);
}

KernelPointer make_gru(const NodeView& node) {
  return make_forward<recurrent::GruCell>(node);
}
KernelPointer make_gru_backward(const NodeView& node) {
  return make_backward<recurrent::GruCell>(node);
}

}  // namespace skua::cuda
