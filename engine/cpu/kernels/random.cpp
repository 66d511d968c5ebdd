// Draws by the counter-based generator, in plain order of the elements (docs/operators.md).
#include <algorithm>

#include "../parallel.h"
#include "kernels.h"
#include "skua/engine/elementwise.h"
#include "skua/graph/random.h"

namespace skua::cpu {

namespace {

// (N, elements of a sample)
struct Samples {
  std::int64_t count;
  std::int64_t elements;

  explicit Samples(const Shape& shape) : count(shape[0]), elements(shape.elements() / shape[0]) {}

  // visit(index of the first element, how many, their four draws), for each block of up to four elements of a sample.
  template <class Visit>
  void for_each_block(std::int64_t stream, const KernelArguments& arguments, Visit visit) const {
    const std::int64_t blocks = (elements + 3) / 4;
    const DrawKey key{arguments.context.seed, arguments.context.step, stream};
    const std::int64_t first_sample = arguments.micro_batch * count;
    for_each_row(count, [=, this](std::int64_t n) {
      for (std::int64_t block = 0; block < blocks; ++block) {
        visit(n * elements + 4 * block, std::min<std::int64_t>(4, elements - 4 * block),
              draws(key, first_sample + n, block));
      }
    });
  }
};

class Dropout final : public Kernel {
 public:
  Dropout(const Shape& x, double rate, std::int64_t stream)
      : samples_(x), stream_(stream), least_(dropout_threshold(rate)), scale_(static_cast<float>(1 / (1 - rate))) {}
  void run(const KernelArguments& arguments) override {
    const DrawKey key{arguments.context.seed, arguments.context.step, stream_};
    const std::int64_t first_sample = arguments.micro_batch * samples_.count;
    for_each_row(samples_.count, [=, this, x = arguments.in(0), y = arguments.out(0)](std::int64_t n) {
      const std::int64_t row = n * samples_.elements;
      for (std::int64_t first = 0; first < samples_.elements; first += kStrip) {
        const std::int64_t count = std::min(kStrip, samples_.elements - first);
        drop(key, first_sample + n, first / 4, count, x + row + first, y + row + first);
      }
    });
  }

 private:
  static constexpr std::int64_t kStrip = 64;  // elements whose draws are made together, which fills the multipliers

  void drop(const DrawKey& key, std::int64_t sample, std::int64_t first_block, std::int64_t count, const float* x,
            float* y) const {
    alignas(64) std::uint32_t bits[kStrip];
    for (std::int64_t block = 0; block < kStrip / 4; ++block) {
      const auto drawn = draws(key, sample, first_block + block);
      std::copy(drawn.begin(), drawn.end(), bits + 4 * block);
    }
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) {
      const float kept = x[i] * scale_;
      y[i] = bits[i] >= least_ ? kept : 0.0F;
    }
  }

  Samples samples_;
  std::int64_t stream_;
  std::uint32_t least_;
  float scale_;
};

class RandomNormal final : public Kernel {
 public:
  RandomNormal(const Shape& y, std::int64_t stream) : samples_(y), stream_(stream) {}
  void run(const KernelArguments& arguments) override {
    float* const y = arguments.out(0);
    samples_.for_each_block(stream_, arguments,
                            [=](std::int64_t first, std::int64_t count, const std::array<std::uint32_t, 4>& bits) {
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

KernelPointer make_dropout(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<Dropout>(builder.input_type(0).shape, builder.op().attributes.real("rate"),
                                   builder.op().attributes.integer("stream"));
}

KernelPointer make_random_normal(NodeBuilder& builder) {
  read_all_plain(builder);
  return std::make_unique<RandomNormal>(builder.output_type(0).shape, builder.op().attributes.integer("stream"));
}

}  // namespace skua::cpu
