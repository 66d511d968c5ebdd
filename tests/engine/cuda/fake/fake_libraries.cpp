#include "fake_libraries.h"

#include <cstring>
#include <stdexcept>

#include "work_queue.h"

namespace skua::fake {

namespace {

using cuda::ConvolutionPass;
using cuda::ProductSpec;

// Work that reads a, b and the bias and writes y; its workspace is full of NaNs before and after.
template <class Spec>
class Loops final : public cuda::Prepared {
 public:
  explicit Loops(const Spec& spec) : spec_(spec) {}
  [[nodiscard]] std::size_t workspace_bytes() const override { return kWorkspaceBytes; }
  void run(cuda::GpuStream& stream, const void* a, const void* b, const void* bias, void* y, void* workspace) override {
    if (reinterpret_cast<std::uintptr_t>(workspace) % 256 != 0) {
      throw std::logic_error("expected a workspace aligned to 256 bytes");
    }
    static_cast<WorkQueue*>(stream.native())->push([=, spec = spec_] {
      std::memset(workspace, 0xff, kWorkspaceBytes);
      spec.run(static_cast<const float*>(a), static_cast<const float*>(b), static_cast<const float*>(bias),
               static_cast<float*>(y));
    });
  }

 private:
  static constexpr std::size_t kWorkspaceBytes = 1000;
  Spec spec_;
};

struct ProductLoops {
  ProductSpec s;

  static const float& element(const ProductSpec::Operand& operand, const float* data, std::int64_t row,
                              std::int64_t column) {
    return operand.transposed ? data[column * operand.stride + row] : data[row * operand.stride + column];
  }
  void run(const float* a, const float* b, const float* bias, float* y) const {
    for (std::int64_t n = 0; n < s.count; ++n) {
      for (std::int64_t row = 0; row < s.rows; ++row) {
        for (std::int64_t column = 0; column < s.columns; ++column) {
          float sum = 0;
          for (std::int64_t k = 0; k < s.inner; ++k) {
            sum += element(s.a, a + n * s.a.batch_stride, row, k) * element(s.b, b + n * s.b.batch_stride, k, column);
          }
          float& to = y[n * s.y_batch_stride + row * s.y_stride + column];
          if (s.beta == 1) sum += to;
          to = s.bias ? sum + bias[column] : sum;
        }
      }
    }
  }
};

struct ConvolutionLoops {
  ConvolutionPass pass;
  Window2d w;

  void run(const float* a, const float* b, const float* /*bias*/, float* y) const {
    switch (pass) {
      case ConvolutionPass::kForward:
        std::memset(y, 0, bytes(w.output_shape()));
        return for_each_product(
            [&](std::int64_t x, std::int64_t weight, std::int64_t out) { y[out] += a[x] * b[weight]; });
      case ConvolutionPass::kBackwardData:
        std::memset(y, 0, bytes(w.input_shape()));
        return for_each_product(
            [&](std::int64_t x, std::int64_t weight, std::int64_t out) { y[x] += a[out] * b[weight]; });
      case ConvolutionPass::kBackwardWeight:
        std::memset(y, 0, bytes(w.weight_shape()));
        return for_each_product(
            [&](std::int64_t x, std::int64_t weight, std::int64_t out) { y[weight] += a[x] * b[out]; });
    }
  }

  static std::size_t bytes(const Shape& shape) { return static_cast<std::size_t>(shape.elements()) * sizeof(float); }

  // visit(offset in x, in the weight, in y) for each product that the convolution sums.
  template <class Visit>
  void for_each_product(Visit visit) const {
    const std::int64_t in = w.in_channels / w.groups;
    const std::int64_t out = w.out_channels / w.groups;
    for (std::int64_t n = 0; n < w.batch; ++n) {
      for (std::int64_t o = 0; o < w.out_channels; ++o) {
        for (std::int64_t c = 0; c < in; ++c) {
          const std::int64_t x_plane = (n * w.in_channels + o / out * in + c) * w.height * w.width;
          const std::int64_t weight_plane = (o * in + c) * w.kernel_height * w.kernel_width;
          const std::int64_t y_plane = (n * w.out_channels + o) * w.out_height * w.out_width;
          for_each_in_plane([&](std::int64_t x, std::int64_t weight, std::int64_t y) {
            visit(x_plane + x, weight_plane + weight, y_plane + y);
          });
        }
      }
    }
  }

  template <class Visit>
  void for_each_in_plane(Visit visit) const {
    for (std::int64_t i = 0; i < w.out_height; ++i) {
      for (std::int64_t k = 0; k < w.kernel_height; ++k) {
        const std::int64_t row = i * w.stride_height - w.pad_top + k * w.dilation_height;
        if (row < 0 || row >= w.height) continue;
        for (std::int64_t j = 0; j < w.out_width; ++j) {
          for (std::int64_t l = 0; l < w.kernel_width; ++l) {
            const std::int64_t column = j * w.stride_width - w.pad_left + l * w.dilation_width;
            if (column < 0 || column >= w.width) continue;
            visit(row * w.width + column, k * w.kernel_width + l, i * w.out_width + j);
          }
        }
      }
    }
  }
};

class FakeLibraries final : public cuda::Libraries {
 public:
  [[nodiscard]] std::unique_ptr<cuda::Prepared> product(const ProductSpec& spec) override {
    if (spec.bias && (spec.beta != 0 || spec.count != 1))
      throw std::logic_error("expected a bias with beta 0 and count 1");
    return std::make_unique<Loops<ProductLoops>>(ProductLoops{spec});
  }
  [[nodiscard]] std::unique_ptr<cuda::Prepared> convolution(ConvolutionPass pass, const Window2d& window) override {
    if (window.pad_top != window.pad_bottom || window.pad_left != window.pad_right) {
      throw std::logic_error("expected equal padding on both sides");
    }
    return std::make_unique<Loops<ConvolutionLoops>>(ConvolutionLoops{pass, window});
  }
};

}  // namespace

std::unique_ptr<cuda::Libraries> make_fake_libraries(cuda::Precision /*precision*/) {
  return std::make_unique<FakeLibraries>();
}

}  // namespace skua::fake
