// Draws that are made many at a time are those of the generator's definition, whatever the width of the words.
#include "engine/cpu/kernels/draws.h"

#include <gtest/gtest.h>

namespace skua::test {
namespace {

template <class Word>
void expect_words() {
  // Blocks whose counter wraps among them.
  const std::array<std::uint32_t, 4> first{0xFFFFFFFAU, 3, 0x80000001U, 0xDEADBEEFU};
  const std::array<std::uint32_t, 2> key{0x89ABCDEFU, 0xFEDCBA98U};
  cpu::StripWords<Word> words;
  cpu::run(0, 1, [&](std::int64_t, std::int64_t) {
    cpu::count_blocks(first, words);
    cpu::draw_words(key, words);
  });
  for (std::size_t i = 0; i < cpu::kStripBlocks; ++i) {
    auto counter = first;
    counter[0] += static_cast<std::uint32_t>(i);
    const auto expected = philox4x32(counter, key);
    for (std::size_t k = 0; k < 4; ++k) EXPECT_EQ(static_cast<std::uint32_t>(words[k][i]), expected[k]) << i;
  }
}

TEST(Draws, OfWordsOf32And64Bits) {
  expect_words<std::uint32_t>();
  expect_words<std::uint64_t>();
}

TEST(Draws, StripsAreThoseOfTheDefinition) {
  const DrawKey key{0x123456789ABCDEFULL, 77, 5};
  alignas(64) cpu::StripBits bits;
  cpu::run(0, 1, [&](std::int64_t, std::int64_t) { cpu::draw_strip(key, 9, 100, bits); });
  for (std::int64_t i = 0; i < cpu::kStrip; ++i) {
    EXPECT_EQ(bits[static_cast<std::size_t>(i)], draws(key, 9, 25 + i / 4)[static_cast<std::size_t>(i % 4)]) << i;
  }
}

}  // namespace
}  // namespace skua::test
