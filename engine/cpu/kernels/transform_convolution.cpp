#include "transform_convolution.h"

#include <type_traits>

#include "../parallel.h"
#include "fourier_strip.h"
#include "tile_strip.h"
#include "transform_geometry.h"

namespace skua::cpu {

namespace {

using dnnl::memory;

// A transform says how the axes are cut into pieces, how many images are worked at together, and in which chunks of
// products; which kind of product needs which pieces; whether the gradient by the image has the weight by inputs, so
// that its products need no transposed matrix, or as the other parts have it; and what analyses the strips of a side
// and makes them from products.
struct FourierTransform {
  using Basis = FourierBasis;
  using Chunk = FrequencyChunk;
  // Matrices of one chunk that are to fit a core's share of the last cache.
  static constexpr std::int64_t kMostMatrixBytes = 8 << 20;

  static constexpr int kProductKinds = 1;
  static constexpr bool kByInputs = false;

  static Pieces<Basis> pieces(const PhaseAxis& axis) { return fourier_pieces(axis); }
  static int kind(std::int64_t /*product*/) { return 0; }
  static bool needs(int /*kind*/, const Basis& /*row*/, const Basis& /*column*/) { return true; }
  static std::int64_t images(const Window2d& window, std::int64_t /*floats*/) { return window.batch; }
  static std::vector<Chunk> chunks(const PhaseAxes& axes, std::int64_t product_bytes) {
    return frequency_chunks(fourier_length(axes[0]), fourier_length(axes[1]), kMostMatrixBytes / product_bytes);
  }

  // A correlation: the transform of the second factor is conjugated, but for the gradient by the image.
  template <int kLanes, ConvolutionPart kPart, Side kSide>
  static void analyse(const Plane<const float>& plane, const Bases<Basis>& bases, const Chunk& chunk, float* to,
                      std::int64_t stride) {
    constexpr bool kSecond = kSide == (kPart == ConvolutionPart::kBackwardWeight ? Side::kY : Side::kWeight);
    constexpr float kSign = kSecond && kPart != ConvolutionPart::kBackwardData ? -1.0F : 1.0F;
    skua::cpu::analyse<kLanes, kSecond>(plane, bases, chunk, kSign, to, stride);
  }
  template <int kLanes, Side kSide>
  static void synthesise(const float* from, std::int64_t stride, const Bases<Basis>& bases, const Chunk& chunk,
                         const Plane<const float>& start, const Plane<float>& plane) {
    skua::cpu::synthesise<kLanes>(from, stride, bases, chunk, start, plane);
  }
};

struct TileTransform {
  using Basis = TileBasis;
  struct Chunk {
    std::int64_t products = kTilePoints * kTilePoints;
  };
  template <Side kSide>
  using Strips = std::conditional_t<kSide == Side::kX, tile::Weigh, tile::Evaluate<kSide == Side::kWeight>>;

  static constexpr int kProductKinds = 4;
  static constexpr bool kByInputs = true;

  static Pieces<Basis> pieces(const PhaseAxis& axis) { return tile_pieces(axis); }
  // Bits: at infinity by row, and by column.
  static int kind(std::int64_t product) {
    return (product / kTilePoints == kTilePoints - 1 ? 2 : 0) + (product % kTilePoints == kTilePoints - 1 ? 1 : 0);
  }
  static bool needs(int kind, const Basis& row, const Basis& column) {
    return ((kind & 2) == 0 || row.reaches_infinity()) && ((kind & 1) == 0 || column.reaches_infinity());
  }
  static std::int64_t images(const Window2d& window, std::int64_t floats) { return tile_images(window.batch, floats); }
  static std::vector<Chunk> chunks(const PhaseAxes& /*axes*/, std::int64_t /*product_bytes*/) { return {Chunk()}; }

  template <int kLanes, ConvolutionPart kPart, Side kSide>
  static void analyse(const Plane<const float>& plane, const Bases<Basis>& bases, const Chunk& /*chunk*/, float* to,
                      std::int64_t stride) {
    analyse_tile<Strips<kSide>, kLanes>(plane, bases, to, stride);
  }
  template <int kLanes, Side kSide>
  static void synthesise(const float* from, std::int64_t stride, const Bases<Basis>& bases, const Chunk& /*chunk*/,
                         const Plane<const float>& start, const Plane<float>& plane) {
    synthesise_tile<Strips<kSide>, kLanes>(from, stride, bases, start, plane);
  }
};

template <class Transform, int kLanes, ConvolutionPart kPart>
class TransformConvolution final : public Kernel {
  static constexpr bool kForward = kPart == ConvolutionPart::kForward;
  static constexpr bool kWeight = kPart == ConvolutionPart::kBackwardWeight;
  static constexpr Side kFirst = kForward || kWeight ? Side::kX : Side::kY;
  static constexpr Side kSecond = kWeight ? Side::kY : Side::kWeight;
  static constexpr Side kResult = kForward ? Side::kY : kWeight ? Side::kWeight : Side::kX;
  static constexpr bool kByInputs = kPart == ConvolutionPart::kBackwardData && Transform::kByInputs;
  using Chunk = typename Transform::Chunk;

 public:
  TransformConvolution(const Window2d& window, bool bias)
      : geometry_(window, kByInputs),
        bias_(bias),
        images_(Transform::images(window, geometry_.image_floats())),
        first_(geometry_.matrices(kFirst, images_)),
        second_(geometry_.matrices(kSecond, images_)),
        result_(geometry_.matrices(kResult, images_)) {
    const std::int64_t floats = first_.stride() + second_.stride() + result_.stride();
    chunks_ = Transform::chunks(geometry_.axes(), floats * std::int64_t{sizeof(float)});
    for (const Chunk& chunk : chunks_) products_ = std::max(products_, chunk.products);
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
      if (bias_) std::copy_n(a.in(2), geometry_.window().out_channels, bias);
    }
    if (kWeight && bias_) sum_bias(a.in(1), a.out(1));
    const std::int64_t batch = geometry_.window().batch;
    for (const Chunk& chunk : chunks_) {
      const bool starts = &chunk == chunks_.data();
      if (!kWeight) analyse_all<kSecond>(chunk, batch, a.in(1), second_.stride(), second);
      for (std::int64_t image = 0; image < batch; image += images_) {
        const std::int64_t images = std::min(images_, batch - image);
        analyse_all<kFirst>(chunk, images, a.in(0) + image * image_floats(kFirst), first_.stride(), first);
        if (kWeight) {
          analyse_all<kSecond>(chunk, images, a.in(1) + image * image_floats(kSecond), second_.stride(), second);
        }
        for (std::int64_t p = 0; p < chunk.products; ++p) {
          multiply_product(Transform::kind(p), images, image == 0, first + p * first_.stride(),
                           second + p * second_.stride(), result + p * result_.stride());
        }
        if (!kWeight) {
          synthesise_all(chunk, images, result, starts ? bias : nullptr, a.out(0) + image * image_floats(kResult));
        }
      }
      if (kWeight) synthesise_all(chunk, batch, result, starts ? bias : nullptr, a.out(0));
    }
  }

 private:
  [[nodiscard]] std::int64_t bias_floats() const { return kForward ? result_.columns : 0; }
  [[nodiscard]] std::int64_t image_floats(Side side) const {
    return side == Side::kX ? geometry_.x_floats() : geometry_.y_floats();
  }

  template <Side kSide>
  void analyse_all(const Chunk& chunk, std::int64_t images, const float* data, std::int64_t stride, float* to) const {
    const std::int64_t strips = geometry_.matrices(kSide, images).strips;
    for_each_row(strips, [=, this, &chunk](std::int64_t i) {
      const auto s = geometry_.template strip<kSide>(i, images);
      if (s.channels <= 0) {
        for (std::int64_t p = 0; p < chunk.products; ++p) std::fill_n(to + s.matrix + p * stride, kLanes, 0.0F);
        return;
      }
      if (i + 1 < strips) {
        const auto next = geometry_.template strip<kSide>(i + 1, images);
        for_each_sample(Plane<const float>{data + next.data, next.row_stride, next.column_stride},
                        next.bases.rows->extent(), next.bases.columns->extent(),
                        [](const float* lanes) { __builtin_prefetch(lanes); });
      }
      Transform::template analyse<kLanes, kPart, kSide>({data + s.data, s.row_stride, s.column_stride}, s.bases, chunk,
                                                        to + s.matrix, stride);
    });
  }

  // Runs of tiles are rows of the images' matrices, runs of phases those of the weight and columns of the image.
  void multiply_product(int kind, std::int64_t images, bool starts, const float* first, const float* second,
                        float* result) const {
    const std::vector<Run>& tile_runs = geometry_.tile_runs(kind);
    const std::vector<Run>& phase_runs = geometry_.phase_runs(kind);
    const std::int64_t in = geometry_.in_channels();
    if (kPart == ConvolutionPart::kBackwardData && !geometry_.is_whole(kind)) {
      std::fill_n(result, images * geometry_.tiles(kResult) * result_.columns, 0.0F);
    }
    if (kWeight && starts && tile_runs.empty()) std::fill_n(result, result_.rows * result_.columns, 0.0F);
    for (const Run& tiles : tile_runs) {
      const std::int64_t row = tiles.first * images;
      const std::int64_t rows = tiles.count * images;
      for (const Run& phases : phase_runs) {
        const std::int64_t channel = phases.first * in;
        const std::int64_t channels = phases.count * in;
        if constexpr (kForward) {
          multiply({rows, result_.columns, channels}, {first + row * first_.columns + channel, false, first_.columns},
                   {second + channel * second_.columns, false, second_.columns}, &phases == phase_runs.data() ? 0 : 1,
                   result + row * result_.columns, result_.columns);
        } else if constexpr (kWeight) {
          multiply({channels, result_.columns, rows}, {first + row * first_.columns + channel, true, first_.columns},
                   {second + row * second_.columns, false, second_.columns},
                   starts && &tiles == tile_runs.data() ? 0 : 1, result + channel * result_.columns, result_.columns);
        } else {
          multiply({rows, channels, first_.columns}, {first + row * first_.columns, false, first_.columns},
                   {kByInputs ? second + channel : second + channel * second_.columns, !kByInputs, second_.columns}, 0,
                   result + row * result_.columns + channel, result_.columns);
        }
      }
    }
  }

  // `bias`: null after the first chunk, which sets what the others add to.
  void synthesise_all(const Chunk& chunk, std::int64_t images, const float* from, const float* bias,
                      float* data) const {
    const std::int64_t strips = geometry_.matrices(kResult, images).strips;
    const std::int64_t tiles = geometry_.tiles(kResult);
    for_each_row(strips / tiles, [=, this, &chunk](std::int64_t i) {
      if (kResult == Side::kX && bias != nullptr) geometry_.clear_phase(i * tiles, data);
      for (std::int64_t tile = i * tiles; tile < (i + 1) * tiles; ++tile) {
        const auto s = geometry_.template strip<kResult>(tile, images);
        if (s.channels <= 0) continue;
        if (tile + 1 < strips) {
          const auto next = geometry_.template strip<kResult>(tile + 1, images);
          for (std::int64_t p = 0; p < chunk.products; ++p) {
            __builtin_prefetch(from + next.matrix + p * result_.stride());
          }
          for_each_sample(Plane<float>{data + next.data, next.row_stride, next.column_stride},
                          next.bases.rows->extent(), next.bases.columns->extent(),
                          [](float* lanes) { __builtin_prefetch(lanes, 1); });
        }
        const Plane<float> plane{data + s.data, s.row_stride, s.column_stride};
        Plane<const float> start{plane.data, s.row_stride, s.column_stride};
        if (kResult != Side::kX && bias != nullptr) {
          start = {kForward ? bias + s.matrix % result_.columns : kZeroLanes, 0, 0};
        }
        Transform::template synthesise<kLanes, kResult>(from + s.matrix, result_.stride(), s.bases, chunk, start,
                                                        plane);
        if (s.channels < kLanes && &chunk == &chunks_.back()) {
          for_each_sample(plane, s.bases.rows->extent(), s.bases.columns->extent(),
                          [&](float* lanes) { std::fill(lanes + s.channels, lanes + kLanes, 0.0F); });
        }
      }
    });
  }

  void sum_bias(const float* dy, float* dbias) const {
    const Window2d& w = geometry_.window();
    const std::int64_t pixels = w.out_height * w.out_width;
    for_each_row(geometry_.out_blocks(), [=, this](std::int64_t block) {
      alignas(64) float sums[kLanes] = {};
      for (std::int64_t n = 0; n < w.batch; ++n) {
        const float* const plane = dy + n * geometry_.y_floats() + block * pixels * kLanes;
        for (std::int64_t p = 0; p < pixels; ++p) {
#pragma omp simd
          for (int i = 0; i < kLanes; ++i) sums[i] += plane[p * kLanes + i];
        }
      }
      const std::int64_t channel = block * kLanes;
      std::copy_n(sums, std::min<std::int64_t>(kLanes, w.out_channels - channel), dbias + channel);
    });
  }

  TransformGeometry<Transform, kLanes> geometry_;
  bool bias_;
  std::int64_t images_;  // worked at together
  Matrices first_;
  Matrices second_;
  Matrices result_;
  std::vector<Chunk> chunks_;
  std::int64_t products_ = 0;  // of the largest chunk
};

template <class Transform, int kLanes, ConvolutionPart kPart>
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
  constexpr bool kBackwardData = kPart == ConvolutionPart::kBackwardData;
  constexpr bool kBackwardWeight = kPart == ConvolutionPart::kBackwardWeight;
  const auto by_outputs = kWide ? memory::format_tag::Abcd16a : memory::format_tag::Abcd8a;
  const auto by_inputs = kWide ? memory::format_tag::aBcd16b : memory::format_tag::aBcd8b;
  const Layout weight = layout(window.weight_shape(), kBackwardData && Transform::kByInputs ? by_inputs : by_outputs);
  builder.read(0, kBackwardData ? y : x);
  builder.read(1, kBackwardWeight ? y : weight);
  builder.write(0, kBackwardData ? x : kBackwardWeight ? weight : y);
  const bool bias = builder.input_count() == 3 || builder.output_count() == 2;
  if (builder.input_count() == 3) builder.read_plain(2);
  if (builder.output_count() == 2) builder.write_plain(1);
  return std::make_unique<TransformConvolution<Transform, kLanes, kPart>>(window, bias);
}

template <class Transform, int kLanes>
KernelPointer make_kernel(NodeBuilder& builder, const Window2d& window, ConvolutionPart part) {
  switch (part) {
    case ConvolutionPart::kForward:
      return make_kernel<Transform, kLanes, ConvolutionPart::kForward>(builder, window);
    case ConvolutionPart::kBackwardData:
      return make_kernel<Transform, kLanes, ConvolutionPart::kBackwardData>(builder, window);
    default:
      return make_kernel<Transform, kLanes, ConvolutionPart::kBackwardWeight>(builder, window);
  }
}

template <class Transform>
KernelPointer make_kernel(NodeBuilder& builder, const Window2d& window, ConvolutionPart part) {
  // As wide as oneDNN's own blocks on this processor, which the values around are likely to have.
  const ValueType x{window.input_shape()};
  const Layout preferred(convolution(window, false).src_desc());
  return image_blocks(preferred, x).inner == 8 ? make_kernel<Transform, 8>(builder, window, part)
                                               : make_kernel<Transform, 16>(builder, window, part);
}

}  // namespace

KernelPointer make_transform_convolution(NodeBuilder& builder, const Window2d& window, ConvolutionPart part,
                                         ConvolutionTransform transform) {
  return transform == ConvolutionTransform::kFourier ? make_kernel<FourierTransform>(builder, window, part)
                                                     : make_kernel<TileTransform>(builder, window, part);
}

}  // namespace skua::cpu
