#include "fourier_convolution.h"

#include "../parallel.h"
#include "fourier_strip.h"

namespace skua::cpu {

namespace {

using dnnl::memory;

// Products of one chunk that are to fit a core's share of the last cache.
constexpr std::int64_t kMostMatrixBytes = 8 << 20;

std::int64_t rounded_up(std::int64_t count, std::int64_t unit) {
  return (count + unit - 1) / unit * unit;
}

// One of the three values as matrices, one for each product, in rows of whole blocks of channels.
struct Side {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t strips = 0;
  // From the matrix of a product to the next: an odd number of cache lines, so that equal places differ in their set.
  [[nodiscard]] std::int64_t stride() const { return (rows * columns / 16 | 1) * 16 + 16 * (rows * columns % 16 != 0); }
};

struct Strip {
  std::int64_t data = 0;  // offset of its first sample
  std::int64_t row_stride = 0;
  std::int64_t column_stride = 0;
  std::int64_t matrix = 0;    // offset in the matrices
  std::int64_t channels = 0;  // lanes that are channels and not padding
  Bases bases{};
};

template <int kLanes>
class Geometry {
 public:
  explicit Geometry(const Window2d& window)
      : w_(window),
        axes_(fourier_axes(window)),
        in_(rounded_up(window.in_channels, kLanes)),
        out_(rounded_up(window.out_channels, kLanes)),
        phases_(window.stride_height * window.stride_width) {
    for (std::size_t axis = 0; axis < 2; ++axis) {
      const FourierAxis& a = axes_[axis];
      const std::int64_t length = a.length();
      lengths_[axis] = length;
      y_[axis].emplace_back(length, 0, a.out);
      for (std::int64_t phase = 0; phase < a.stride; ++phase) {
        x_[axis].emplace_back(length, a.shift(phase), a.pixels(phase));
        weight_[axis].emplace_back(length, 0, a.taps(phase));
      }
    }
  }

  [[nodiscard]] const std::array<std::int64_t, 2>& lengths() const { return lengths_; }
  [[nodiscard]] Side x() const { return {w_.batch, phases_ * in_, w_.batch * in_ / kLanes * phases_}; }
  [[nodiscard]] Side weight() const { return {phases_ * in_, out_, in_ * phases_ * out_ / kLanes}; }
  [[nodiscard]] Side y() const { return {w_.batch, out_, w_.batch * out_ / kLanes}; }

  [[nodiscard]] Strip x_strip(std::int64_t i) const {
    const auto [block, row, column] = phase(i);
    const std::int64_t channel = block * kLanes % in_;
    return {((block * w_.height + row) * w_.width + column) * kLanes,
            w_.stride_height * w_.width * kLanes,
            w_.stride_width * kLanes,
            (i / phases_ * kLanes - channel) * phases_ + i % phases_ * in_ + channel,
            w_.in_channels - channel,
            bases(x_, row, column)};
  }
  // [outputs / kLanes][inputs][taps][kLanes]; the matrices' rows for inputs that are padding have no data.
  [[nodiscard]] Strip weight_strip(std::int64_t i) const {
    const auto [strip, row, column] = phase(i);
    const std::int64_t input = strip % in_;
    const std::int64_t block = strip / in_;
    const std::int64_t taps = w_.kernel_height * w_.kernel_width;
    const std::int64_t tap = axes_[0].first_tap(row) * w_.kernel_width + axes_[1].first_tap(column);
    return {((block * w_.in_channels + input) * taps + tap) * kLanes,
            w_.stride_height * w_.kernel_width * kLanes,
            w_.stride_width * kLanes,
            (i % phases_ * in_ + input) * out_ + block * kLanes,
            input < w_.in_channels ? w_.out_channels - block * kLanes : 0,
            bases(weight_, row, column)};
  }
  [[nodiscard]] Strip y_strip(std::int64_t i) const {
    return {i * w_.out_height * w_.out_width * kLanes, w_.out_width * kLanes, kLanes, i * kLanes,
            w_.out_channels - i * kLanes % out_,       bases(y_, 0, 0)};
  }

 private:
  struct Phase {
    std::int64_t strip;
    std::int64_t row;
    std::int64_t column;
  };
  using AxisBases = std::array<std::vector<FourierBasis>, 2>;

  [[nodiscard]] Phase phase(std::int64_t i) const {
    return {i / phases_, i % phases_ / w_.stride_width, i % w_.stride_width};
  }
  [[nodiscard]] Bases bases(const AxisBases& of, std::int64_t row, std::int64_t column) const {
    return {&of[0][static_cast<std::size_t>(row)], &of[1][static_cast<std::size_t>(column)], lengths_[0], lengths_[1]};
  }

  Window2d w_;
  std::array<FourierAxis, 2> axes_;
  std::int64_t in_;  // channels in whole blocks
  std::int64_t out_;
  std::int64_t phases_;
  std::array<std::int64_t, 2> lengths_{};
  AxisBases x_;
  AxisBases weight_;
  AxisBases y_;
};

template <int kLanes, ConvolutionPart kPart>
class FourierConvolution final : public Kernel {
  static constexpr bool kForward = kPart == ConvolutionPart::kForward;
  static constexpr bool kWeight = kPart == ConvolutionPart::kBackwardWeight;

 public:
  FourierConvolution(const Window2d& window, bool bias)
      : geometry_(window),
        bias_(bias),
        out_channels_(window.out_channels),
        first_(kForward || kWeight ? geometry_.x() : geometry_.y()),
        second_(kWeight ? geometry_.y() : geometry_.weight()),
        result_(kForward  ? geometry_.y()
                : kWeight ? geometry_.weight()
                          : geometry_.x()) {
    const std::int64_t bytes = (first_.stride() + second_.stride() + result_.stride()) * std::int64_t{sizeof(float)};
    chunks_ = frequency_chunks(geometry_.lengths()[0], geometry_.lengths()[1], kMostMatrixBytes / bytes);
    for (const FrequencyChunk& chunk : chunks_) products_ = std::max(products_, chunk.products);
  }

  [[nodiscard]] std::size_t scratch_bytes() const override {
    const std::int64_t floats = products_ * (first_.stride() + second_.stride() + result_.stride()) + bias_floats();
    return static_cast<std::size_t>(floats) * sizeof(float);
  }

  void run(const KernelArguments& a) override {
    auto* const first = static_cast<float*>(a.scratch);
    float* const second = first + products_ * first_.stride();
    float* const result = second + products_ * second_.stride();
    float* const bias = result + products_ * result_.stride();  // forward
    if constexpr (kForward) {
      std::fill_n(bias, bias_floats(), 0.0F);
      if (bias_) std::copy_n(a.in(2), out_channels_, bias);
    }
    for (const FrequencyChunk& chunk : chunks_) {
      const bool starts = &chunk == chunks_.data();
      analyse_all<false>(chunk, a.in(0), first);
      analyse_all<true>(chunk, a.in(1), second);
      for (std::int64_t p = 0; p < chunk.products; ++p) {
        multiply_product(first + p * first_.stride(), second + p * second_.stride(), result + p * result_.stride());
      }
      if (kWeight && bias_ && starts) sum_bias(second, a.out(1));
      synthesise_all(chunk, result, starts ? bias : nullptr, a.out(0));
    }
  }

 private:
  [[nodiscard]] std::int64_t bias_floats() const { return kForward ? result_.columns : 0; }

  template <bool kSecond>
  [[nodiscard]] Strip strip(std::int64_t i) const {
    if constexpr (kSecond) return kWeight ? geometry_.y_strip(i) : geometry_.weight_strip(i);
    return kForward || kWeight ? geometry_.x_strip(i) : geometry_.y_strip(i);
  }
  [[nodiscard]] Strip result_strip(std::int64_t i) const {
    return kForward ? geometry_.y_strip(i) : kWeight ? geometry_.weight_strip(i) : geometry_.x_strip(i);
  }

  template <bool kSecond>
  void analyse_all(const FrequencyChunk& chunk, const float* data, float* to) const {
    const Side& side = kSecond ? second_ : first_;
    // A correlation: the transform of the second is conjugated, but for the gradient by the image.
    const float sign = kSecond && (kForward || kWeight) ? -1.0F : 1.0F;
    for_each_row(side.strips, [=, this, &chunk](std::int64_t i) {
      const Strip s = strip<kSecond>(i);
      if (s.channels <= 0) return clear<kLanes>(chunk, to + s.matrix, side.stride());
      if (i + 1 < side.strips) {
        const Strip next = strip<kSecond>(i + 1);
        prefetch({data + next.data, next.row_stride, next.column_stride}, next.bases);
      }
      analyse<kLanes, kSecond>({data + s.data, s.row_stride, s.column_stride}, s.bases, chunk, sign, to + s.matrix,
                               side.stride());
    });
  }

  void multiply_product(const float* first, const float* second, float* result) const {
    const bool transposed = kPart == ConvolutionPart::kBackwardData;
    multiply({result_.rows, result_.columns, kWeight ? first_.rows : first_.columns}, {first, kWeight, first_.columns},
             {second, transposed, second_.columns}, 0, result, result_.columns);
  }

  // `bias`: null after the first chunk, which sets what the others add to.
  void synthesise_all(const FrequencyChunk& chunk, const float* from, const float* bias, float* data) const {
    for_each_row(result_.strips, [=, this, &chunk](std::int64_t i) {
      const Strip s = result_strip(i);
      if (s.channels <= 0) return;
      const Plane<float> plane{data + s.data, s.row_stride, s.column_stride};
      Plane<const float> start{plane.data, s.row_stride, s.column_stride};
      if (bias != nullptr) start = {kForward ? bias + s.matrix % result_.columns : kZeroLanes, 0, 0};
      synthesise<kLanes>(from + s.matrix, result_.stride(), s.bases, chunk, start, plane);
      if (s.channels < kLanes && &chunk == &chunks_.back()) clear_padding(s, plane);
    });
  }

  static void clear_padding(const Strip& s, const Plane<float>& plane) {
    for (std::int64_t u = 0; u < s.bases.rows->extent(); ++u) {
      for (std::int64_t v = 0; v < s.bases.columns->extent(); ++v) {
        float* const lanes = plane.data + u * plane.row_stride + v * plane.column_stride;
        for (std::int64_t i = s.channels; i < kLanes; ++i) lanes[i] = 0;
      }
    }
  }

  // The transform at frequency 0, which is the first product, holds each image's sums.
  void sum_bias(const float* dy, float* dbias) const {
    std::fill_n(dbias, out_channels_, 0.0F);
    for (std::int64_t n = 0; n < second_.rows; ++n) {
      for (std::int64_t c = 0; c < out_channels_; ++c) dbias[c] += dy[n * second_.columns + c];
    }
  }

  Geometry<kLanes> geometry_;
  bool bias_;
  std::int64_t out_channels_;
  Side first_;
  Side second_;
  Side result_;
  std::vector<FrequencyChunk> chunks_;
  std::int64_t products_ = 0;  // of the largest chunk
};

template <int kLanes, ConvolutionPart kPart>
KernelPointer make_kernel(NodeBuilder& builder, const Window2d& window) {
  constexpr bool kWide = kLanes == 16;
  const auto layout = [](const Shape& shape, memory::format_tag tag) {
    return Layout(MemoryDesc(shape.extents(), memory::data_type::f32, tag));
  };
  const auto image = [&](const Shape& shape) {
    return layout(shape, kWide ? memory::format_tag::nChw16c : memory::format_tag::nChw8c);
  };
  const Layout x = image(window.input_shape());
  const Layout y = image(window.output_shape());
  const Layout weight = layout(window.weight_shape(), kWide ? memory::format_tag::Abcd16a : memory::format_tag::Abcd8a);
  constexpr bool kBackwardData = kPart == ConvolutionPart::kBackwardData;
  constexpr bool kBackwardWeight = kPart == ConvolutionPart::kBackwardWeight;
  builder.read(0, kBackwardData ? y : x);
  builder.read(1, kBackwardWeight ? y : weight);
  builder.write(0, kBackwardData ? x : kBackwardWeight ? weight : y);
  const bool bias = builder.input_count() == 3 || builder.output_count() == 2;
  if (builder.input_count() == 3) builder.read_plain(2);
  if (builder.output_count() == 2) builder.write_plain(1);
  return std::make_unique<FourierConvolution<kLanes, kPart>>(window, bias);
}

template <int kLanes>
KernelPointer make_kernel(NodeBuilder& builder, const Window2d& window, ConvolutionPart part) {
  switch (part) {
    case ConvolutionPart::kForward:
      return make_kernel<kLanes, ConvolutionPart::kForward>(builder, window);
    case ConvolutionPart::kBackwardData:
      return make_kernel<kLanes, ConvolutionPart::kBackwardData>(builder, window);
    default:
      return make_kernel<kLanes, ConvolutionPart::kBackwardWeight>(builder, window);
  }
}

}  // namespace

KernelPointer make_fourier_convolution(NodeBuilder& builder, const Window2d& window, ConvolutionPart part) {
  // As wide as oneDNN's own blocks on this processor, which the values around are likely to have.
  const ValueType x{window.input_shape()};
  const Layout preferred(convolution(window, false).src_desc());
  return image_blocks(preferred, x).inner == 8 ? make_kernel<8>(builder, window, part)
                                               : make_kernel<16>(builder, window, part);
}

}  // namespace skua::cpu
