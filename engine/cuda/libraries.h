// The seam to cuDNN and cuBLASLt: what the kernels leave to them, prepared when a graph is compiled.
// cudnn_convolution.cpp and cublas_product.cpp implement it; tests do by plain loops. Algorithms are fixed and
// deterministic. Errors are std::runtime_error "cuDNN: what failed: why".
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "runtime.h"
#include "skua/graph/window.h"

namespace skua::cuda {

// What products and convolutions compute in; sums are in float32. Values are float32 always.
enum class Precision : int { kFloat32, kTf32, kBfloat16 };

// Prepared work: y from a and b, row-major in the GPU's memory. Driven by one thread at a time.
class Prepared {
 public:
  virtual ~Prepared() = default;
  [[nodiscard]] virtual std::size_t workspace_bytes() const = 0;  // aligned to 256
  virtual void run(GpuStream& stream, const void* a, const void* b, const void* bias, void* y, void* workspace) = 0;
};

// y (rows,columns) = a (rows,inner) by b (inner,columns), plus beta y, plus a bias for each column; `count` times, each
// operand `batch_stride` elements behind the last one's. An operand is read transposed where it says so: it is then
// stored (inner,rows) or (columns,inner). Strides are elements from one stored row to the next.
struct ProductSpec {
  struct Operand {
    bool transposed = false;
    std::int64_t stride = 0;
    std::int64_t batch_stride = 0;
  };
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t inner = 0;
  Operand a;
  Operand b;
  std::int64_t y_stride = 0;
  std::int64_t y_batch_stride = 0;
  std::int64_t count = 1;
  float beta = 0;     // 0 or 1
  bool bias = false;  // with beta 0 and count 1
};

enum class ConvolutionPass { kForward, kBackwardData, kBackwardWeight };

class Libraries {
 public:
  virtual ~Libraries() = default;
  [[nodiscard]] virtual std::unique_ptr<Prepared> product(const ProductSpec& spec) = 0;
  // REQUIRES: pad_top == pad_bottom and pad_left == pad_right. Forward: y from a = x and b = weight; backward data: dx
  // from a = dy and b = weight; backward weight: dweight from a = x and b = dy. No bias.
  [[nodiscard]] virtual std::unique_ptr<Prepared> convolution(ConvolutionPass pass, const Window2d& window) = 0;
};

}  // namespace skua::cuda
