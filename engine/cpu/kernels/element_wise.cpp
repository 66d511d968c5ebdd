// Element-wise operators in a row, and dropout, which is such a row of one: by blocks of elements, so that what is
// between the steps stays in the cache. Draws are by an element's place in its sample, in whichever layout it lies.
#include <algorithm>
#include <functional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "../parallel.h"
#include "draws.h"
#include "kernels.h"
#include "skua/engine/elementwise.h"
#include "skua/graph/element_steps.h"

namespace skua::cpu {

namespace {

constexpr std::int64_t kBlock = 1024;  // elements; a multiple of kStrip

// Some of a unit's elements. A unit is a part of an array that one thread works on.
struct Block {
  const KernelArguments& arguments;
  std::int64_t unit;
  std::int64_t first;
  std::int64_t count;
};

// b is a where the step takes one operand; y may be an operand.
using Apply = std::function<void(const float* a, const float* b, float* y, const Block& block)>;

// visit(the function) of a step that is no dropout.
template <class Visit>
auto visit_step(const Op& op, Visit visit) {
  constexpr std::string_view kBackward = "_backward";
  if (op.type == "add") return visit(elementwise::Add());
  if (op.type == "multiply") return visit(elementwise::Multiply());
  if (op.type == "gelu") return visit(elementwise::Gelu());
  if (op.type == "gelu_backward") return visit(elementwise::GeluBackward());
  if (!op.type.ends_with(kBackward)) {
    return elementwise::visit_activation(op, [&](auto function, auto) { return visit(function); });
  }
  const Op activation{op.type.substr(0, op.type.size() - kBackward.size()), op.attributes};
  return elementwise::visit_activation(activation, [&](auto, auto backward) { return visit(backward); });
}

template <class Function>
float call(Function function, float a, float b) {
  if constexpr (std::is_invocable_v<Function, float, float>) {
    return function(a, b);
  } else {
    return function(a);
  }
}

Apply apply_of(const Op& op) {
  return visit_step(op, [](auto function) -> Apply {
    return [function](const float* a, const float* b, float* y, const Block& block) {
      cpu::run(0, block.count, [=](std::int64_t first, std::int64_t end) {
#pragma omp simd
        for (std::int64_t i = first; i < end; ++i) y[i] = call(function, a[i], b[i]);
      });
    };
  });
}

// Dropout of samples that lie plain, a unit each, or as images whose channels come `Inner` at a time, those a unit.
class Dropping {
 public:
  Dropping(const Op& op, const Shape& x, std::int64_t inner)
      : stream_(op.attributes.integer("stream")),
        least_(dropout_threshold(op.attributes.real("rate"))),
        scale_(static_cast<float>(1 / (1 - op.attributes.real("rate")))),
        samples_(x[0]) {
    if (inner == 1) return;
    units_ = (x[1] + inner - 1) / inner;
    pixels_ = x[2] * x[3];
  }

  void plain(const float* x, float* y, const Block& block) const {
    const DrawKey key = key_of(block);
    cpu::run(0, block.count, [=, this, sample = sample_of(block), start = block.first](std::int64_t, std::int64_t end) {
      alignas(64) StripBits bits;
      for (std::int64_t first = 0; first < end; first += kStrip) {
        draw_strip(key, sample, start + first, bits);
        drop(x + first, bits.data(), std::min(kStrip, end - first), y + first);
      }
    });
  }

  template <std::int64_t Inner>
  void blocked(const float* x, float* y, const Block& block) const {
    cpu::run(0, block.count / Inner, [&](std::int64_t, std::int64_t pixels) {
      if (has_avx512()) return drop_pixels<Inner, std::uint64_t>(x, y, block, pixels);
      drop_pixels<Inner, std::uint32_t>(x, y, block, pixels);
    });
  }

 private:
  [[nodiscard]] DrawKey key_of(const Block& block) const {
    return {block.arguments.context.seed, block.arguments.context.step, stream_};
  }
  [[nodiscard]] std::int64_t sample_of(const Block& block) const {
    return block.arguments.micro_batch * samples_ + block.unit / units_;
  }

  template <class Word>
  void drop(const float* x, const Word* draws, std::int64_t count, float* y) const {
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) {
      const float kept = x[i] * scale_;
      y[i] = static_cast<std::uint32_t>(draws[i]) >= least_ ? kept : 0.0F;
    }
  }

  // What a lane draws: of one channel, every (kStripBlocks / Inner)th block of four elements.
  template <std::int64_t Inner, class Word>
  struct Lanes {
    Word block[kStripBlocks];            // the first
    std::uint32_t before[kStripBlocks];  // how many of its elements lie before the first pixel
  };

  template <std::int64_t Inner, class Word>
  void drop_pixels(const float* x, float* y, const Block& block, std::int64_t pixels) const {
    Lanes<Inner, Word> lanes;
    for (std::size_t lane = 0; lane < kStripBlocks; ++lane) {
      const std::int64_t channel = block.unit % units_ * Inner + static_cast<std::int64_t>(lane) % Inner;
      const std::int64_t element = channel * pixels_ + block.first / Inner;
      lanes.block[lane] = static_cast<Word>(element / 4 + static_cast<std::int64_t>(lane) / Inner);
      lanes.before[lane] = static_cast<std::uint32_t>(element % 4);
    }
    if (pixels_ % 4 == 0) return drop_fours(x, y, block, pixels, lanes);
    drop_any(x, y, block, pixels, lanes);
  }

  // visit(the first lane's first pixel, its draws) for each block of every lane, as long as pixels are below `end`.
  template <std::int64_t Inner, class Word, class Visit>
  void for_each_draws(const Block& block, std::int64_t end, const Lanes<Inner, Word>& lanes, Visit visit) const {
    const DrawKey key = key_of(block);
    const auto counter = draw_counter(key, sample_of(block), 0);
    alignas(64) StripWords<Word> c;
    for (std::int64_t pixel = 0; pixel < end; pixel += kStrip / Inner) {
      count_blocks(counter, c);
      for (std::size_t i = 0; i < kStripBlocks; ++i) c[0][i] = lanes.block[i] + static_cast<Word>(pixel / 4);
      draw_words(draw_key(key), c);
      visit(pixel, c);
    }
  }

  // Where every channel begins with a block.
  template <std::int64_t Inner, class Word>
  void drop_fours(const float* x, float* y, const Block& block, std::int64_t pixels,
                  const Lanes<Inner, Word>& lanes) const {
    for_each_draws(block, pixels, lanes, [&](std::int64_t pixel, const StripWords<Word>& c) {
      for (std::size_t lane = 0; lane < kStripBlocks; lane += Inner, pixel += 4) {
        if (pixel >= pixels) return;
        for (std::size_t k = 0; k < 4; ++k) {
          const std::int64_t first = (pixel + static_cast<std::int64_t>(k)) * Inner;
          drop(x + first, &c[k][lane], Inner, y + first);
        }
      }
    });
  }

  template <std::int64_t Inner, class Word>
  void drop_any(const float* x, float* y, const Block& block, std::int64_t pixels,
                const Lanes<Inner, Word>& lanes) const {
    // By element of the lanes' blocks, and channel: a pixel's draws stand in four rows from its own.
    alignas(64) std::uint32_t draws[kBlock + 8 * Inner + kStrip];
    for_each_draws(block, pixels + 3, lanes, [&](std::int64_t pixel, const StripWords<Word>& c) {
      std::uint32_t* to = draws + pixel * Inner;
      for (std::size_t lane = 0; lane < kStripBlocks; lane += Inner) {
        for (std::size_t k = 0; k < 4; ++k, to += Inner) {
          for (std::size_t i = 0; i < Inner; ++i) to[i] = static_cast<std::uint32_t>(c[k][lane + i]);
        }
      }
    });
    for (std::int64_t pixel = 0; pixel < pixels; ++pixel) {
      const std::uint32_t* const row = draws + pixel * Inner;
      alignas(64) std::uint32_t own[Inner];
      for (std::int64_t i = 0; i < Inner; ++i) {
        const std::uint32_t before = lanes.before[i];
        const std::uint32_t early = before == 0 ? row[i] : row[i + Inner];
        const std::uint32_t late = before == 2 ? row[i + 2 * Inner] : row[i + 3 * Inner];
        own[i] = before < 2 ? early : late;
      }
      drop(x + pixel * Inner, own, Inner, y + pixel * Inner);
    }
  }

  std::int64_t stream_;
  std::uint32_t least_;
  float scale_;
  std::int64_t samples_;
  std::int64_t units_ = 1;   // of a sample
  std::int64_t pixels_ = 1;  // of a channel
};

Apply dropout_of(const Op& op, const Shape& x, std::int64_t inner) {
  const Dropping dropping(op, x, inner);
  if (inner == 1) {
    return [=](const float* a, const float*, float* y, const Block& block) { dropping.plain(a, y, block); };
  }
  if (inner == 8) {
    return [=](const float* a, const float*, float* y, const Block& block) { dropping.blocked<8>(a, y, block); };
  }
  return [=](const float* a, const float*, float* y, const Block& block) { dropping.blocked<16>(a, y, block); };
}

class ElementWise final : public Kernel {
 public:
  struct Step {
    Apply apply;
    std::size_t a;  // values: inputs, then the buffers
    std::size_t b;
    std::size_t result;  // its buffer
  };

  ElementWise(std::vector<Step> steps, std::size_t inputs, std::int64_t elements, std::int64_t unit_elements)
      : steps_(std::move(steps)), inputs_(inputs), elements_(elements), unit_elements_(unit_elements) {}

  void run(const KernelArguments& arguments) override {
    constexpr std::int64_t kWorthThread = 16384;
    share((elements_ + unit_elements_ - 1) / unit_elements_, std::max<std::int64_t>(1, kWorthThread / unit_elements_),
          [this, &arguments](std::int64_t first, std::int64_t end) {
            for (std::int64_t unit = first; unit < end; ++unit) run_unit(arguments, unit);
          });
  }

 private:
  [[gnu::noinline]] void run_unit(const KernelArguments& arguments, std::int64_t unit) const {
    alignas(64) float buffers[kMostElementSteps][kBlock];
    const std::int64_t start = unit * unit_elements_;
    const std::int64_t length = std::min(unit_elements_, elements_ - start);
    for (std::int64_t first = 0; first < length; first += kBlock) {
      const Block block{arguments, unit, first, std::min(kBlock, length - first)};
      const auto at = [&](std::size_t value) {
        return value < inputs_ ? arguments.in(value) + start + first : buffers[value - inputs_];
      };
      for (std::size_t i = 0; i < inputs_; ++i) ask_for(arguments.in(i), start + first + kBlock);
      for (const Step& step : steps_) {
        float* const y = &step == &steps_.back() ? arguments.out(0) + start + first : buffers[step.result];
        step.apply(at(step.a), at(step.b), y, block);
      }
    }
  }

  // A block ahead of its turn: blocks are too short for the processor to notice where they go on.
  void ask_for(const float* x, std::int64_t first) const {
    constexpr std::int64_t kLine = 16;
    for (std::int64_t i = first; i < std::min(first + kBlock, elements_); i += kLine) __builtin_prefetch(x + i);
  }

  std::vector<Step> steps_;
  std::size_t inputs_;
  std::int64_t elements_;
  std::int64_t unit_elements_;
};

bool is_dropout(const ElementStep& step) {
  return step.op.type == "dropout";
}

// Whether padding, which is zero, would stay so.
bool keeps_zero(const std::vector<ElementStep>& steps, std::size_t inputs) {
  std::vector<float> values(inputs, 0.0F);
  for (const ElementStep& step : steps) {
    const float a = values[static_cast<std::size_t>(step.from.front())];
    const float b = values[static_cast<std::size_t>(step.from.back())];
    values.push_back(is_dropout(step) ? a : visit_step(step.op, [=](auto function) { return call(function, a, b); }));
  }
  return values.back() == 0;
}

// That of the first input in blocks, if the steps can run over it; plain if there is none.
Layout layout_for(NodeBuilder& builder, const std::vector<ElementStep>& steps) {
  const ValueType& type = builder.input_type(0);
  const Layout plain(type);
  const auto is_right = [&](const Layout& layout) {
    if (layout.is_plain() || (layout.is_padded() && !keeps_zero(steps, builder.input_count()))) return false;
    if (std::none_of(steps.begin(), steps.end(), is_dropout)) return true;
    return type.shape.rank() == 4 && image_blocks(layout, type).inner > 1;
  };
  for (std::size_t i = 0; i < builder.input_count(); ++i) {
    const Layout& layout = builder.input_layout(i);
    if (is_right(layout)) return layout;
  }
  return plain;
}

KernelPointer make(NodeBuilder& builder, const std::vector<ElementStep>& steps) {
  const std::size_t inputs = builder.input_count();
  const ValueType& type = builder.input_type(0);
  const Layout layout = layout_for(builder, steps);
  for (std::size_t i = 0; i < inputs; ++i) builder.read(i, layout);
  builder.write(0, layout);
  for (std::size_t i = inputs; i-- > 0;) builder.may_overwrite(i, 0);
  const bool draws = std::any_of(steps.begin(), steps.end(), is_dropout);
  const std::int64_t inner = draws && !layout.is_plain() ? image_blocks(layout, type).inner : 1;
  const std::vector<std::size_t> buffers = step_buffers(steps, inputs);
  std::vector<ElementWise::Step> made;
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const auto place = [&](std::int64_t from) {
      const auto value = static_cast<std::size_t>(from);
      return value < inputs ? value : inputs + buffers[value - inputs];
    };
    made.push_back({is_dropout(steps[i]) ? dropout_of(steps[i].op, type.shape, inner) : apply_of(steps[i].op),
                    place(steps[i].from.front()), place(steps[i].from.back()), buffers[i]});
  }
  std::int64_t unit_elements = kBlock;
  if (draws && inner == 1) unit_elements = type.shape.elements() / type.shape[0];
  if (draws && inner > 1) unit_elements = inner * type.shape[2] * type.shape[3];
  return std::make_unique<ElementWise>(std::move(made), inputs, layout.stored_elements(), unit_elements);
}

}  // namespace

KernelPointer make_element_wise(NodeBuilder& builder) {
  return make(builder, element_steps(builder.op()));
}

KernelPointer make_dropout(NodeBuilder& builder) {
  return make(builder, {{builder.op(), {0}}});
}

}  // namespace skua::cpu
