// Draws by the counter-based generator, in plain order of the elements (docs/operators.md).
#include <algorithm>

#include "../parallel.h"
#include "draws.h"
#include "kernels.h"
#include "skua/engine/elementwise.h"

namespace skua::cpu {

namespace {

// (N, elements of a sample)
struct Samples {
  std::int64_t count;
  std::int64_t elements;

  explicit Samples(const Shape& shape) : count(shape[0]), elements(shape.elements() / shape[0]) {}

  // visit(index of the first element, how many, a draw for each), for each strip of up to kStrip elements of a sample.
  template <class Visit>
  void for_each_strip(std::int64_t stream, const KernelArguments& arguments, Visit visit) const {
    const DrawKey key{arguments.context.seed, arguments.context.step, stream};
    const std::int64_t first_sample = arguments.micro_batch * count;
    for_each_row(count, [=, this](std::int64_t n) {
      alignas(64) StripBits bits;
      for (std::int64_t first = 0; first < elements; first += kStrip) {
        draw_strip(key, first_sample + n, first, bits);
        visit(n * elements + first, std::min(kStrip, elements - first), bits);
      }
    });
  }
};

class RandomNormal final : public Kernel {
 public:
  RandomNormal(const Shape& y, std::int64_t stream) : samples_(y), stream_(stream) {}
  void run(const KernelArguments& arguments) override {
    float* const y = arguments.out(0);
    samples_.for_each_strip(stream_, arguments, [=](std::int64_t first, std::int64_t count, const StripBits& bits) {
      for (std::int64_t i = 0; i < count; ++i) {
        const auto pair = static_cast<std::size_t>(i / 2 * 2);
        const auto normal = elementwise::NormalPair::of(bits[pair], bits[pair + 1]);
        y[first + i] = static_cast<float>(i % 2 == 0 ? normal.cosine : normal.sine);
      }
    });
  }

 private:
  Samples samples_;
  std::int64_t stream_;
};

}  // namespace

KernelPointer make_random_normal(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<RandomNormal>(builder.output_type(0).shape, builder.op().attributes.integer("stream"));
}

}  // namespace skua::cpu
