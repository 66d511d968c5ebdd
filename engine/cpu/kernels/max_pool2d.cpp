// Max pooling over images as arrays [outer][H][W][inner], vectorised over `inner`. Own code and not oneDNN's, whose
// kernels lose a NaN and turn -infinity into the smallest float. An output's index is the position in its window,
// row-major.
#include <algorithm>
#include <limits>

#include "../parallel.h"
#include "kernels.h"
#include "skua/engine/elementwise.h"
#include "skua/graph/op_registry.h"

namespace skua::cpu {

namespace {

// One position in the windows of neighbouring outputs of one row: output j, of `count`, is at y + j * Inner and sees
// x + j * x_step.
template <std::int64_t Inner>
struct Run {
  std::int64_t x_step;

  // A NaN wins, as in PyTorch; of equals the first stays.
  void forward(const float* x, std::int32_t position, std::int64_t count, float* __restrict y,
               std::int32_t* __restrict index) const {
    for (std::int64_t j = 0; j < count; ++j, x += x_step, y += Inner, index += Inner) {
#pragma omp simd
      for (std::int64_t c = 0; c < Inner; ++c) {
        const float candidate = x[c];
        const float best = y[c];
        const std::int32_t best_index = index[c];
        const bool take = (candidate > best) | (candidate != candidate);
        y[c] = take ? candidate : best;
        index[c] = take ? position : best_index;
      }
    }
  }

  // Through the activation's backward function; y is what the pool has given. dx is added to, unless this is all of it.
  template <bool kAdds, class Backward>
  void backward(Backward backward, const float* y, const float* dy, const std::int32_t* index, std::int32_t position,
                std::int64_t count, float* __restrict dx) const {
    for (std::int64_t j = 0; j < count; ++j, dx += x_step, y += Inner, dy += Inner, index += Inner) {
#pragma omp simd
      for (std::int64_t c = 0; c < Inner; ++c) {
        const float gradient = backward(y[c], dy[c]);
        const float part = index[c] == position ? gradient : 0.0F;
        dx[c] = kAdds ? dx[c] + part : part;
      }
    }
  }
};

class MaxPool {
 public:
  MaxPool(const Window2d& window, const ImageBlocks& blocks) : window_(window), blocks_(blocks) {}

  template <class Function>
  void forward(Function function, const float* x, float* y, std::int32_t* index) const {
    dispatch([=, this](auto run) {
      for_each_row(blocks_.outer, [=, this](std::int64_t outer) { forward_plane(run, function, outer, x, y, index); });
    });
  }

  template <class Backward>
  void backward(Backward function, const float* y, const float* dy, const std::int32_t* index, float* dx) const {
    dispatch([=, this](auto run) {
      for_each_row(blocks_.outer,
                   [=, this](std::int64_t outer) { backward_plane(run, function, outer, y, dy, index, dx); });
    });
  }

 private:
  template <class Action>
  void dispatch(Action action) const {
    const std::int64_t x_step = window_.stride_width * blocks_.inner;
    switch (blocks_.inner) {
      case 16:
        return action(Run<16>{x_step});
      case 8:
        return action(Run<8>{x_step});
      default:
        return action(Run<1>{x_step});
    }
  }

  // visit(offset in the x plane, position in the window, how many outputs, offset of the first in the y plane), window
  // positions of each output in row-major order.
  template <class Visit>
  void for_each_run(Visit visit) const {
    const std::int64_t stride = window_.stride_width;
    for (std::int64_t i = 0; i < window_.out_height; ++i) {
      for (std::int64_t k = 0; k < window_.kernel_height; ++k) {
        const std::int64_t row = i * window_.stride_height - window_.pad_top + k;
        if (row < 0 || row >= window_.height) continue;
        for (std::int64_t l = 0; l < window_.kernel_width; ++l) {
          const std::int64_t column = l - window_.pad_left;  // of output 0
          const std::int64_t first = column >= 0 ? 0 : (stride - 1 - column) / stride;
          const std::int64_t end = std::min(window_.out_width, (window_.width - column + stride - 1) / stride);
          if (first >= end) continue;
          visit((row * window_.width + column + first * stride) * blocks_.inner,
                static_cast<std::int32_t>(k * window_.kernel_width + l), end - first,
                (i * window_.out_width + first) * blocks_.inner);
        }
      }
    }
  }

  [[nodiscard]] std::int64_t x_plane() const { return window_.height * window_.width * blocks_.inner; }
  [[nodiscard]] std::int64_t y_plane() const { return window_.out_height * window_.out_width * blocks_.inner; }

  template <class AnyRun, class Function>
  void forward_plane(AnyRun run, Function function, std::int64_t outer, const float* x, float* y,
                     std::int32_t* index) const {
    x += outer * x_plane();
    y += outer * y_plane();
    index += outer * y_plane();
    std::fill(y, y + y_plane(), -std::numeric_limits<float>::infinity());
    fill_with_first_positions(index);
    for_each_run([=](std::int64_t from, std::int32_t position, std::int64_t count, std::int64_t to) {
      run.forward(x + from, position, count, y + to, index + to);
    });
#pragma omp simd
    for (std::int64_t i = 0; i < y_plane(); ++i) y[i] = function(y[i]);
  }

  // Where all of a window is -infinity, its first element is the maximum.
  void fill_with_first_positions(std::int32_t* index) const {
    for (std::int64_t i = 0; i < window_.out_height; ++i) {
      const std::int64_t row = std::max<std::int64_t>(0, window_.pad_top - i * window_.stride_height);
      for (std::int64_t j = 0; j < window_.out_width; ++j, index += blocks_.inner) {
        const std::int64_t column = std::max<std::int64_t>(0, window_.pad_left - j * window_.stride_width);
        std::fill(index, index + blocks_.inner, static_cast<std::int32_t>(row * window_.kernel_width + column));
      }
    }
  }

  template <class AnyRun, class Backward>
  void backward_plane(AnyRun run, Backward function, std::int64_t outer, const float* y, const float* dy,
                      const std::int32_t* index, float* dx) const {
    dx += outer * x_plane();
    y += outer * y_plane();
    dy += outer * y_plane();
    index += outer * y_plane();
    if (windows_tile()) {
      for_each_run([=](std::int64_t to, std::int32_t position, std::int64_t count, std::int64_t from) {
        run.template backward<false>(function, y + from, dy + from, index + from, position, count, dx + to);
      });
      return;
    }
    std::fill(dx, dx + x_plane(), 0.0F);
    for_each_run([=](std::int64_t to, std::int32_t position, std::int64_t count, std::int64_t from) {
      run.template backward<true>(function, y + from, dy + from, index + from, position, count, dx + to);
    });
  }

  // Each element of the image lies in exactly one window.
  [[nodiscard]] bool windows_tile() const {
    const Window2d& w = window_;
    return w.stride_height == w.kernel_height && w.stride_width == w.kernel_width && w.pad_top == 0 &&
           w.pad_left == 0 && w.out_height * w.kernel_height == w.height && w.out_width * w.kernel_width == w.width;
  }

  Window2d window_;
  ImageBlocks blocks_;
};

template <class Function>
class MaxPoolForward final : public Kernel {
 public:
  MaxPoolForward(const MaxPool& pool, Function function) : pool_(pool), function_(function) {}
  void run(const KernelArguments& arguments) override {
    pool_.forward(function_, arguments.in(0), arguments.out(0), arguments.out_ints(1));
  }

 private:
  MaxPool pool_;
  Function function_;
};

template <class Backward>
class MaxPoolBackward final : public Kernel {
 public:
  MaxPoolBackward(const MaxPool& pool, Backward function) : pool_(pool), function_(function) {}
  void run(const KernelArguments& arguments) override {
    const float* const y = arguments.in(arguments.inputs.size() == 3 ? 2 : 0);  // without activation not used
    pool_.backward(function_, y, arguments.in(0), arguments.in_ints(1), arguments.out(0));
  }

 private:
  MaxPool pool_;
  Backward function_;
};

}  // namespace

KernelPointer make_max_pool2d(NodeBuilder& builder) {
  const Window2d window = window_of(builder.op(), builder.input_types());
  const ImageBlocks blocks = image_blocks(builder.input_layout(0), builder.input_type(0));
  builder.read(0, blocks.layout_of(window.input_shape(), DType::kFloat32));
  builder.write(0, blocks.layout_of(window.output_shape(), DType::kFloat32));
  builder.write(1, blocks.layout_of(window.output_shape(), DType::kInt32));
  const MaxPool pool(window, blocks);
  const auto activation = activation_of(builder.op());
  if (!activation) return std::make_unique<MaxPoolForward<elementwise::Same>>(pool, elementwise::Same());
  return elementwise::visit_activation(*activation, [&](auto function, auto) -> KernelPointer {
    if (builder.written_layout(0).is_padded() && function(0.0F) != 0) {
      return with_activation(builder, std::make_unique<MaxPoolForward<elementwise::Same>>(pool, elementwise::Same()));
    }
    return std::make_unique<MaxPoolForward<decltype(function)>>(pool, function);
  });
}

// In the layout that the forward pass has given to the indices.
KernelPointer make_max_pool2d_backward(NodeBuilder& builder) {
  const Window2d window = window_of(builder.op(), builder.input_types());
  const ImageBlocks blocks = image_blocks(builder.input_layout(1), builder.input_type(1));
  builder.read(0, blocks.layout_of(window.output_shape(), DType::kFloat32));
  builder.read(1, blocks.layout_of(window.output_shape(), DType::kInt32));
  if (builder.input_count() == 3) builder.read(2, blocks.layout_of(window.output_shape(), DType::kFloat32));
  builder.write(0, blocks.layout_of(window.input_shape(), DType::kFloat32));
  const MaxPool pool(window, blocks);
  const auto activation = activation_of({"max_pool2d", builder.op().attributes});
  if (!activation)
    return std::make_unique<MaxPoolBackward<elementwise::SameBackward>>(pool, elementwise::SameBackward());
  return elementwise::visit_activation(*activation, [&](auto, auto backward) -> KernelPointer {
    return std::make_unique<MaxPoolBackward<decltype(backward)>>(pool, backward);
  });
}

}  // namespace skua::cpu
