// Loops compiled for several sets of instructions compute the same bits, and shares cover every element once.
#include "engine/cpu/parallel.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <vector>

#include "skua/engine/elementwise.h"
#include "skua/graph/random.h"

namespace skua::test {
namespace {

using Bits = std::vector<std::uint32_t>;

// What `function` gives for numbers of many sizes, by loops that `run` runs.
template <class Function, class Run>
Bits bits_of(Function function, Run run) {
  constexpr std::int64_t kCount = 1003;
  std::vector<float> x(kCount);
  Random random(5);
  for (float& value : x)
    value = std::exp2(static_cast<float>(random.uniform(-12, 6))) * (random.uniform() < 0.5 ? -1 : 1);
  std::vector<float> y(kCount);
  run(kCount, [function, from = x.data(), to = y.data()](std::int64_t first, std::int64_t end) {
#pragma omp simd
    for (std::int64_t i = first; i < end; ++i) to[i] = function(from[i]);
  });
  Bits bits;
  for (const float value : y) bits.push_back(std::bit_cast<std::uint32_t>(value));
  return bits;
}

template <class Function>
void expect_equal_bits(Function function) {
  const Bits baseline = bits_of(function, [](std::int64_t count, auto body) { cpu::run_baseline(0, count, body); });
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
  if (cpu::has_avx2()) {
    EXPECT_EQ(bits_of(function, [](std::int64_t count, auto body) { cpu::run_avx2(0, count, body); }), baseline);
  }
  if (cpu::has_avx512()) {
    EXPECT_EQ(bits_of(function, [](std::int64_t count, auto body) { cpu::run_avx512(0, count, body); }), baseline);
  }
#endif
}

TEST(Parallel, InstructionSetsChangeNoBit) {
  expect_equal_bits(elementwise::Relu());
  expect_equal_bits(elementwise::Tanh());
  expect_equal_bits(elementwise::Sigmoid());
  expect_equal_bits(elementwise::Gelu());
  expect_equal_bits(elementwise::Softplus());
  expect_equal_bits([](float x) { return elementwise::exponential(x); });
  const elementwise::Adam adam = elementwise::Adam::at({{"beta1", 0.9},
                                                        {"beta2", 0.999},
                                                        {"epsilon", 1e-7},
                                                        {"rate_factor", 1.0},
                                                        {"weight_decay", 0.01},
                                                        {"decoupled", std::int64_t{0}}},
                                                       3, 1e-3F);
  expect_equal_bits([adam](float x) {
    float p = x;
    float m = 0.5F * x;
    float v = x * x;
    adam(p, 1 - x, m, v);
    return p + m + v;
  });
}

TEST(Parallel, SharesCoverEveryElementOnce) {
  for (const int threads : {1, 2, 3}) {
    const cpu::ThreadCount guard(threads);
    for (const std::int64_t count : {0, 1, 2, 7, 16383, 32768, 100001}) {
      std::vector<int> elements(static_cast<std::size_t>(count));
      cpu::for_each_element(count, [data = elements.data()](std::int64_t i) { ++data[i]; });
      std::vector<int> rows(static_cast<std::size_t>(count));
      cpu::for_each_row(count, [data = rows.data()](std::int64_t i) { ++data[i]; });
      EXPECT_EQ(elements, std::vector<int>(static_cast<std::size_t>(count), 1));
      EXPECT_EQ(rows, elements);
    }
  }
}

}  // namespace
}  // namespace skua::test
