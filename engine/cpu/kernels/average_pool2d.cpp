// Means over the elements of each window that lie in the image, plain.
#include <algorithm>

#include "../parallel.h"
#include "kernels.h"
#include "skua/graph/window.h"

namespace skua::cpu {

namespace {

class AveragePool {
 public:
  explicit AveragePool(const Window2d& window) : window_(window) {}

  void forward(const float* x, float* y) const {
    for_each_row(planes(), [=, this](std::int64_t plane) {
      const float* const from = x + plane * window_.height * window_.width;
      float* to = y + plane * window_.out_height * window_.out_width;
      for_each_window([&](const Range& rows, const Range& columns) {
        double sum = 0;
        for (std::int64_t r = rows.first; r < rows.end; ++r) {
          for (std::int64_t c = columns.first; c < columns.end; ++c) {
            sum += static_cast<double>(from[r * window_.width + c]);
          }
        }
        *to++ = static_cast<float>(sum / static_cast<double>(rows.size() * columns.size()));
      });
    });
  }

  void backward(const float* dy, float* dx) const {
    for_each_row(planes(), [=, this](std::int64_t plane) {
      float* const to = dx + plane * window_.height * window_.width;
      const float* from = dy + plane * window_.out_height * window_.out_width;
      std::fill(to, to + window_.height * window_.width, 0.0F);
      for_each_window([&](const Range& rows, const Range& columns) {
        const float share = *from++ / static_cast<float>(rows.size() * columns.size());
        for (std::int64_t r = rows.first; r < rows.end; ++r) {
          for (std::int64_t c = columns.first; c < columns.end; ++c) to[r * window_.width + c] += share;
        }
      });
    });
  }

 private:
  struct Range {
    std::int64_t first;
    std::int64_t end;
    [[nodiscard]] std::int64_t size() const { return end - first; }
  };

  static Range clipped(std::int64_t first, std::int64_t length, std::int64_t extent) {
    return {std::max<std::int64_t>(first, 0), std::min(first + length, extent)};
  }

  [[nodiscard]] std::int64_t planes() const { return window_.batch * window_.in_channels; }

  // Windows of one plane, row-major.
  template <class Visit>
  void for_each_window(Visit visit) const {
    for (std::int64_t i = 0; i < window_.out_height; ++i) {
      const Range rows = clipped(i * window_.stride_height - window_.pad_top, window_.kernel_height, window_.height);
      for (std::int64_t j = 0; j < window_.out_width; ++j) {
        visit(rows, clipped(j * window_.stride_width - window_.pad_left, window_.kernel_width, window_.width));
      }
    }
  }

  Window2d window_;
};

class Forward final : public Kernel {
 public:
  explicit Forward(const Window2d& window) : pool_(window) {}
  void run(const KernelArguments& arguments) override { pool_.forward(arguments.in(0), arguments.out(0)); }

 private:
  AveragePool pool_;
};

class Backward final : public Kernel {
 public:
  explicit Backward(const Window2d& window) : pool_(window) {}
  void run(const KernelArguments& arguments) override { pool_.backward(arguments.in(0), arguments.out(0)); }

 private:
  AveragePool pool_;
};

}  // namespace

KernelPointer make_average_pool2d(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<Forward>(window_of(builder.op(), builder.input_types()));
}

KernelPointer make_average_pool2d_backward(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<Backward>(window_of(builder.op(), builder.input_types()));
}

}  // namespace skua::cpu
