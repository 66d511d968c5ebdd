// The gradient of a convolution by an image of few channels, which direct kernels work at in whole blocks: one product
// for what each output gives to each of its taps, and a sum of that over the image in a fixed order.
#include <algorithm>

#include "../parallel.h"
#include "kernels.h"

namespace skua::cpu {

namespace {

constexpr std::int64_t kCachedBytes = 512 << 10;

class ScatteredConvolution final : public Kernel {
 public:
  explicit ScatteredConvolution(const Window2d& window)
      : w_(window), chunk_(std::clamp<std::int64_t>(kCachedBytes / 4 / sample_floats(), 1, window.batch)) {}
  [[nodiscard]] std::size_t scratch_bytes() const override {
    return static_cast<std::size_t>(chunk_ * sample_floats()) * sizeof(float);
  }
  // dy (N,O,OH,OW), weight (O,C,KH,KW) to dx (N,C,H,W)
  void run(const KernelArguments& a) override {
    auto* const terms = static_cast<float*>(a.scratch);
    const std::int64_t plane = w_.height * w_.width;
    for (std::int64_t first = 0; first < w_.batch; first += chunk_) {
      const std::int64_t samples = std::min(chunk_, w_.batch - first);
      for (std::int64_t n = 0; n < samples; ++n) {
        multiply({w_.in_channels * taps(), outputs(), w_.out_channels}, {a.in(1), true, w_.in_channels * taps()},
                 {a.in(0) + (first + n) * w_.out_channels * outputs(), false, outputs()}, 0,
                 terms + n * sample_floats(), outputs());
      }
      float* const dx = a.out(0) + first * w_.in_channels * plane;
      for_each_row(samples * w_.in_channels,
                   [=, this](std::int64_t i) { scatter(terms + i * taps() * outputs(), dx + i * plane); });
    }
  }

 private:
  [[nodiscard]] std::int64_t taps() const { return w_.kernel_height * w_.kernel_width; }
  [[nodiscard]] std::int64_t outputs() const { return w_.out_height * w_.out_width; }
  [[nodiscard]] std::int64_t sample_floats() const { return w_.in_channels * taps() * outputs(); }

  // Adds up terms (KH,KW,OH,OW) of one channel.
  void scatter(const float* terms, float* dx) const {
    std::fill_n(dx, w_.height * w_.width, 0.0F);
    for (std::int64_t k = 0; k < taps(); ++k, terms += outputs()) {
      const std::int64_t top = k / w_.kernel_width * w_.dilation_height - w_.pad_top;
      const std::int64_t left = k % w_.kernel_width * w_.dilation_width - w_.pad_left;
      // Outputs whose column is inside the image.
      const std::int64_t begin = left < 0 ? (-left + w_.stride_width - 1) / w_.stride_width : 0;
      const std::int64_t end =
          left < w_.width ? std::min(w_.out_width, (w_.width - 1 - left) / w_.stride_width + 1) : 0;
      for (std::int64_t o = 0; o < w_.out_height; ++o) {
        const std::int64_t row = top + o * w_.stride_height;
        if (row < 0 || row >= w_.height) continue;
        float* const to = dx + row * w_.width + left;
        const float* const from = terms + o * w_.out_width;
        for (std::int64_t j = begin; j < end; ++j) to[j * w_.stride_width] += from[j];
      }
    }
  }

  Window2d w_;
  std::int64_t chunk_;  // samples whose terms stay in the cache
};

}  // namespace

KernelPointer make_scattered_convolution(NodeBuilder& builder, const Window2d& window) {
  read_all_plain(builder);
  return std::make_unique<ScatteredConvolution>(window);
}

}  // namespace skua::cpu
