// Where the strips of a convolution's three values lie, and their transforms in the matrices of the products.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "phase_axis.h"
#include "strip.h"

namespace skua::cpu {

inline std::int64_t rounded_up(std::int64_t count, std::int64_t unit) {
  return (count + unit - 1) / unit * unit;
}

enum class Side { kX, kWeight, kY };

// The matrices of one of the three values, one for each product, in rows of whole blocks of channels.
struct Matrices {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t strips = 0;
  // From the matrix of a product to the next: an odd number of cache lines, so that equal places differ in their set.
  [[nodiscard]] std::int64_t stride() const { return (rows * columns / 16 | 1) * 16 + 16 * (rows * columns % 16 != 0); }
};

template <class Basis>
struct Strip {
  std::int64_t data = 0;  // offset of its first sample
  std::int64_t row_stride = 0;
  std::int64_t column_stride = 0;
  std::int64_t matrix = 0;    // offset in the matrices
  std::int64_t channels = 0;  // lanes that are channels and not padding
  Bases<Basis> bases{};
};

struct Run {
  std::int64_t first;
  std::int64_t count;
};

// Strips of images are counted from the first of those worked at together. Those of one phase of a plane, which may
// overlap, follow each other: as many as tiles().
template <class Transform, int kLanes>
class TransformGeometry {
 public:
  using Basis = typename Transform::Basis;

  // `by_inputs`: the weight's strips and the columns of its matrices are of inputs, for the gradient by the image.
  TransformGeometry(const Window2d& window, bool by_inputs)
      : w_(window),
        by_inputs_(by_inputs),
        axes_(phase_axes(window)),
        rows_(Transform::pieces(axes_[0])),
        columns_(Transform::pieces(axes_[1])),
        in_(rounded_up(window.in_channels, kLanes)),
        out_(rounded_up(window.out_channels, kLanes)),
        phases_(window.stride_height * window.stride_width),
        tiles_(static_cast<std::int64_t>(rows_.y.size() * columns_.y.size())) {
    for (int kind = 0; kind < Transform::kProductKinds; ++kind) {
      phase_runs_.push_back(runs(rows_.weight, columns_.weight, kind));
      tile_runs_.push_back(runs(rows_.y, columns_.y, kind));
    }
  }

  [[nodiscard]] const Window2d& window() const { return w_; }
  [[nodiscard]] const PhaseAxes& axes() const { return axes_; }
  [[nodiscard]] std::int64_t in_channels() const { return in_; }  // in whole blocks
  [[nodiscard]] std::int64_t out_blocks() const { return out_ / kLanes; }
  [[nodiscard]] std::int64_t x_floats() const { return in_ * w_.height * w_.width; }  // of an image
  [[nodiscard]] std::int64_t y_floats() const { return out_ * w_.out_height * w_.out_width; }
  // Of the matrices of a product.
  [[nodiscard]] std::int64_t image_floats() const { return tiles_ * (phases_ * in_ + out_); }
  [[nodiscard]] std::int64_t tiles(Side side) const { return side == Side::kWeight ? 1 : tiles_; }

  // What products of a kind are not zero for, and needed.
  [[nodiscard]] const std::vector<Run>& phase_runs(int kind) const { return phase_runs_[at(kind)]; }
  [[nodiscard]] const std::vector<Run>& tile_runs(int kind) const { return tile_runs_[at(kind)]; }
  [[nodiscard]] bool is_whole(int kind) const {
    return is_one(phase_runs(kind), phases_) && is_one(tile_runs(kind), tiles_);
  }

  [[nodiscard]] Matrices matrices(Side side, std::int64_t images) const {
    switch (side) {
      case Side::kX:
        return {images * tiles_, phases_ * in_, images * in_ / kLanes * phases_ * tiles_};
      case Side::kWeight:
        return {by_inputs_ ? out_ : phases_ * in_, by_inputs_ ? phases_ * in_ : out_, in_ * phases_ * out_ / kLanes};
      default:
        return {images * tiles_, out_, images * out_ / kLanes * tiles_};
    }
  }

  template <Side kSide>
  [[nodiscard]] Strip<Basis> strip(std::int64_t i, std::int64_t images) const {
    if constexpr (kSide == Side::kX) return x_strip(i, images);
    if constexpr (kSide == Side::kWeight) return by_inputs_ ? weight_strip_of_inputs(i) : weight_strip(i);
    return y_strip(i, images);
  }

  // All of the image's phase in which a strip lies.
  void clear_phase(std::int64_t i, float* x) const {
    const Phase p = phase(i / tiles_);
    const std::int64_t rows = axes_[0].pixels(p.row);
    const std::int64_t columns = axes_[1].pixels(p.column);
    const Plane<float> plane{x + ((p.strip * w_.height + p.row) * w_.width + p.column) * kLanes,
                             w_.stride_height * w_.width * kLanes, w_.stride_width * kLanes};
    for_each_sample(plane, rows, columns, [](float* lanes) { std::fill_n(lanes, kLanes, 0.0F); });
  }

 private:
  using AxisPieces = std::vector<Piece<Basis>>;
  struct Phase {
    std::int64_t strip;
    std::int64_t row;
    std::int64_t column;
  };

  [[nodiscard]] Phase phase(std::int64_t i) const {
    return {i / phases_, i % phases_ / w_.stride_width, i % w_.stride_width};
  }
  [[nodiscard]] Strip<Basis> x_strip(std::int64_t i, std::int64_t images) const {
    const std::int64_t tile = i % tiles_;
    const auto [block, row, column] = phase(i / tiles_);
    const std::int64_t image = block * kLanes / in_;
    const std::int64_t channel = block * kLanes % in_;
    const auto [rows, columns] = tile_pieces(rows_.x[at(row)], columns_.x[at(column)], tile);
    const std::int64_t top = row + w_.stride_height * rows->start;
    const std::int64_t left = column + w_.stride_width * columns->start;
    return {((block * w_.height + top) * w_.width + left) * kLanes,
            w_.stride_height * w_.width * kLanes,
            w_.stride_width * kLanes,
            ((tile * images + image) * phases_ + row * w_.stride_width + column) * in_ + channel,
            w_.in_channels - channel,
            {&rows->basis, &columns->basis}};
  }
  // [outputs / kLanes][inputs][taps][kLanes]; the matrices' rows for channels that are padding have no data.
  [[nodiscard]] Strip<Basis> weight_strip(std::int64_t i) const {
    const auto [strip, row, column] = phase(i);
    const std::int64_t input = strip % in_;
    const std::int64_t block = strip / in_;
    return taps_strip(block * w_.in_channels + input, row, column, (i % phases_ * in_ + input) * out_ + block * kLanes,
                      input < w_.in_channels ? w_.out_channels - block * kLanes : 0);
  }
  // [outputs][inputs / kLanes][taps][kLanes]
  [[nodiscard]] Strip<Basis> weight_strip_of_inputs(std::int64_t i) const {
    const auto [strip, row, column] = phase(i);
    const std::int64_t output = strip * kLanes / in_;
    const std::int64_t input = strip * kLanes % in_;
    return taps_strip(strip, row, column, (output * phases_ + i % phases_) * in_ + input,
                      output < w_.out_channels ? w_.in_channels - input : 0);
  }
  // Of a phase of the kernel's `strip`.
  [[nodiscard]] Strip<Basis> taps_strip(std::int64_t strip, std::int64_t row, std::int64_t column, std::int64_t matrix,
                                        std::int64_t channels) const {
    const std::int64_t top = strip * w_.kernel_height + axes_[0].first_tap(row);
    return {(top * w_.kernel_width + axes_[1].first_tap(column)) * kLanes,
            w_.stride_height * w_.kernel_width * kLanes,
            w_.stride_width * kLanes,
            matrix,
            channels,
            {&rows_.weight[at(row)].basis, &columns_.weight[at(column)].basis}};
  }
  [[nodiscard]] Strip<Basis> y_strip(std::int64_t i, std::int64_t images) const {
    const std::int64_t tile = i % tiles_;
    const std::int64_t block = i / tiles_;
    const std::int64_t image = block * kLanes / out_;
    const std::int64_t channel = block * kLanes % out_;
    const auto [rows, columns] = tile_pieces(rows_.y, columns_.y, tile);
    return {((block * w_.out_height + rows->start) * w_.out_width + columns->start) * kLanes,
            w_.out_width * kLanes,
            kLanes,
            (tile * images + image) * out_ + channel,
            w_.out_channels - channel,
            {&rows->basis, &columns->basis}};
  }

  static std::size_t at(std::int64_t i) { return static_cast<std::size_t>(i); }
  using PiecePair = std::pair<const Piece<Basis>*, const Piece<Basis>*>;
  static PiecePair tile_pieces(const AxisPieces& rows, const AxisPieces& columns, std::int64_t tile) {
    return {&rows[at(tile) / columns.size()], &columns[at(tile) % columns.size()]};
  }

  static bool is_one(const std::vector<Run>& runs, std::int64_t count) {
    return runs.size() == 1 && runs.front().count == count;
  }
  static std::vector<Run> runs(const AxisPieces& rows, const AxisPieces& columns, int kind) {
    std::vector<Run> runs;
    std::int64_t i = 0;
    for (const Piece<Basis>& row : rows) {
      for (const Piece<Basis>& column : columns) {
        if (Transform::needs(kind, row.basis, column.basis)) {
          if (runs.empty() || runs.back().first + runs.back().count != i) runs.push_back({i, 0});
          ++runs.back().count;
        }
        ++i;
      }
    }
    return runs;
  }

  Window2d w_;
  bool by_inputs_;
  PhaseAxes axes_;
  Pieces<Basis> rows_;
  Pieces<Basis> columns_;
  std::int64_t in_;  // channels in whole blocks
  std::int64_t out_;
  std::int64_t phases_;
  std::int64_t tiles_;
  std::vector<std::vector<Run>> phase_runs_;  // by kind of product
  std::vector<std::vector<Run>> tile_runs_;
};

}  // namespace skua::cpu
