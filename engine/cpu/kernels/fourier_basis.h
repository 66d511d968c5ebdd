// Small discrete Fourier transforms by which a convolution becomes products, one for each frequency. Plain values; safe
// from any thread.
#pragma once

#include <cstdint>
#include <vector>

#include "phase_axis.h"

namespace skua::cpu {

inline constexpr std::int64_t kMaxFourierLength = 32;  // of transforms, and of kernels

// The shortest period in which o + k' - i' - shift is a multiple of it only where it is zero: what wraps around falls
// outside of what is wanted, of the outputs, of the gradient by the image and of that by the weight alike.
[[nodiscard]] std::int64_t fourier_length(const PhaseAxis& axis);

// Real coefficients of frequencies 0 to length / 2, in this order: the cosine's and, unless it is its own conjugate,
// the sine's.
class FourierBasis {
 public:
  // Of samples at `first`, `first` + 1, ...
  FourierBasis(std::int64_t length, std::int64_t first, std::int64_t extent);

  [[nodiscard]] std::int64_t length() const { return length_; }
  [[nodiscard]] std::int64_t extent() const { return extent_; }
  [[nodiscard]] const float* analysis() const { return analysis_.data(); }    // [length][extent]
  [[nodiscard]] const float* synthesis() const { return synthesis_.data(); }  // [extent][length], over length

 private:
  std::int64_t length_;
  std::int64_t extent_;
  std::vector<float> analysis_;
  std::vector<float> synthesis_;
};

// The whole axis as one piece.
[[nodiscard]] Pieces<FourierBasis> fourier_pieces(const PhaseAxis& axis);

// Frequencies of two axes, with their place among the coefficients.
struct Frequency {
  std::int64_t row = 0;  // of the cosine; a sine's is the next one
  std::int64_t column = 0;
  bool row_sine = false;
  bool column_sine = false;
  // Of real matrices: 1 where there is no sine, else 3 for a complex product (Gauss), and 6 for two where both have
  // one.
  std::int64_t product = 0;
  [[nodiscard]] std::int64_t products() const {
    return !row_sine && !column_sine ? 1 : row_sine && column_sine ? 6 : 3;
  }
};

// Consecutive columns of coefficients, whose products are made together.
struct FrequencyChunk {
  std::int64_t first_column = 0;
  std::int64_t columns = 0;
  std::int64_t products = 0;
  std::vector<Frequency> frequencies;  // columns and products counted from the chunk's first
};
// At most `most_products` in a chunk, but where one frequency of the second axis has more.
[[nodiscard]] std::vector<FrequencyChunk> frequency_chunks(std::int64_t row_length, std::int64_t column_length,
                                                           std::int64_t most_products);

}  // namespace skua::cpu
