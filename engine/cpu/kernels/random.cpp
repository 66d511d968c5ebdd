// Draws by the counter-based generator, in plain order of the elements (docs/operators.md).
#include <algorithm>

#include "../parallel.h"
#include "draws.h"
#include "kernels.h"
#include "skua/engine/elementwise.h"

namespace skua::cpu {

namespace {

class RandomNormal final : public Kernel {
 public:
  RandomNormal(const Shape& y, std::int64_t stream) : samples_(y[0]), elements_(y.elements() / y[0]), stream_(stream) {}
  void run(const KernelArguments& arguments) override {
    const DrawKey key{arguments.context.seed, arguments.context.step, stream_};
    const std::int64_t first_sample = arguments.micro_batch * samples_;
    for_each_row(samples_, [=, this, y = arguments.out(0)](std::int64_t n) {
      alignas(64) StripBits bits;
      for (std::int64_t first = 0; first < elements_; first += kStrip) {
        draw_strip(key, first_sample + n, first, bits);
        put_normals(bits, std::min(kStrip, elements_ - first), y + n * elements_ + first);
      }
    });
  }

 private:
  static void put_normals(const StripBits& bits, std::int64_t count, float* y) {
    for (std::int64_t i = 0; i < count; ++i) {
      const auto pair = static_cast<std::size_t>(i / 2 * 2);
      const auto normal = elementwise::NormalPair::of(bits[pair], bits[pair + 1]);
      y[i] = static_cast<float>(i % 2 == 0 ? normal.cosine : normal.sine);
    }
  }

  std::int64_t samples_;
  std::int64_t elements_;  // of a sample
  std::int64_t stream_;
};

}  // namespace

KernelPointer make_random_normal(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<RandomNormal>(builder.output_type(0).shape, builder.op().attributes.integer("stream"));
}

}  // namespace skua::cpu
