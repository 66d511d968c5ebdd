// The draws of random operators (skua/graph/random.h), many at a time: those of several blocks lie beside each other in
// vectors. To be called within run() (parallel.h). Any thread.
#pragma once

#include <array>
#include <cstring>

#include "../parallel.h"
#include "skua/graph/random.h"

namespace skua::cpu {

inline constexpr std::size_t kStripBlocks = 16;                                      // drawn together
inline constexpr std::int64_t kStrip = static_cast<std::int64_t>(4 * kStripBlocks);  // their elements
using StripBits = std::array<std::uint32_t, 4 * kStripBlocks>;

template <class Word>
using StripWords = std::array<std::array<Word, kStripBlocks>, 4>;

// Counters of the block that `first` counts, and of the ones after it.
template <class Word>
void count_blocks(const std::array<std::uint32_t, 4>& first, StripWords<Word>& c) {
  for (std::size_t i = 0; i < kStripBlocks; ++i) {
    c[0][i] = first[0] + static_cast<Word>(i);
    for (std::size_t k = 1; k < 4; ++k) c[k][i] = first[k];
  }
}
// Counters to draws, in place; of words of 64 bits the low 32 count.
template <class Word>
void draw_words(const std::array<std::uint32_t, 2>& key, StripWords<Word>& c) {
  for (int round = 0; round < kPhiloxRounds; ++round) {
#pragma omp simd
    for (std::size_t i = 0; i < kStripBlocks; ++i) philox_round(round, key, c[0][i], c[1][i], c[2][i], c[3][i]);
  }
}

// One draw for each of kStrip elements of a sample of the batch. REQUIRES: `first` is a multiple of 4.
inline void draw_strip(const DrawKey& key, std::int64_t sample, std::int64_t first, StripBits& bits) {
  const auto counter = draw_counter(key, sample, first / 4);
  if (has_avx512()) {  // which multiplies words of 64 bits at once; other vectors would take three products for one
    alignas(64) StripWords<std::uint64_t> c;
    count_blocks(counter, c);
    draw_words(draw_key(key), c);
    for (std::size_t i = 0; i < kStripBlocks; ++i) {
      for (std::size_t k = 0; k < 2; ++k) {
        const std::uint64_t pair = static_cast<std::uint32_t>(c[2 * k][i]) | c[2 * k + 1][i] << 32U;
        std::memcpy(&bits[4 * i + 2 * k], &pair, sizeof(pair));
      }
    }
    return;
  }
  alignas(64) StripWords<std::uint32_t> c;
  count_blocks(counter, c);
  draw_words(draw_key(key), c);
  for (std::size_t i = 0; i < kStripBlocks; ++i) {
    for (std::size_t k = 0; k < 4; ++k) bits[4 * i + k] = c[k][i];
  }
}

}  // namespace skua::cpu
