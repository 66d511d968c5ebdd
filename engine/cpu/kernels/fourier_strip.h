// The transforms of fourier_basis.h on strips: samples of one plane, each of kLanes neighbouring channels. All is
// inlined into loops of parallel.h.
#pragma once

#include <cstdint>

#include "fourier_basis.h"
#include "strip.h"

namespace skua::cpu {

// kRows rows of combine(), their sums in registers.
template <int kLanes, int kRows>
void combine_rows(std::int64_t inner, Lanes<const float> matrix, Lanes<const float> in, Lanes<const float> start,
                  Lanes<float> out) {
  alignas(64) float sums[kRows][kLanes];
  for (int row = 0; row < kRows; ++row) {
#pragma omp simd
    for (int lane = 0; lane < kLanes; ++lane) sums[row][lane] = start.data[row * start.stride + lane];
  }
  for (std::int64_t k = 0; k < inner; ++k) {
    for (int row = 0; row < kRows; ++row) {
#pragma omp simd
      for (int lane = 0; lane < kLanes; ++lane) {
        sums[row][lane] += matrix.data[row * matrix.stride + k] * in.data[k * in.stride + lane];
      }
    }
  }
  for (int row = 0; row < kRows; ++row) {
#pragma omp simd
    for (int lane = 0; lane < kLanes; ++lane) out.data[row * out.stride + lane] = sums[row][lane];
  }
}

// out (rows vectors) = start + matrix (rows,inner) * in (inner vectors); start may be out.
template <int kLanes>
void combine(std::int64_t rows, std::int64_t inner, Lanes<const float> matrix, Lanes<const float> in,
             Lanes<const float> start, Lanes<float> out) {
  const auto advance = [&](std::int64_t by) {
    rows -= by;
    matrix.data += by * matrix.stride;
    start.data += by * start.stride;
    out.data += by * out.stride;
  };
  while (rows > 0) {
    if (rows == 1) {
      combine_rows<kLanes, 1>(inner, matrix, in, start, out);
      advance(1);
    } else if (rows == 2) {
      combine_rows<kLanes, 2>(inner, matrix, in, start, out);
      advance(2);
    } else if (rows % 4 != 0) {
      combine_rows<kLanes, 3>(inner, matrix, in, start, out);
      advance(3);
    } else {
      combine_rows<kLanes, 4>(inner, matrix, in, start, out);
      advance(4);
    }
  }
}

using FourierBases = Bases<FourierBasis>;

// A product of complex matrices, (a + ib) (c + id), by three real ones (Gauss): c (a + b), a (d - c), b (c + d). The
// real part is the first less the third, the imaginary part the first and the second.
template <bool kSecond>
void put_factor(float re, float im, float* to, std::int64_t stride) {
  to[0] = kSecond ? re : re + im;
  to[stride] = kSecond ? im - re : re;
  to[2 * stride] = kSecond ? re + im : im;
}

// Transforms `plane`, puts the products' factors at to + product * stride. `sign`: -1 conjugates.
template <int kLanes, bool kSecond>
void analyse(const Plane<const float>& plane, const FourierBases& bases, const FrequencyChunk& chunk, float sign,
             float* to, std::int64_t stride) {
  constexpr std::int64_t kMax = kMaxFourierLength * kMaxFourierLength * kLanes;
  alignas(64) float by_row[kMax];        // [row][column of the chunk]
  alignas(64) float coefficients[kMax];  // [column][row]
  const std::int64_t rows = bases.rows->extent();
  const std::int64_t columns = bases.columns->extent();
  const Lanes<const float> zero{kZeroLanes, 0};
  for (std::int64_t p = 0; p < chunk.products; ++p) __builtin_prefetch(to + p * stride, 1);
  for (std::int64_t u = 0; u < rows; ++u) {
    combine<kLanes>(chunk.columns, columns, {bases.columns->analysis() + chunk.first_column * columns, columns},
                    {plane.data + u * plane.row_stride, plane.column_stride}, zero,
                    {by_row + u * chunk.columns * kLanes, kLanes});
  }
  for (std::int64_t q = 0; q < chunk.columns; ++q) {
    combine<kLanes>(bases.rows->length(), rows, {bases.rows->analysis(), rows},
                    {by_row + q * kLanes, chunk.columns * kLanes}, zero,
                    {coefficients + q * bases.rows->length() * kLanes, kLanes});
  }
  for (const Frequency& f : chunk.frequencies) {
    const float* const cc = coefficients + (f.column * bases.rows->length() + f.row) * kLanes;
    const float* const sc = cc + kLanes;  // the sine of the row
    const float* const cs = cc + bases.rows->length() * kLanes;
    const float* const ss = cs + kLanes;
    float* const out = to + f.product * stride;
    if (f.row_sine && f.column_sine) {
#pragma omp simd
      for (int i = 0; i < kLanes; ++i) {
        put_factor<kSecond>(cc[i] - ss[i], -sign * (cs[i] + sc[i]), out + i, stride);
        put_factor<kSecond>(cc[i] + ss[i], -sign * (cs[i] - sc[i]), out + 3 * stride + i, stride);
      }
    } else if (f.row_sine || f.column_sine) {
      const float* const sine = f.row_sine ? sc : cs;
#pragma omp simd
      for (int i = 0; i < kLanes; ++i) put_factor<kSecond>(cc[i], -sign * sine[i], out + i, stride);
    } else {
#pragma omp simd
      for (int i = 0; i < kLanes; ++i) out[i] = cc[i];
    }
  }
}

// From three products.
inline float real_part(const float* products, std::int64_t stride) {
  return products[0] - products[2 * stride];
}
inline float imaginary_part(const float* products, std::int64_t stride) {
  return products[0] + products[stride];
}

// Adds to `start` what the chunk's frequencies give: twice the real part of each that stands for two.
template <int kLanes>
void synthesise(const float* from, std::int64_t stride, const FourierBases& bases, const FrequencyChunk& chunk,
                const Plane<const float>& start, const Plane<float>& plane) {
  constexpr std::int64_t kMax = kMaxFourierLength * kMaxFourierLength * kLanes;
  alignas(64) float coefficients[kMax];  // [column][row]
  alignas(64) float by_row[kMax];        // [row][column of the chunk]
  for (const Frequency& f : chunk.frequencies) {
    float* const cc = coefficients + (f.column * bases.rows->length() + f.row) * kLanes;
    float* const sc = cc + kLanes;
    float* const cs = cc + bases.rows->length() * kLanes;
    float* const ss = cs + kLanes;
    const float* const in = from + f.product * stride;
    if (f.row_sine && f.column_sine) {
#pragma omp simd
      for (int i = 0; i < kLanes; ++i) {
        const float re = real_part(in + i, stride);
        const float im = imaginary_part(in + i, stride);
        const float mirrored_re = real_part(in + 3 * stride + i, stride);
        const float mirrored_im = imaginary_part(in + 3 * stride + i, stride);
        cc[i] = 2 * (re + mirrored_re);
        ss[i] = 2 * (mirrored_re - re);
        sc[i] = 2 * (mirrored_im - im);
        cs[i] = -2 * (im + mirrored_im);
      }
    } else if (f.row_sine || f.column_sine) {
      float* const sine = f.row_sine ? sc : cs;
#pragma omp simd
      for (int i = 0; i < kLanes; ++i) {
        cc[i] = 2 * real_part(in + i, stride);
        sine[i] = -2 * imaginary_part(in + i, stride);
      }
    } else {
#pragma omp simd
      for (int i = 0; i < kLanes; ++i) cc[i] = in[i];
    }
  }
  const std::int64_t rows = bases.rows->extent();
  const std::int64_t columns = bases.columns->extent();
  for (std::int64_t q = 0; q < chunk.columns; ++q) {
    combine<kLanes>(rows, bases.rows->length(), {bases.rows->synthesis(), bases.rows->length()},
                    {coefficients + q * bases.rows->length() * kLanes, kLanes}, {kZeroLanes, 0},
                    {by_row + q * kLanes, chunk.columns * kLanes});
  }
  for (std::int64_t u = 0; u < rows; ++u) {
    combine<kLanes>(columns, chunk.columns, {bases.columns->synthesis() + chunk.first_column, bases.columns->length()},
                    {by_row + u * chunk.columns * kLanes, kLanes},
                    {start.data + u * start.row_stride, start.column_stride},
                    {plane.data + u * plane.row_stride, plane.column_stride});
  }
}

}  // namespace skua::cpu
