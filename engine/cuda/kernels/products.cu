// What is left to cuDNN and cuBLAS, with what they do not do: padding that differs between sides, biases of
// convolutions and sums of their gradients.
#include <algorithm>
#include <optional>

#include "kernels.h"
#include "scratch.h"
#include "skua/engine/elementwise.h"
#include "sums.h"

namespace skua::cuda {

namespace {

// Images (planes,height,width) within larger ones: what lies outside is padding.
struct Frame {
  std::int64_t planes;
  std::int64_t height;
  std::int64_t width;
  std::int64_t outer_height;
  std::int64_t outer_width;
  std::int64_t top;
  std::int64_t left;

  [[nodiscard]] std::int64_t outer_count() const { return planes * outer_height * outer_width; }

  void pad(GpuStream& stream, const float* x, float* padded) const {
    const Frame f = *this;
    for_each(stream, outer_count(), [=] SKUA_DEVICE(std::int64_t i) {
      const std::int64_t row = i / f.outer_width % f.outer_height - f.top;
      const std::int64_t column = i % f.outer_width - f.left;
      const std::int64_t plane = i / (f.outer_width * f.outer_height);
      const bool inside = row >= 0 && row < f.height && column >= 0 && column < f.width;
      padded[i] = inside ? x[(plane * f.height + row) * f.width + column] : 0.0F;
    });
  }

  void crop(GpuStream& stream, const float* padded, float* x) const {
    const Frame f = *this;
    for_each(stream, planes * height * width, [=] SKUA_DEVICE(std::int64_t i) {
      const std::int64_t row = i / f.width % f.height + f.top;
      const std::int64_t column = i % f.width + f.left;
      const std::int64_t plane = i / (f.width * f.height);
      x[i] = padded[(plane * f.outer_height + row) * f.outer_width + column];
    });
  }
};

// A convolution whose image is put into scratch with the padding that one side has more of than the other.
class Convolution {
 public:
  Convolution(Libraries& libraries, ConvolutionPass pass, Window2d window) {
    const std::int64_t rows = std::min(window.pad_top, window.pad_bottom);
    const std::int64_t columns = std::min(window.pad_left, window.pad_right);
    const Frame frame{window.batch * window.in_channels,
                      window.height,
                      window.width,
                      window.height + window.pad_top + window.pad_bottom - 2 * rows,
                      window.width + window.pad_left + window.pad_right - 2 * columns,
                      window.pad_top - rows,
                      window.pad_left - columns};
    if (frame.outer_height != frame.height || frame.outer_width != frame.width) {
      frame_ = frame;
      framed_ = scratch_.add_floats(frame.outer_count());
      window.height = frame.outer_height;
      window.width = frame.outer_width;
    }
    window.pad_top = window.pad_bottom = rows;
    window.pad_left = window.pad_right = columns;
    prepared_ = libraries.convolution(pass, window);
    workspace_ = scratch_.add(prepared_->workspace_bytes());
  }
  [[nodiscard]] std::size_t scratch_bytes() const { return scratch_.bytes(); }

  // Of the forward and of the weight's pass.
  void run_from_image(const Arguments& a, const float* x, const float* b, float* y) const {
    if (frame_) {
      auto* const padded = static_cast<float*>(piece(a.scratch, framed_));
      frame_->pad(a.stream, x, padded);
      x = padded;
    }
    prepared_->run(a.stream, x, b, nullptr, y, piece(a.scratch, workspace_));
  }
  void run_to_image(const Arguments& a, const float* dy, const float* weight, float* dx) const {
    auto* const to = frame_ ? static_cast<float*>(piece(a.scratch, framed_)) : dx;
    prepared_->run(a.stream, dy, weight, nullptr, to, piece(a.scratch, workspace_));
    if (frame_) frame_->crop(a.stream, to, dx);
  }

 private:
  Scratch scratch_;
  std::optional<Frame> frame_;
  std::size_t framed_ = 0;
  std::unique_ptr<Prepared> prepared_;
  std::size_t workspace_;
};

class Conv2d final : public Kernel {
 public:
  Conv2d(Libraries& libraries, const Window2d& window)
      : convolution_(libraries, ConvolutionPass::kForward, window), window_(window) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return convolution_.scratch_bytes(); }
  void submit(const Arguments& a) override {
    convolution_.run_from_image(a, a.in(0), a.in(1), a.out(0));
    if (a.inputs.size() < 3) return;
    const float* const bias = a.in(2);
    float* const y = a.out(0);
    const std::int64_t inner = window_.out_height * window_.out_width;
    const std::int64_t channels = window_.out_channels;
    for_each(a.stream, window_.batch * channels * inner,
             [=] SKUA_DEVICE(std::int64_t i) { y[i] += bias[i / inner % channels]; });
  }

 private:
  Convolution convolution_;
  Window2d window_;
};

class Conv2dBackwardData final : public Kernel {
 public:
  Conv2dBackwardData(Libraries& libraries, const Window2d& window)
      : convolution_(libraries, ConvolutionPass::kBackwardData, window) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return convolution_.scratch_bytes(); }
  void submit(const Arguments& a) override { convolution_.run_to_image(a, a.in(0), a.in(1), a.out(0)); }

 private:
  Convolution convolution_;
};

class Conv2dBackwardWeight final : public Kernel {
 public:
  Conv2dBackwardWeight(Libraries& libraries, const Window2d& window)
      : convolution_(libraries, ConvolutionPass::kBackwardWeight, window), window_(window) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return convolution_.scratch_bytes(); }
  void submit(const Arguments& a) override {
    convolution_.run_from_image(a, a.in(0), a.in(1), a.out(0));
    if (a.outputs.size() < 2) return;
    const float* const dy = a.in(1);
    float* const dbias = a.out(1);
    const std::int64_t inner = window_.out_height * window_.out_width;
    const std::int64_t channels = window_.out_channels;
    const std::int64_t count = window_.batch * inner;
    for_each_row(a.stream, channels, count, [=] SKUA_DEVICE(std::int64_t c, const Block& block) {
      const auto term = [=](std::int64_t i) {
        return static_cast<double>(dy[(i / inner * channels + c) * inner + i % inner]);
      };
      const double sum = block.reduce(count, 0.0, term, Plus());
      if (block.first()) dbias[c] = static_cast<float>(sum);
    });
  }

 private:
  Convolution convolution_;
  Window2d window_;
};

// One product; `bias` is added where the node has a third input.
class Product final : public Kernel {
 public:
  Product(Libraries& libraries, const ProductSpec& spec) : prepared_(libraries.product(spec)), bias_(spec.bias) {}
  [[nodiscard]] std::size_t scratch_bytes() const override { return prepared_->workspace_bytes(); }
  void submit(const Arguments& a) override {
    prepared_->run(a.stream, a.in(0), a.in(1), bias_ ? a.in(2) : nullptr, a.out(0), a.scratch);
  }

 private:
  std::unique_ptr<Prepared> prepared_;
  bool bias_;
};

// dweight (O,I) = dy (N,O) transposed by x (N,I); dbias: the columns of dy.
class DenseBackwardWeight final : public Kernel {
 public:
  DenseBackwardWeight(Libraries& libraries, std::int64_t batch, std::int64_t in, std::int64_t out)
      : batch_(batch), out_(out) {
    ProductSpec spec;
    spec.rows = out;
    spec.columns = in;
    spec.inner = batch;
    spec.a = {true, out, 0};
    spec.b = {false, in, 0};
    spec.y_stride = in;
    prepared_ = libraries.product(spec);
    workspace_ = scratch_.add(prepared_->workspace_bytes());
    sums_ = scratch_.add(column_sum_bytes<double>(batch, out));
  }
  [[nodiscard]] std::size_t scratch_bytes() const override { return scratch_.bytes(); }
  void submit(const Arguments& a) override {
    prepared_->run(a.stream, a.in(1), a.in(0), nullptr, a.out(0), piece(a.scratch, workspace_));
    if (a.outputs.size() < 2) return;
    const float* const dy = a.in(1);
    float* const dbias = a.out(1);
    const std::int64_t out = out_;
    sum_columns<double>(
        a.stream, batch_, out, piece(a.scratch, sums_),
        [=] SKUA_DEVICE(std::int64_t row, std::int64_t column) { return static_cast<double>(dy[row * out + column]); },
        [=] SKUA_DEVICE(std::int64_t column, double sum) { dbias[column] = static_cast<float>(sum); });
  }

 private:
  std::int64_t batch_;
  std::int64_t out_;
  Scratch scratch_;
  std::unique_ptr<Prepared> prepared_;
  std::size_t workspace_;
  std::size_t sums_;
};

}  // namespace

KernelPointer make_conv2d(const NodeView& node) {
  return with_activation(node, std::make_unique<Conv2d>(node.libraries, window_of(node.op, node.inputs)));
}
KernelPointer make_conv2d_backward_data(const NodeView& node) {
  return std::make_unique<Conv2dBackwardData>(node.libraries, window_of(node.op, node.inputs));
}
KernelPointer make_conv2d_backward_weight(const NodeView& node) {
  return std::make_unique<Conv2dBackwardWeight>(node.libraries, window_of(node.op, node.inputs));
}

KernelPointer make_dense(const NodeView& node) {
  const Shape& x = node.inputs[0].shape;
  ProductSpec spec;
  spec.rows = x.rows();
  spec.columns = node.outputs[0].shape.last();
  spec.inner = x.last();
  spec.a = {false, spec.inner, 0};
  spec.b = {true, spec.inner, 0};
  spec.y_stride = spec.columns;
  spec.bias = node.inputs.size() == 3;
  return with_activation(node, std::make_unique<Product>(node.libraries, spec));
}

KernelPointer make_dense_backward_data(const NodeView& node) {
  const Shape& dy = node.inputs[0].shape;
  ProductSpec spec;
  spec.rows = dy.rows();
  spec.columns = node.outputs[0].shape.last();
  spec.inner = dy.last();
  spec.a = {false, spec.inner, 0};
  spec.b = {false, spec.columns, 0};
  spec.y_stride = spec.columns;
  return std::make_unique<Product>(node.libraries, spec);
}

KernelPointer make_dense_backward_weight(const NodeView& node) {
  const Shape& x = node.inputs[0].shape;
  return std::make_unique<DenseBackwardWeight>(node.libraries, x.rows(), x.last(), node.inputs[1].shape.last());
}

KernelPointer make_matmul(const NodeView& node) {
  const Shape& a = node.inputs[0].shape;
  const Shape& b = node.inputs[1].shape;
  const Shape& y = node.outputs[0].shape;
  ProductSpec spec;
  spec.a = {node.op.attributes.integer("transpose_a") == 1, a[2], a[1] * a[2]};
  spec.b = {node.op.attributes.integer("transpose_b") == 1, b[2], b[1] * b[2]};
  spec.count = y[0];
  spec.rows = y[1];
  spec.columns = y[2];
  spec.inner = a[spec.a.transposed ? 1 : 2];
  spec.y_stride = y[2];
  spec.y_batch_stride = y[1] * y[2];
  return std::make_unique<Product>(node.libraries, spec);
}

}  // namespace skua::cuda
