// The first rows and columns of images, and images that are zero beside them, as arrays [outer][H][W][inner].
#include <algorithm>

#include "../parallel.h"
#include "kernels.h"

namespace skua::cpu {

namespace {

struct Planes {
  std::int64_t count;
  std::int64_t rows;
  std::int64_t row_elements;
};

class Crop final : public Kernel {
 public:
  Crop(const Planes& from, const Planes& to) : from_(from), to_(to) {}
  void run(const KernelArguments& arguments) override {
    for_each_row(to_.count, [=, this, x = arguments.in(0), y = arguments.out(0)](std::int64_t plane) {
      const float* from = x + plane * from_.rows * from_.row_elements;
      float* to = y + plane * to_.rows * to_.row_elements;
      const std::int64_t kept = std::min(from_.row_elements, to_.row_elements);
      for (std::int64_t row = 0; row < to_.rows; ++row, from += from_.row_elements, to += to_.row_elements) {
        const std::int64_t elements = row < from_.rows ? kept : 0;
        std::copy(from, from + elements, to);
        std::fill(to + elements, to + to_.row_elements, 0.0F);
      }
    });
  }

 private:
  Planes from_;
  Planes to_;
};

}  // namespace

KernelPointer make_crop2d(NodeBuilder& builder) {
  const ImageBlocks blocks = image_blocks(builder.input_layout(0), builder.input_type(0));
  const auto planes = [&](const Shape& image) { return Planes{blocks.outer, image[2], image[3] * blocks.inner}; };
  const Shape& x = builder.input_type(0).shape;
  const Shape& y = builder.output_type(0).shape;
  builder.read(0, blocks.layout_of(x, DType::kFloat32));
  builder.write(0, blocks.layout_of(y, DType::kFloat32));
  return std::make_unique<Crop>(planes(x), planes(y));
}

}  // namespace skua::cpu
